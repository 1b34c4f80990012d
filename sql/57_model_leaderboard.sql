-- Models ranked by their realised forecasts at each step, each compared with the martingale of constant volatility.
-- basis: 'runs' for forecasts of runs made as the days passed; for those of an evaluation of past dates, its run_id.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
-- place: Rank by relative_crps at this step, 1 the best; null for a model that lacks some of the forecasts of others.
-- forecasts: Number of realised forecasts that both the model and the martingale made.
-- dates: Number of cutoffs that gain_t counts; each is on or after the last target date of the one before, so that windows do not overlap.
-- relative_rmse: Root mean squared error / that of the martingale; below 1 is better than assuming no change.
-- relative_crps: crps / that of the martingale; below 1 is better.
-- gain_t: t statistic, over those dates, of the martingale's squared error minus the model's; with 8 dates or more, above 2 is significant.
-- crps_gain_t: t statistic, over those dates, of the martingale's crps minus the model's.
WITH RECURSIVE paired AS (
    SELECT
        m.basis,
        m.step,
        m.slice,
        m.value,
        m.model,
        m.cutoff,
        m.target_date,
        m.error,
        n.error AS base_error,
        m.crps,
        n.crps AS base_crps,
        n.sigma
    FROM forecast_slices AS m
    JOIN scored_forecasts AS n USING (basis, ticker, origin_date, step)
    WHERE n.model = 'martingale'
),
by_date AS (
    SELECT
        dense_rank() OVER (ORDER BY basis, step, slice, value, model) AS board,
        basis,
        step,
        slice,
        value,
        model,
        cutoff,
        max(target_date) AS known,
        avg((base_error ** 2 - error ** 2) / nullif(sigma, 0) ** 2) AS gain,
        avg((base_crps - crps) / nullif(sigma, 0)) AS crps_gain
    FROM paired
    GROUP BY basis, step, slice, value, model, cutoff
),
followed AS (
    SELECT by_date.*, later.cutoff AS next
    FROM by_date
    ASOF LEFT JOIN by_date AS later ON by_date.board = later.board AND by_date.known <= later.cutoff
),
apart AS (
    SELECT * FROM followed QUALIFY row_number() OVER (PARTITION BY board ORDER BY cutoff) = 1
    UNION ALL
    SELECT followed.*
    FROM apart
    JOIN followed ON followed.board = apart.board AND followed.cutoff = apart.next
),
tested AS (
    SELECT
        basis,
        step,
        slice,
        value,
        model,
        count(*) AS dates,
        CASE WHEN stddev_samp(gain) > 1e-9 * abs(avg(gain)) THEN
            avg(gain) / stddev_samp(gain) * sqrt(count(*))
        END AS gain_t,
        CASE WHEN stddev_samp(crps_gain) > 1e-9 * abs(avg(crps_gain)) THEN
            avg(crps_gain) / stddev_samp(crps_gain) * sqrt(count(*))
        END AS crps_gain_t
    FROM apart
    GROUP BY basis, step, slice, value, model
),
scored AS (
    SELECT
        basis,
        step,
        slice,
        value,
        model,
        count(*) AS forecasts,
        sqrt(avg(error ** 2) / nullif(avg(base_error ** 2), 0)) AS relative_rmse,
        avg(crps) AS crps,
        avg(crps) / nullif(avg(base_crps), 0) AS relative_crps
    FROM paired
    GROUP BY basis, step, slice, value, model
)
SELECT
    s.basis,
    s.step,
    s.slice,
    s.value,
    CASE WHEN s.forecasts = max(s.forecasts) OVER (PARTITION BY s.basis, s.step, s.slice, s.value) THEN
        rank() OVER (PARTITION BY s.basis, s.step, s.slice, s.value, s.forecasts ORDER BY round(s.relative_crps, 9))
    END AS place,
    s.model,
    s.forecasts,
    t.dates,
    s.relative_rmse,
    s.crps,
    s.relative_crps,
    t.gain_t,
    t.crps_gain_t
FROM scored AS s
JOIN tested AS t
    ON t.basis = s.basis AND t.step = s.step AND t.slice = s.slice AND t.model = s.model
    AND t.value IS NOT DISTINCT FROM s.value;
