-- Every forecast whose target date has a bar, with the realised price and return. Errors are of the log price.
-- basis: 'runs' for forecasts of runs made as the days passed; for those of an evaluation of past dates, its run_id.
-- actual: Realised close, in units of the close on the origin date: origin_close × exp(actual_log_return).
-- actual_log_return: Realised total log return from the origin date to the target date, dividends included.
-- error: actual_log_return − mean_log_return.
-- inside_50: Whether the realised close is between q25 and q75.
-- inside_80: Whether the realised close is between q10 and q90.
-- inside_90: Whether the realised close is between q05 and q95.
-- inside_95: Whether the realised close is between q025 and q975.
-- pinball: Mean pinball loss of the log return's quantiles, each weighted by the probability around its level.
-- crps: Continuous ranked probability score of the log return, computed from the quantiles: 2 × pinball.
WITH outcome AS (
    SELECT
        f.*,
        CASE r.kind WHEN 'evaluate' THEN f.run_id ELSE 'runs' END AS basis,
        ln(target.close) - ln(origin.close) AS actual_log_return
    FROM forecasts AS f
    JOIN runs AS r USING (run_id)
    JOIN adjusted_bars AS origin ON origin.ticker = f.ticker AND origin.date = f.origin_date
    JOIN adjusted_bars AS target ON target.ticker = f.ticker AND target.date = f.target_date
),
surprise AS (
    SELECT
        *,
        origin_close * exp(actual_log_return) AS actual,
        actual_log_return - (ln(q025) - ln(origin_close)) AS d025,
        actual_log_return - (ln(q05) - ln(origin_close)) AS d05,
        actual_log_return - (ln(q10) - ln(origin_close)) AS d10,
        actual_log_return - (ln(q25) - ln(origin_close)) AS d25,
        actual_log_return - (ln(q50) - ln(origin_close)) AS d50,
        actual_log_return - (ln(q75) - ln(origin_close)) AS d75,
        actual_log_return - (ln(q90) - ln(origin_close)) AS d90,
        actual_log_return - (ln(q95) - ln(origin_close)) AS d95,
        actual_log_return - (ln(q975) - ln(origin_close)) AS d975
    FROM outcome
),
scored AS (
    SELECT
        *,
        0.0375 * CASE WHEN d025 > 0 THEN 0.025 * d025 ELSE -0.975 * d025 END
        + 0.0375 * CASE WHEN d05 > 0 THEN 0.05 * d05 ELSE -0.95 * d05 END
        + 0.1 * CASE WHEN d10 > 0 THEN 0.1 * d10 ELSE -0.9 * d10 END
        + 0.2 * CASE WHEN d25 > 0 THEN 0.25 * d25 ELSE -0.75 * d25 END
        + 0.25 * CASE WHEN d50 > 0 THEN 0.5 * d50 ELSE -0.5 * d50 END
        + 0.2 * CASE WHEN d75 > 0 THEN 0.75 * d75 ELSE -0.25 * d75 END
        + 0.1 * CASE WHEN d90 > 0 THEN 0.9 * d90 ELSE -0.1 * d90 END
        + 0.0375 * CASE WHEN d95 > 0 THEN 0.95 * d95 ELSE -0.05 * d95 END
        + 0.0375 * CASE WHEN d975 > 0 THEN 0.975 * d975 ELSE -0.025 * d975 END AS pinball
    FROM surprise
)
SELECT
    run_id,
    basis,
    ticker,
    model,
    origin_date,
    target_date,
    step,
    origin_close,
    mean_log_return,
    sigma,
    regime,
    naive_scale,
    actual_log_return,
    actual,
    actual_log_return - mean_log_return AS error,
    actual BETWEEN q25 AND q75 AS inside_50,
    actual BETWEEN q10 AND q90 AS inside_80,
    actual BETWEEN q05 AND q95 AS inside_90,
    actual BETWEEN q025 AND q975 AS inside_95,
    pinball,
    2 * pinball AS crps,
    snapshot_id,
    cutoff
FROM scored;
