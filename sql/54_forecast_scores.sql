-- How wrong each model's realised forecasts were, by step: over all, by regime of volatility, month of the target, ticker.
-- basis: 'nights' for forecasts of nightly runs; else the evaluation that made them, by its run_id.
-- slice: 'all', 'regime', 'month' or 'ticker': what the row is about.
-- value: Which regime, month (YYYY-MM) or ticker; null for all.
-- forecasts: Realised forecasts counted.
-- rmse: Root mean squared error of the log price.
-- mae: Mean absolute error of the log price.
-- smape: Mean of 2|F − A| / (F + A) of the price, as a share; of logs, that is 2·tanh(|f − a| / 2).
-- mase: Mean absolute error over the mean absolute one-session log return before the origin.
-- pinball: Mean pinball loss of the log return's quantiles.
-- crps: Continuous ranked probability score of the log return.
-- directional_accuracy: Share of forecasts that foretold the sign; null where none told one (naive tells none).
-- directional_lower: Lower end of its 95% Wilson interval, as if outcomes were independent.
-- directional_upper: Upper end of its 95% Wilson interval.
-- directional_forecasts: Forecasts that told a sign, of moves that had one.
WITH scored AS (
    SELECT
        basis,
        model,
        step,
        slice,
        value,
        count(*) AS forecasts,
        sqrt(avg(error ** 2)) AS rmse,
        avg(abs(error)) AS mae,
        avg(2 * tanh(abs(error) / 2)) AS smape,
        avg(abs(error) / nullif(naive_scale, 0)) AS mase,
        avg(pinball) AS pinball,
        avg(crps) AS crps,
        count(*) FILTER (mean_log_return * actual_log_return <> 0) AS directional_forecasts,
        count(*) FILTER (mean_log_return * actual_log_return > 0) AS hits
    FROM forecast_slices
    GROUP BY basis, model, step, slice, value
)
SELECT
    basis,
    model,
    step,
    slice,
    value,
    forecasts,
    rmse,
    mae,
    smape,
    mase,
    pinball,
    crps,
    hits / nullif(directional_forecasts, 0) AS directional_accuracy,
    CASE WHEN directional_forecasts > 0 THEN
        greatest(0, (hits + 1.9207 - 1.96 * sqrt(hits * (directional_forecasts - hits) / directional_forecasts + 0.9604))
        / (directional_forecasts + 3.8415))
    END AS directional_lower,
    CASE WHEN directional_forecasts > 0 THEN
        least(1, (hits + 1.9207 + 1.96 * sqrt(hits * (directional_forecasts - hits) / directional_forecasts + 0.9604))
        / (directional_forecasts + 3.8415))
    END AS directional_upper,
    directional_forecasts
FROM scored;
