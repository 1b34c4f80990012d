-- Share of realised closes inside the forecast intervals, beside the level of the intervals: of all forecasts, and by slice.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month', a 'ticker' or an 'age' of tickers.
-- value: The regime, the month of the target date (YYYY-MM), the ticker, or its number of returns at the origin ('up to 59', '60 to 249', '250 to 999', '1,000 or more'); null for 'all'.
-- level: Level of the interval: the share of outcomes that it should cover.
-- forecasts: Number of realised forecasts.
-- coverage: Share of outcomes that the interval covered.
-- lower: Lower end of the 95% Wilson interval of coverage, for independent outcomes.
-- upper: Upper end of the 95% Wilson interval of coverage, for independent outcomes.
WITH ages AS (
    SELECT
        run_id,
        ticker,
        origin_date,
        CASE
            WHEN max(observations) < 60 THEN 'up to 59'
            WHEN max(observations) < 250 THEN '60 to 249'
            WHEN max(observations) < 1000 THEN '250 to 999'
            ELSE '1,000 or more'
        END AS age
    FROM volatility
    WHERE observations IS NOT NULL
    GROUP BY ALL
),
summed AS (
    SELECT
        basis,
        model,
        step,
        regime,
        date_trunc('month', target_date) AS month,
        ticker,
        age,
        count(inside_50) AS forecasts_50,
        count(inside_80) AS forecasts_80,
        count(inside_90) AS forecasts_90,
        count(inside_95) AS forecasts_95,
        count(*) FILTER (inside_50) AS held_50,
        count(*) FILTER (inside_80) AS held_80,
        count(*) FILTER (inside_90) AS held_90,
        count(*) FILTER (inside_95) AS held_95
    FROM scored_forecasts
    LEFT JOIN ages USING (run_id, ticker, origin_date)
    GROUP BY ALL
),
sliced AS (
    SELECT
        basis,
        model,
        step,
        CASE GROUPING(regime, month, ticker, age)
            WHEN 7 THEN 'regime' WHEN 11 THEN 'month' WHEN 13 THEN 'ticker' WHEN 14 THEN 'age' ELSE 'all'
        END AS slice,
        coalesce(regime, strftime(month, '%Y-%m'), ticker, age) AS value,
        [sum(forecasts_50), sum(forecasts_80), sum(forecasts_90), sum(forecasts_95)] AS forecasts,
        [sum(held_50), sum(held_80), sum(held_90), sum(held_95)] AS held
    FROM summed
    GROUP BY GROUPING SETS (
        (basis, model, step),
        (basis, model, step, regime),
        (basis, model, step, month),
        (basis, model, step, ticker),
        (basis, model, step, age)
    )
    HAVING slice <> 'age' OR value IS NOT NULL
),
counted AS (
    SELECT
        basis,
        model,
        step,
        slice,
        value,
        unnest([0.5, 0.8, 0.9, 0.95]) AS level,
        unnest(forecasts)::BIGINT AS forecasts,
        unnest(held)::BIGINT AS held
    FROM sliced
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
