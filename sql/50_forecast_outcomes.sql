-- Every forecast with its outcome, the step-th bar of the ticker after the origin date. Errors are of the log price.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id.
-- outcome_date: Date of the outcome's bar; at most 14 + step days after target_date, or the ticker had stopped trading.
-- actual: Realised close, in units of the close on the origin date: origin_close × exp(actual_log_return).
-- actual_log_return: Realised total log return from the origin date to outcome_date, dividends included.
-- error: actual_log_return − mean_log_return.
-- inside_50: Whether the realised close is between q25 and q75.
-- inside_80: Whether the realised close is between q10 and q90.
-- inside_90: Whether the realised close is between q05 and q95.
-- inside_95: Whether the realised close is between q025 and q975.
-- quantiles_below: Number of the nine quantiles that are below the realised close, from 0 to 9; see forecast_pit.
-- pinball: Mean pinball loss of the log return's quantiles, each weighted by the probability around its level.
-- crps: Continuous ranked probability score of the log return, computed from the quantiles: 2 × pinball.
WITH closes AS (
    SELECT
        ticker,
        date,
        ln(close) AS log_close,
        row_number() OVER (PARTITION BY ticker ORDER BY date) AS place,
        count(*) OVER (PARTITION BY ticker) AS places
    FROM adjusted_bars
    WHERE date >= (SELECT min(origin_date) FROM forecasts)
),
outcome AS (
    -- The pair (ticker, place) is compared as one value: as two, DuckDB can join bars to bars by ticker alone.
    SELECT
        f.*,
        target.date AS outcome_date,
        r.basis,
        target.log_close - origin.log_close AS actual_log_return
    FROM forecasts AS f
    JOIN run_basis AS r USING (run_id)
    -- What is still to come is left out early, before the second join, which compares pairs.
    JOIN closes AS origin
        ON origin.ticker = f.ticker AND origin.date = f.origin_date AND origin.place + f.step <= origin.places
    JOIN closes AS target
        ON {'ticker': target.ticker, 'place': target.place} = {'ticker': f.ticker, 'place': origin.place + f.step}
    WHERE target.date <= f.target_date + (14 + f.step)::INTEGER
),
surprise AS (
    SELECT
        *,
        origin_close * exp(actual_log_return) AS actual,
        actual_log_return + ln(origin_close) - ln(q025) AS d025,
        actual_log_return + ln(origin_close) - ln(q05) AS d05,
        actual_log_return + ln(origin_close) - ln(q10) AS d10,
        actual_log_return + ln(origin_close) - ln(q25) AS d25,
        actual_log_return + ln(origin_close) - ln(q50) AS d50,
        actual_log_return + ln(origin_close) - ln(q75) AS d75,
        actual_log_return + ln(origin_close) - ln(q90) AS d90,
        actual_log_return + ln(origin_close) - ln(q95) AS d95,
        actual_log_return + ln(origin_close) - ln(q975) AS d975
    FROM outcome
),
scored AS (
    -- The pinball loss of a difference d at level p, p·d if d > 0 and (p − 1)·d if not, is (p − 0.5)·d + 0.5·|d|.
    SELECT
        *,
        0.0375 * (-0.475 * d025 + 0.5 * abs(d025))
        + 0.0375 * (-0.45 * d05 + 0.5 * abs(d05))
        + 0.1 * (-0.4 * d10 + 0.5 * abs(d10))
        + 0.2 * (-0.25 * d25 + 0.5 * abs(d25))
        + 0.25 * 0.5 * abs(d50)
        + 0.2 * (0.25 * d75 + 0.5 * abs(d75))
        + 0.1 * (0.4 * d90 + 0.5 * abs(d90))
        + 0.0375 * (0.45 * d95 + 0.5 * abs(d95))
        + 0.0375 * (0.475 * d975 + 0.5 * abs(d975)) AS pinball
    FROM surprise
)
SELECT
    run_id,
    basis,
    ticker,
    model,
    origin_date,
    target_date,
    outcome_date,
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
    (d025 > 0)::INTEGER + (d05 > 0)::INTEGER + (d10 > 0)::INTEGER + (d25 > 0)::INTEGER + (d50 > 0)::INTEGER
    + (d75 > 0)::INTEGER + (d90 > 0)::INTEGER + (d95 > 0)::INTEGER + (d975 > 0)::INTEGER AS quantiles_below,
    pinball,
    2 * pinball AS crps,
    snapshot_id,
    cutoff
FROM scored;
