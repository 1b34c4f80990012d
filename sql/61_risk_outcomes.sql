-- Every forecast of a portfolio's risk with the loss that followed, to the horizon-th bar of each ticker after the origin date. The loss is in the currency of the portfolio: of its account, as the forecast is; that of a portfolio without an account is in the currencies of the tickers.
-- basis: 'runs' for risk computed as the days passed; for that of a backtest or of a look at a past day, its run_id.
-- outcome_date: Date of the last of those bars.
-- loss: Realised loss of the weights without trading, as a share of the portfolio's value; negative for a gain.
-- exceeded: Whether the loss was larger than var.
-- fz0: Loss FZ0 of Patton, Ziegel and Chen (2019) of the pair (var, es); smaller is better. Null if es is not positive.
WITH earliest AS (
    -- No close before this day is read: the first of the tickers' last bars up to the first origin date.
    SELECT min(last_date) AS date
    FROM (
        SELECT max(date) AS last_date
        FROM bars
        WHERE date <= (SELECT min(origin_date) FROM risk_contributions)
            AND ticker IN (SELECT ticker FROM risk_contributions)
        GROUP BY ticker
    )
),
closes AS (
    SELECT ticker, date, ln(close) AS log_close, row_number() OVER (PARTITION BY ticker ORDER BY date) AS place
    FROM adjusted_bars
    WHERE date >= coalesce((SELECT date FROM earliest), '-infinity'::DATE)
),
positions AS (
    SELECT DISTINCT run_id, cutoff, portfolio, origin_date, ticker, weight FROM risk_contributions
),
held AS (SELECT ticker, min(currency) AS currency FROM lot_changes GROUP BY ticker),
bases AS (
    -- The currency of a ticker and that of the portfolio's account; both are null for a portfolio without an account.
    SELECT p.portfolio, p.ticker, a.currency AS base,
        CASE WHEN a.currency IS NOT NULL THEN coalesce(u.currency, h.currency, a.currency) END AS currency
    FROM (SELECT DISTINCT portfolio, ticker FROM positions) AS p
    LEFT JOIN accounts AS a ON a.account = regexp_replace(p.portfolio, ' proposed$', '')
    LEFT JOIN universe AS u ON u.ticker = p.ticker
    LEFT JOIN held AS h ON h.ticker = p.ticker
),
origins AS (
    SELECT p.*, c.log_close, c.place, b.currency, b.base
    FROM positions AS p
    JOIN bases AS b ON b.portfolio = p.portfolio AND b.ticker = p.ticker
    ASOF JOIN closes AS c ON c.ticker = p.ticker AND c.date <= p.origin_date
),
horizons AS (
    SELECT DISTINCT horizon FROM portfolio_risk WHERE method <> 'drawdown'
),
targets_of AS (
    -- The pair (ticker, place) is compared as one value: as two, DuckDB can join bars to bars by ticker alone.
    SELECT
        o.run_id,
        o.cutoff,
        o.portfolio,
        h.horizon,
        o.origin_date,
        o.weight,
        o.currency,
        o.base,
        target.date,
        target.log_close - o.log_close AS move
    FROM origins AS o
    CROSS JOIN horizons AS h
    LEFT JOIN closes AS target
        ON {'ticker': target.ticker, 'place': target.place} = {'ticker': o.ticker, 'place': o.place + h.horizon}
),
moves AS (
    SELECT
        t.run_id,
        t.cutoff,
        t.portfolio,
        t.horizon,
        count(*) AS tickers,
        count(t.date) FILTER (t.base IS NOT DISTINCT FROM t.currency OR later.rate / origin.rate > 0) AS known,
        max(t.date) AS outcome_date,
        -sum(
            t.weight
            * (exp(t.move) * CASE WHEN t.base IS DISTINCT FROM t.currency THEN later.rate / origin.rate ELSE 1 END - 1)
        ) AS loss
    FROM targets_of AS t
    ASOF LEFT JOIN exchange_rates AS origin
        ON origin.currency = t.currency AND origin.base = t.base AND origin.date <= t.origin_date
    ASOF LEFT JOIN exchange_rates AS later ON later.currency = t.currency AND later.base = t.base AND later.date <= t.date
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
