-- The models of realised forecasts, best first at each step, each beside the martingale of constant volatility.
-- basis: 'nights' for forecasts of nightly runs; else the evaluation that made them, by its run_id.
-- place: 1 is the lowest relative_crps at this step; null for a model without some of the forecasts that others made.
-- forecasts: Realised forecasts that both the model and the martingale made.
-- dates: Origin dates that the t statistics count: the first of every `step` sessions, so that windows do not overlap.
-- relative_rmse: Root mean squared error over the martingale's, which is that of no change: below 1 is better.
-- relative_crps: crps over the martingale's.
-- gain_t: t statistic over those dates of how much less the squared error is; with 8 or more, beyond 2 is hardly chance.
-- crps_gain_t: The same of the crps.
WITH sessions AS (
    SELECT date AS origin_date, row_number() OVER (ORDER BY date) AS place
    FROM (SELECT DISTINCT date FROM bars)
),
paired AS (
    SELECT m.basis, m.model, m.step, m.origin_date, m.error, n.error AS base_error, m.crps, n.crps AS base_crps, n.sigma
    FROM scored_forecasts AS m
    JOIN scored_forecasts AS n USING (basis, ticker, origin_date, step)
    WHERE n.model = 'martingale'
),
by_date AS (
    SELECT
        basis,
        model,
        step,
        origin_date,
        avg((base_error ** 2 - error ** 2) / nullif(sigma, 0) ** 2) AS gain,
        avg((base_crps - crps) / nullif(sigma, 0)) AS crps_gain
    FROM paired
    GROUP BY basis, model, step, origin_date
),
apart AS (
    SELECT by_date.*
    FROM by_date
    JOIN sessions USING (origin_date)
    QUALIFY row_number() OVER (PARTITION BY basis, model, step, place // step ORDER BY place) = 1
),
tested AS (
    SELECT
        basis,
        model,
        step,
        count(*) AS dates,
        avg(gain) / nullif(stddev_samp(gain), 0) * sqrt(count(*)) AS gain_t,
        avg(crps_gain) / nullif(stddev_samp(crps_gain), 0) * sqrt(count(*)) AS crps_gain_t
    FROM apart
    GROUP BY basis, model, step
),
scored AS (
    SELECT
        basis,
        model,
        step,
        count(*) AS forecasts,
        sqrt(avg(error ** 2) / nullif(avg(base_error ** 2), 0)) AS relative_rmse,
        avg(crps) AS crps,
        avg(crps) / nullif(avg(base_crps), 0) AS relative_crps
    FROM paired
    GROUP BY basis, model, step
)
SELECT
    basis,
    step,
    CASE WHEN forecasts = max(forecasts) OVER (PARTITION BY basis, step) THEN
        rank() OVER (PARTITION BY basis, step, forecasts ORDER BY round(relative_crps, 9))
    END AS place,
    model,
    forecasts,
    dates,
    relative_rmse,
    crps,
    relative_crps,
    gain_t,
    crps_gain_t
FROM scored
JOIN tested USING (basis, model, step);
