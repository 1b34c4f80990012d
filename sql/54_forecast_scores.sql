-- Errors of each model's realised forecasts by step: of all, and by regime of volatility, month of the target and ticker.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
-- forecasts: Number of realised forecasts.
-- rmse: Root mean squared error of the log price.
-- mae: Mean absolute error of the log price.
-- smape: Mean of 2|F − A| / (F + A), F the forecast and A the realised price; of their logs f and a, 2·tanh(|f − a| / 2).
-- mase: Mean absolute error divided by the mean absolute one-session log return before the origin.
-- pinball: Mean pinball loss of the log return's quantiles.
-- crps: Mean continuous ranked probability score of the log return.
-- directional_accuracy: Share of forecasts with the realised sign; null if no forecast has a sign (naive has none).
-- directional_lower: Lower end of the 95% Wilson interval of directional_accuracy, for independent outcomes.
-- directional_upper: Upper end of the 95% Wilson interval of directional_accuracy, for independent outcomes.
-- directional_forecasts: Number of forecasts with a sign of returns that are not 0.
WITH summed AS (
    SELECT
        basis,
        model,
        step,
        regime,
        date_trunc('month', target_date) AS month,
        ticker,
        count(*) AS forecasts,
        sum(error ** 2) AS squares,
        sum(abs(error)) AS absolutes,
        sum(2 * tanh(abs(error) / 2)) AS percentages,
        sum(abs(error) / nullif(naive_scale, 0)) AS scaled,
        count(nullif(naive_scale, 0)) AS with_scale,
        sum(pinball) AS pinball,
        sum(crps) AS crps,
        count(*) FILTER (mean_log_return * actual_log_return <> 0) AS directional_forecasts,
        count(*) FILTER (mean_log_return * actual_log_return > 0) AS hits
    FROM scored_forecasts
    GROUP BY ALL
),
scored AS (
    SELECT
        basis,
        model,
        step,
        CASE GROUPING(regime, month, ticker) WHEN 3 THEN 'regime' WHEN 5 THEN 'month' WHEN 6 THEN 'ticker' ELSE 'all' END
            AS slice,
        coalesce(regime, strftime(month, '%Y-%m'), ticker) AS value,
        sum(forecasts)::BIGINT AS forecasts,
        sqrt(sum(squares) / sum(forecasts)) AS rmse,
        sum(absolutes) / sum(forecasts) AS mae,
        sum(percentages) / sum(forecasts) AS smape,
        sum(scaled) / nullif(sum(with_scale), 0) AS mase,
        sum(pinball) / sum(forecasts) AS pinball,
        sum(crps) / sum(forecasts) AS crps,
        sum(directional_forecasts)::BIGINT AS directional_forecasts,
        sum(hits)::BIGINT AS hits
    FROM summed
    GROUP BY GROUPING SETS (
        (basis, model, step), (basis, model, step, regime), (basis, model, step, month), (basis, model, step, ticker)
    )
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
