-- How well variances were foretold, by model and step, over all and by slice: QLIKE against the squared returns that came. Smaller is better.
-- basis: 'nights' for forecasts of nightly runs; else the evaluation that made them, by its run_id.
-- slice: 'all', 'regime', 'month' or 'ticker': what the row is about.
-- value: Which regime, month (YYYY-MM) or ticker; null for all.
-- model: The path used ('garch_pool' or 'ewma'), or, one session ahead, a single fit of the pool.
-- step: Sessions ahead, of the whole return up to there.
-- forecasts: Realised forecasts counted.
-- qlike: Mean of ln s + v/s, v the sum of the squared returns that came and s the variance foretold; of equal forecasts only.
-- variance_ratio: Mean of v/s: above 1, volatility was foretold too low.
WITH numbered AS (
    SELECT
        ticker,
        date,
        row_number() OVER by_ticker AS place,
        sum(log_return ** 2) OVER by_ticker AS squares
    FROM returns
    WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date)
),
foretold AS (
    SELECT run_id, ticker, origin_date, step, model, cumulative_sigma AS sigma, regime FROM volatility
    UNION ALL
    SELECT run_id, ticker, f.origin_date, 1, f.model || ' ' || f.window_size, f.next_sigma, v.regime
    FROM volatility_fits AS f
    JOIN (SELECT DISTINCT run_id, ticker, cutoff, regime FROM volatility) AS v USING (run_id, ticker, cutoff)
    WHERE f.next_sigma IS NOT NULL AND f.model <> 'ewma'
),
realised AS (
    SELECT
        CASE r.kind WHEN 'evaluate' THEN f.run_id ELSE 'nights' END AS basis,
        f.model,
        f.step,
        f.ticker,
        f.regime,
        strftime(target.date, '%Y-%m') AS month,
        ln(f.sigma ** 2) AS log_variance,
        greatest(0, target.squares - origin.squares) / f.sigma ** 2 AS ratio
    FROM foretold AS f
    JOIN runs AS r USING (run_id)
    JOIN numbered AS origin ON origin.ticker = f.ticker AND origin.date = f.origin_date
    JOIN numbered AS target ON target.ticker = f.ticker AND target.place = origin.place + f.step
    QUALIFY row_number() OVER (
        PARTITION BY basis, f.model, f.step, f.ticker, f.origin_date ORDER BY r.started_at, f.run_id
    ) = 1
),
sliced AS (
    SELECT
        *,
        unnest(['all', 'regime', 'month', 'ticker']) AS slice,
        unnest([NULL, regime, month, ticker]) AS value
    FROM realised
)
SELECT
    basis,
    slice,
    value,
    model,
    step,
    count(*) AS forecasts,
    avg(log_variance + ratio) AS qlike,
    avg(ratio) AS variance_ratio
FROM sliced
GROUP BY basis, slice, value, model, step;
