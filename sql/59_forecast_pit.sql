-- The probability integral transform of the forecasts: how often the realised close was between two neighbouring quantiles, beside how often it should be. By model and step: of all, and by regime.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility.
-- value: The regime; null for 'all'.
-- lower: Level of the quantile below; 0 for none.
-- upper: Level of the quantile above; 1 for none.
-- forecasts: Number of realised forecasts of the slice.
-- inside: Number of them whose realised close was between these quantiles.
-- share: inside / forecasts.
-- expected: upper − lower: the share if the distributions are right.
WITH counted AS (
    SELECT basis, model, step, regime, quantiles_below, count(*) AS n
    FROM scored_forecasts
    GROUP BY ALL
),
sliced AS (
    SELECT
        basis,
        model,
        step,
        CASE GROUPING(regime) WHEN 0 THEN 'regime' ELSE 'all' END AS slice,
        regime AS value,
        [0, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975] AS lowers,
        [0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 1] AS uppers,
        list({'place': quantiles_below, 'n': n}) AS counts,
        sum(n)::BIGINT AS forecasts
    FROM counted
    GROUP BY GROUPING SETS ((basis, model, step), (basis, model, step, regime))
),
bins AS (
    SELECT * EXCLUDE (lowers, uppers, counts), unnest([
        {
            'lower': lowers[place + 1]::DOUBLE,
            'upper': uppers[place + 1]::DOUBLE,
            'inside': coalesce(list_sum([c.n FOR c IN counts IF c.place = place]), 0)::BIGINT
        } FOR place IN range(10)
    ], recursive := true)
    FROM sliced
)
SELECT
    basis,
    model,
    step,
    slice,
    value,
    lower,
    upper,
    forecasts,
    inside,
    inside / forecasts AS share,
    upper - lower AS expected
FROM bins;
