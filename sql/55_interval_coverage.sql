-- Share of realised closes inside the forecast intervals, beside the level of the intervals: of all forecasts, and by slice.
-- basis: 'runs' for forecasts of runs made as the days passed; for those of an evaluation of past dates, its run_id.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
-- level: Level of the interval: the share of outcomes that it should cover.
-- forecasts: Number of realised forecasts.
-- coverage: Share of outcomes that the interval covered.
-- lower: Lower end of the 95% Wilson interval of coverage, for independent outcomes.
-- upper: Upper end of the 95% Wilson interval of coverage, for independent outcomes.
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
