-- Models ranked by their realised forecasts at each step, each compared with the martingale of constant volatility.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
-- place: Rank by relative_crps at this step, 1 the best; null for a model that lacks some of the forecasts of others (missing).
-- forecasts: Number of realised forecasts that both the model and the martingale made.
-- missing: Number of forecasts that another model made and this one did not; with any, it has no place.
-- dates: Number of cutoffs that gain_t counts; each is on or after the last outcome date of the one before, so that windows do not overlap.
-- relative_rmse: Root mean squared error / that of the martingale; below 1 is better than assuming no change.
-- crps: Mean continuous ranked probability score of the log return.
-- relative_crps: crps / that of the martingale; below 1 is better.
-- gain_t: t statistic, over those dates, of the martingale's squared error minus the model's; with 8 dates or more, above 2 is significant.
-- crps_gain_t: t statistic, over those dates, of the martingale's crps minus the model's.
WITH base AS (
    SELECT basis, run_id, ticker, origin_date, step, error AS base_error, crps AS base_crps, nullif(sigma, 0) AS base_sigma
    FROM scored_forecasts
    WHERE model = 'martingale'
),
paired AS (
    -- scored_forecasts need not be computed twice: what counts of a ticker and an origin date is of one run.
    SELECT *, date_trunc('month', target_date) AS month
    FROM (SELECT * EXCLUDE (basis) FROM forecast_outcomes)
    JOIN base USING (run_id, ticker, origin_date, step)
    WHERE crps IS NOT NULL
),
summed AS MATERIALIZED (
    SELECT
        basis,
        step,
        model,
        regime,
        month,
        ticker,
        count(*) AS forecasts,
        sum(error ** 2) AS squares,
        sum(base_error ** 2) AS base_squares,
        sum(crps) AS crps,
        sum(base_crps) AS base_crps,
        list({
            'cutoff': cutoff,
            'known': outcome_date,
            'gain': (base_error ** 2 - error ** 2) / base_sigma ** 2,
            'crps_gain': (base_crps - crps) / base_sigma
        }) AS outcomes
    FROM paired
    GROUP BY ALL
),
scored AS (
    SELECT
        basis,
        step,
        model,
        CASE GROUPING(regime, month, ticker) WHEN 3 THEN 'regime' WHEN 5 THEN 'month' WHEN 6 THEN 'ticker' ELSE 'all' END
            AS slice,
        coalesce(regime, strftime(month, '%Y-%m'), ticker) AS value,
        sum(forecasts)::BIGINT AS forecasts,
        sqrt(sum(squares) / nullif(sum(base_squares), 0)) AS relative_rmse,
        sum(crps) / sum(forecasts) AS crps,
        sum(crps) / nullif(sum(base_crps), 0) AS relative_crps
    FROM summed
    GROUP BY GROUPING SETS (
        (basis, step, model), (basis, step, model, regime), (basis, step, model, month), (basis, step, model, ticker)
    )
),
by_date AS (
    SELECT
        basis,
        step,
        model,
        regime,
        month,
        outcome.cutoff,
        max(outcome.known) AS known,
        sum(outcome.gain) AS gain,
        count(outcome.gain) AS gains,
        sum(outcome.crps_gain) AS crps_gain
    FROM (SELECT basis, step, model, regime, month, unnest(outcomes) AS outcome FROM summed)
    GROUP BY ALL
),
series AS (
    SELECT basis, step, model, 'ticker' AS slice, ticker AS value, flatten(list(outcomes)) AS outcomes
    FROM summed
    GROUP BY ALL
    UNION ALL
    SELECT
        basis,
        step,
        model,
        slice,
        value,
        list({'cutoff': cutoff, 'known': known, 'gain': gain, 'crps_gain': crps_gain})
    FROM (
        SELECT
            basis,
            step,
            model,
            CASE GROUPING(regime, month) WHEN 1 THEN 'regime' WHEN 2 THEN 'month' ELSE 'all' END AS slice,
            coalesce(regime, strftime(month, '%Y-%m')) AS value,
            cutoff,
            max(known) AS known,
            sum(gain) / nullif(sum(gains), 0) AS gain,
            sum(crps_gain) / nullif(sum(gains), 0) AS crps_gain
        FROM by_date
        GROUP BY GROUPING SETS (
            (basis, step, model, cutoff), (basis, step, model, regime, cutoff), (basis, step, model, month, cutoff)
        )
    )
    GROUP BY ALL
),
folded AS (
    -- Dates in order, each skipped if it is before the last outcome date of the one kept before. Of those kept: their
    -- number, and the mean and the sum of squared deviations of the gains (Welford 1962); "gains" is 0 for a null gain.
    SELECT
        basis,
        step,
        model,
        slice,
        value,
        list_reduce(
            list_transform(list_sort(outcomes), lambda o: {
                'cutoff': o.cutoff,
                'known': o.known,
                'dates': 1::BIGINT,
                'gains': (o.gain IS NOT NULL)::DOUBLE,
                'mean': coalesce(o.gain, 0.0),
                'squares': 0.0::DOUBLE,
                'crps_mean': coalesce(o.crps_gain, 0.0),
                'crps_squares': 0.0::DOUBLE
            }),
            lambda kept, o: CASE WHEN o.cutoff < kept.known THEN kept ELSE {
                'cutoff': o.cutoff,
                'known': o.known,
                'dates': kept.dates + 1,
                'gains': kept.gains + o.gains,
                'mean': kept.mean + (o.mean - kept.mean) * o.gains / greatest(1, kept.gains + o.gains),
                'squares': kept.squares
                    + (o.mean - kept.mean) ** 2 * kept.gains * o.gains / greatest(1, kept.gains + o.gains),
                'crps_mean': kept.crps_mean
                    + (o.crps_mean - kept.crps_mean) * o.gains / greatest(1, kept.gains + o.gains),
                'crps_squares': kept.crps_squares
                    + (o.crps_mean - kept.crps_mean) ** 2 * kept.gains * o.gains / greatest(1, kept.gains + o.gains)
            } END
        ) AS kept
    FROM series
),
tested AS (
    SELECT
        basis,
        step,
        model,
        slice,
        value,
        kept.dates AS dates,
        kept.mean AS gain,
        sqrt(kept.squares / nullif(kept.gains - 1, 0)) AS deviation,
        kept.crps_mean AS crps_gain,
        sqrt(kept.crps_squares / nullif(kept.gains - 1, 0)) AS crps_deviation
    FROM folded
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
    max(s.forecasts) OVER (PARTITION BY s.basis, s.step, s.slice, s.value) - s.forecasts AS missing,
    t.dates,
    s.relative_rmse,
    s.crps,
    s.relative_crps,
    CASE WHEN t.deviation > 1e-9 * abs(t.gain) THEN t.gain / t.deviation * sqrt(t.dates) END AS gain_t,
    CASE WHEN t.crps_deviation > 1e-9 * abs(t.crps_gain) THEN t.crps_gain / t.crps_deviation * sqrt(t.dates) END
        AS crps_gain_t
FROM scored AS s
JOIN tested AS t
    ON t.basis = s.basis AND t.step = s.step AND t.slice = s.slice AND t.model = s.model
    AND t.value IS NOT DISTINCT FROM s.value;
