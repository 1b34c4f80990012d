-- Every forecast whose target date has a bar by now, with what came: errors are in log price, as traded on the origin date.
-- actual: The close that came, in the origin date's units: origin_close × exp(actual_log_return).
-- actual_log_return: Total log return that came, dividends included.
-- error: actual_log_return − mean_log_return.
-- inside_50: Whether the close fell between q25 and q75.
-- inside_80: Whether the close fell between q10 and q90.
-- inside_90: Whether the close fell between q05 and q95.
WITH outcome AS (
    SELECT f.*, ln(target.close / origin.close) AS actual_log_return
    FROM forecasts AS f
    JOIN adjusted_bars AS origin ON origin.ticker = f.ticker AND origin.date = f.origin_date
    JOIN adjusted_bars AS target ON target.ticker = f.ticker AND target.date = f.target_date
)
SELECT
    run_id,
    ticker,
    model,
    origin_date,
    target_date,
    step,
    origin_close,
    mean_log_return,
    sigma,
    actual_log_return,
    origin_close * exp(actual_log_return) AS actual,
    actual_log_return - mean_log_return AS error,
    origin_close * exp(actual_log_return) BETWEEN q25 AND q75 AS inside_50,
    origin_close * exp(actual_log_return) BETWEEN q10 AND q90 AS inside_80,
    origin_close * exp(actual_log_return) BETWEEN q05 AND q95 AS inside_90,
    snapshot_id,
    cutoff
FROM outcome;
