-- Whether a language model's opinions have beaten the martingale: only then do they count in signal_routing.
-- basis: 'runs' for opinions given as the days passed; for those of a look at a past day, its run_id.
-- model: Name of the model, as pm models list shows it.
-- calls: Number of opinions whose horizon is over; of several on a ticker from one date, the first counts.
-- dates: Number of origin dates that the test counts: each is on or after the last outcome of the one before, so that horizons do not overlap.
-- brier: Mean squared difference between the probability of a rise and what happened.
-- relative_brier: brier / that of the martingale, which is 0.25; below 1 is better.
-- statistic: Diebold-Mariano statistic of the mean gains of those dates.
-- critical: Value that it must exceed: the 95% quantile of Student's t, for a one-sided test at 5%.
-- beats_martingale: Whether there are 100 calls or more and 8 dates or more, and the statistic exceeds the critical value.
-- reason: Why, in a sentence.
WITH counted AS (
    SELECT *
    FROM llm_opinion_outcomes
    QUALIFY row_number() OVER (PARTITION BY basis, model_sha256, ticker, origin_date ORDER BY run_id) = 1
),
daily AS (
    SELECT basis, model_sha256, origin_date, avg(gain) AS gain, max(outcome_date) AS known
    FROM counted
    GROUP BY ALL
),
folded AS (
    -- Dates in order, each skipped if it is before the last outcome of the one kept before.
    SELECT
        basis,
        model_sha256,
        list_reduce(
            list_sort(list({'origin': origin_date, 'known': known, 'gains': [gain]})),
            lambda kept, o: CASE WHEN o.origin < kept.known THEN kept ELSE {
                'origin': o.origin, 'known': o.known, 'gains': list_concat(kept.gains, o.gains)
            } END
        ).gains AS gains
    FROM daily
    GROUP BY basis, model_sha256
),
tested AS (
    SELECT
        basis,
        model_sha256,
        len(gains) AS dates,
        CASE WHEN len(gains) > 1 AND list_stddev_samp(gains) > 0
            THEN list_avg(gains) / list_stddev_samp(gains) * sqrt(len(gains)) END AS statistic,
        -- Cornish-Fisher expansion of the quantile (Abramowitz and Stegun 26.7.5), with z = 1.6449: exact to 0.001 here.
        CASE WHEN len(gains) >= 8 THEN
            1.6448536 + 1.5237691 / (len(gains) - 1) + 1.420203 / (len(gains) - 1) ** 2 + 0.9830015 / (len(gains) - 1) ** 3
        END AS critical
    FROM folded
),
summed AS (
    SELECT
        basis,
        any_value(model) AS model,
        model_sha256,
        count(*) AS calls,
        avg(brier) AS brier,
        avg(brier) / 0.25 AS relative_brier
    FROM counted
    GROUP BY basis, model_sha256
)
SELECT
    s.basis,
    s.model,
    s.model_sha256,
    s.calls,
    t.dates,
    s.brier,
    s.relative_brier,
    t.statistic,
    t.critical,
    s.calls >= 100 AND t.dates >= 8 AND coalesce(t.statistic > t.critical, false) AS beats_martingale,
    CASE
        WHEN s.calls < 100 THEN 'It has ' || s.calls || ' resolved opinions, and the test needs 100.'
        WHEN t.dates < 8 THEN 'Its opinions are from ' || t.dates || ' dates whose horizons do not overlap; the test needs 8.'
        WHEN t.statistic > t.critical THEN 'It has beaten the martingale in ' || s.calls || ' resolved opinions.'
        ELSE 'It has not beaten the martingale in ' || s.calls || ' resolved opinions.'
    END AS reason
FROM summed AS s
JOIN tested AS t USING (basis, model_sha256);
