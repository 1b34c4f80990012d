-- Every forecast of a portfolio's risk with the loss that followed, to the horizon-th bar of each ticker after the origin date.
-- basis: 'runs' for risk computed as the days passed; for that of a backtest or of a look at a past day, its run_id.
-- outcome_date: Date of the last of those bars.
-- loss: Realised loss of the weights without trading, as a share of the portfolio's value; negative for a gain.
-- exceeded: Whether the loss was larger than var.
-- fz0: Loss FZ0 of Patton, Ziegel and Chen (2019) of the pair (var, es); smaller is better. Null if es is not positive.
WITH closes AS (
    SELECT ticker, date, ln(close) AS log_close, row_number() OVER (PARTITION BY ticker ORDER BY date) AS place
    FROM adjusted_bars
),
positions AS (
    SELECT DISTINCT run_id, cutoff, portfolio, origin_date, ticker, weight FROM risk_contributions
),
origins AS (
    SELECT p.*, c.log_close, c.place
    FROM positions AS p
    ASOF JOIN closes AS c ON c.ticker = p.ticker AND c.date <= p.origin_date
),
horizons AS (
    SELECT DISTINCT horizon FROM portfolio_risk WHERE method <> 'drawdown'
),
moves AS (
    -- The pair (ticker, place) is compared as one value: as two, DuckDB can join bars to bars by ticker alone.
    SELECT
        o.run_id,
        o.cutoff,
        o.portfolio,
        h.horizon,
        count(*) AS tickers,
        count(target.date) AS known,
        max(target.date) AS outcome_date,
        -sum(o.weight * (exp(target.log_close - o.log_close) - 1)) AS loss
    FROM origins AS o
    CROSS JOIN horizons AS h
    LEFT JOIN closes AS target
        ON {'ticker': target.ticker, 'place': target.place} = {'ticker': o.ticker, 'place': o.place + h.horizon}
    GROUP BY ALL
)
SELECT
    b.basis,
    r.run_id,
    r.portfolio,
    r.method,
    r.horizon,
    r.level,
    r.origin_date,
    m.outcome_date,
    r.var,
    r.es,
    m.loss,
    m.loss > r.var AS exceeded,
    CASE WHEN r.es > 0 THEN
        greatest(m.loss - r.var, 0) / ((1 - r.level) * r.es) + r.var / r.es + ln(r.es) - 1
    END AS fz0,
    r.snapshot_id,
    r.cutoff
FROM portfolio_risk AS r
JOIN run_basis AS b USING (run_id)
JOIN moves AS m USING (run_id, cutoff, portfolio, horizon)
WHERE r.method <> 'drawdown' AND m.known = m.tickers
QUALIFY
    row_number() OVER (
        PARTITION BY b.basis, r.portfolio, r.method, r.horizon, r.level, r.origin_date ORDER BY b.started_at, r.run_id
    ) = 1;
