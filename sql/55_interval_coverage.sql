-- How often the intervals of realised forecasts held what came, beside how often they should: over all, and by slice.
-- basis: 'nights' for forecasts of nightly runs; else the evaluation that made them, by its run_id.
-- slice: 'all', 'regime', 'month' or 'ticker': what the row is about.
-- value: Which regime, month (YYYY-MM) or ticker; null for all.
-- level: Share of outcomes that the interval should hold.
-- forecasts: Realised forecasts counted.
-- coverage: Share it held.
-- lower: Lower end of the coverage's 95% Wilson interval, as if outcomes were independent.
-- upper: Upper end of the coverage's 95% Wilson interval.
WITH intervals AS (
    SELECT
        basis,
        model,
        step,
        slice,
        value,
        unnest([0.5, 0.8, 0.9, 0.95]) AS level,
        unnest([inside_50, inside_80, inside_90, inside_95]) AS inside
    FROM forecast_slices
),
counted AS (
    SELECT basis, model, step, slice, value, level, count(inside) AS forecasts, count(*) FILTER (inside) AS held
    FROM intervals
    GROUP BY ALL
)
SELECT
    basis,
    model,
    step,
    slice,
    value,
    level::DOUBLE AS level,
    forecasts,
    held / forecasts AS coverage,
    greatest(0, (held + 1.9207 - 1.96 * sqrt(held * (forecasts - held) / forecasts + 0.9604)) / (forecasts + 3.8415))
        AS lower,
    least(1, (held + 1.9207 + 1.96 * sqrt(held * (forecasts - held) / forecasts + 0.9604)) / (forecasts + 3.8415))
        AS upper
FROM counted
WHERE forecasts > 0;
