-- QLIKE loss of the variance forecasts against realised squared returns, and against variances from ranges, by model and step: of all, and by slice. Smaller is better.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
-- model: Model of the forecast ('pool_and_panel', 'garch_pool', 'panel' or 'ewma'); where both are combined, each alone as well; at step 1 also each fitted model and window of the pool.
-- step: Number of sessions after the origin date; the variance is that of the total return up to there.
-- forecasts: Number of realised forecasts.
-- qlike: Mean of ln s + v/s: s the forecast variance, v the sum of squared returns. Compare only models with equal forecasts.
-- variance_ratio: Mean of v/s; above 1, the forecast variance was too low.
-- ranged: Number of the forecasts all of whose bars have a usable range.
-- range_qlike: Mean of ln s + w/s over these: w the sum of each bar's variance by its range (Parkinson 1980) and of its squared move overnight, which says more of a session than its return; null without ranges.
WITH moves AS (
    SELECT
        ticker,
        date,
        ln(close) - lag(ln(close)) OVER by_ticker AS move,
        CASE WHEN low > 0 AND high > low AND greatest(open, close) <= high * (1 + 1e-9) AND least(open, close) >= low * (1 - 1e-9)
            THEN ln(high / low) ** 2 / (4 * ln(2)) + (ln(open) - lag(ln(close)) OVER by_ticker) ** 2
        END AS range_variance
    FROM adjusted_bars
    WHERE date >= (SELECT min(origin_date) FROM volatility)
    WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date)
),
numbered AS (
    SELECT
        ticker,
        date,
        row_number() OVER by_ticker AS place,
        sum(coalesce(move, 0) ** 2) OVER by_ticker AS squares,
        sum(coalesce(range_variance, 0)) OVER by_ticker AS ranges,
        count(range_variance) OVER by_ticker AS ranged
    FROM moves
    WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date)
),
regimes AS (
    SELECT DISTINCT run_id, ticker, cutoff, regime FROM volatility
),
forecast_variances AS (
    SELECT run_id, ticker, origin_date, step, model, cumulative_sigma AS sigma, regime FROM volatility
    UNION ALL
    SELECT run_id, ticker, f.origin_date, 1, f.model || ' ' || f.window_size, f.next_sigma, v.regime
    FROM volatility_fits AS f
    JOIN regimes AS v USING (run_id, ticker, cutoff)
    WHERE f.next_sigma IS NOT NULL AND f.model <> 'ewma'
    UNION ALL
    SELECT run_id, ticker, m.origin_date, m.step, m.member, m.cumulative_sigma, v.regime
    FROM volatility_members AS m
    JOIN regimes AS v USING (run_id, ticker, cutoff)
),
realised AS NOT MATERIALIZED (
    -- The pair (ticker, place) is compared as one value: as two, DuckDB can join bars to bars by ticker alone.
    SELECT
        r.basis,
        f.model,
        f.step,
        f.ticker,
        f.origin_date,
        f.run_id,
        r.started_at,
        f.regime,
        date_trunc('month', target.date) AS month,
        ln(f.sigma ** 2) AS log_variance,
        greatest(0, target.squares - origin.squares) / f.sigma ** 2 AS ratio,
        CASE WHEN target.ranged - origin.ranged = f.step THEN greatest(0, target.ranges - origin.ranges) / f.sigma ** 2 END
            AS range_ratio
    FROM forecast_variances AS f
    JOIN run_basis AS r USING (run_id)
    JOIN numbered AS origin ON origin.ticker = f.ticker AND origin.date = f.origin_date
    JOIN numbered AS target
        ON {'ticker': target.ticker, 'place': target.place} = {'ticker': f.ticker, 'place': origin.place + f.step}
),
repeated AS (
    SELECT ticker, origin_date
    FROM volatility
    JOIN run_basis USING (run_id)
    WHERE basis = 'runs'
    GROUP BY ALL
    HAVING min(run_id) <> max(run_id)
),
first_run AS (
    SELECT
        basis,
        model,
        step,
        ticker,
        origin_date,
        arg_min(run_id, {'started_at': started_at, 'run_id': run_id}) AS first_run_id
    FROM realised
    SEMI JOIN repeated USING (ticker, origin_date)
    GROUP BY ALL
),
newest_evaluation AS (
    SELECT model, step, ticker, origin_date, arg_max(run_id, {'started_at': started_at, 'run_id': run_id}) AS run_id
    FROM forecast_variances
    JOIN runs USING (run_id)
    WHERE kind = 'evaluate'
    GROUP BY ALL
),
counted AS (
    SELECT basis, model, step, regime, month, ticker, log_variance, ratio, range_ratio
    FROM realised
    LEFT JOIN first_run USING (basis, model, step, ticker, origin_date)
    WHERE run_id = coalesce(first_run_id, run_id)
    UNION ALL
    SELECT 'evaluations', model, step, regime, month, ticker, log_variance, ratio, range_ratio
    FROM realised
    SEMI JOIN newest_evaluation USING (model, step, ticker, origin_date, run_id)
    WHERE basis <> 'runs'
),
summed AS (
    SELECT
        basis,
        model,
        step,
        regime,
        month,
        ticker,
        count(*) AS forecasts,
        sum(log_variance + ratio) AS qlike,
        sum(ratio) AS ratios,
        count(range_ratio) AS ranged,
        sum(log_variance + range_ratio) AS range_qlike
    FROM counted
    GROUP BY ALL
)
SELECT
    basis,
    CASE GROUPING(regime, month, ticker) WHEN 3 THEN 'regime' WHEN 5 THEN 'month' WHEN 6 THEN 'ticker' ELSE 'all' END
        AS slice,
    coalesce(regime, strftime(month, '%Y-%m'), ticker) AS value,
    model,
    step,
    sum(forecasts)::BIGINT AS forecasts,
    sum(qlike) / sum(forecasts) AS qlike,
    sum(ratios) / sum(forecasts) AS variance_ratio,
    sum(ranged)::BIGINT AS ranged,
    sum(range_qlike) / nullif(sum(ranged), 0) AS range_qlike
FROM summed
GROUP BY GROUPING SETS (
    (basis, model, step), (basis, model, step, regime), (basis, model, step, month), (basis, model, step, ticker)
);
