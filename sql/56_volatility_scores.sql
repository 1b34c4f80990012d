-- QLIKE loss of the variance forecasts against realised squared returns, by model and step: of all, and by slice. Smaller is better.
-- basis: 'runs' for forecasts of runs made as the days passed; for those of an evaluation of past dates, its run_id.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
-- model: Model of the forecast ('garch_pool' or 'ewma'); at step 1 also each fitted model and window of the pool.
-- step: Number of sessions after the origin date; the variance is that of the total return up to there.
-- forecasts: Number of realised forecasts.
-- qlike: Mean of ln s + v/s: s the forecast variance, v the sum of squared returns. Compare only models with equal forecasts.
-- variance_ratio: Mean of v/s; above 1, the forecast variance was too low.
WITH numbered AS (
    SELECT
        ticker,
        date,
        row_number() OVER by_ticker AS place,
        sum(log_return ** 2) OVER by_ticker AS squares
    FROM returns
    WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date)
),
forecast_variances AS (
    SELECT run_id, ticker, origin_date, step, model, cumulative_sigma AS sigma, regime FROM volatility
    UNION ALL
    SELECT run_id, ticker, f.origin_date, 1, f.model || ' ' || f.window_size, f.next_sigma, v.regime
    FROM volatility_fits AS f
    JOIN (SELECT DISTINCT run_id, ticker, cutoff, regime FROM volatility) AS v USING (run_id, ticker, cutoff)
    WHERE f.next_sigma IS NOT NULL AND f.model <> 'ewma'
),
realised AS (
    SELECT
        CASE r.kind WHEN 'evaluate' THEN f.run_id ELSE 'runs' END AS basis,
        f.model,
        f.step,
        f.ticker,
        f.regime,
        strftime(target.date, '%Y-%m') AS month,
        ln(f.sigma ** 2) AS log_variance,
        greatest(0, target.squares - origin.squares) / f.sigma ** 2 AS ratio
    FROM forecast_variances AS f
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
