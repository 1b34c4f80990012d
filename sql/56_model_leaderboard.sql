-- The models of realised forecasts, best first at each step, each beside the martingale of constant volatility.
-- place: 1 is the lowest relative_crps at this step; models without some of the forecasts are not set back for it.
-- forecasts: Realised forecasts that both the model and the martingale made.
-- dates: Origin dates among them.
-- relative_rmse: Root mean squared error over the martingale's, which is that of no change: below 1 is better.
-- relative_crps: crps over the martingale's.
-- gain_t: t statistic over origin dates of how much less the squared error is; with 8 dates or more, beyond 2 is hardly chance.
-- crps_gain_t: The same of the crps. Both take the dates' windows not to overlap.
WITH paired AS (
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
tested AS (
    SELECT
        basis,
        model,
        step,
        count(*) AS dates,
        avg(gain) / nullif(stddev_samp(gain), 0) * sqrt(count(*)) AS gain_t,
        avg(crps_gain) / nullif(stddev_samp(crps_gain), 0) * sqrt(count(*)) AS crps_gain_t
    FROM by_date
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
    rank() OVER (PARTITION BY basis, step ORDER BY round(relative_crps, 9)) AS place,
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
