-- What equal weights (1/N) made on each day: in all tickers that the newest run of the whole watch list before that day had decided on, set to equal weights anew at each close.
-- date: Day.
-- run_id: That run; a run of the day itself does not count, for it had seen the day's close.
-- tickers: Number of tickers N.
-- traded: Number of them with a bar on the day; the others count with a return of 0.
-- daily_return: Mean of the tickers' simple total returns, each in its own currency.
-- growth: What one unit of money has become since the first night.
WITH nights AS (
    SELECT r.as_of, arg_max(o.output_run_id, {'at': r.started_at, 'run': r.run_id}) AS signal_run_id,
        arg_max(r.run_id, {'at': r.started_at, 'run': r.run_id}) AS run_id
    FROM runs AS r
    JOIN run_outputs AS o ON o.run_id = r.run_id AND o.stage = 'signals'
    WHERE r.kind = 'run' AND r.status = 'done' AND r.scope = 'whole'
    GROUP BY r.as_of
),
members AS (
    SELECT n.as_of, n.run_id, s.ticker
    FROM nights AS n
    JOIN signals AS s ON s.run_id = n.signal_run_id
),
counted AS (
    SELECT as_of, run_id, count(*) AS tickers FROM members GROUP BY ALL
),
days AS (
    SELECT d.date, c.as_of, c.run_id, c.tickers
    FROM (SELECT DISTINCT date FROM bars WHERE date > (SELECT min(as_of) FROM nights)) AS d
    ASOF JOIN counted AS c ON c.as_of < d.date
),
made AS (
    SELECT d.date, d.run_id, d.tickers, count(r.simple_return) AS traded, coalesce(sum(r.simple_return), 0) AS total
    FROM days AS d
    LEFT JOIN members AS m ON m.as_of = d.as_of
    LEFT JOIN returns AS r ON r.ticker = m.ticker AND r.date = d.date
    GROUP BY d.date, d.run_id, d.tickers
)
SELECT
    date,
    run_id,
    tickers,
    traded,
    total / tickers AS daily_return,
    product(1 + total / tickers) OVER (ORDER BY date) AS growth
FROM made;
