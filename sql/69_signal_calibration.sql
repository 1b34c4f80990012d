-- Whether the signals' probabilities are right: the Brier score with Murphy's parts and those of isotonic regression, and a test of the mean on dates whose horizons do not overlap. By action, horizon, regime and edge.
-- basis: 'runs' for signals made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- event: 'gain' or 'loss'; see signal_events.
-- slice: What the row counts; see reliability.
-- value: See reliability.
-- signals: Number of signals.
-- dates: Number of origin dates that bias_t counts: each is on or after the last outcome of the one before, so that horizons do not overlap.
-- probability: Mean probability that was given, in whole percents.
-- came_true: Share of signals for which the event happened.
-- brier: Mean squared difference between the probability and 1 or 0 for what happened or not: reliability − resolution + uncertainty. Smaller is better.
-- reliability: Mean squared difference between each probability and the frequency of the event where it was given; 0 is right (Murphy 1973).
-- resolution: Variance of these frequencies; larger is better.
-- uncertainty: Variance of the outcome: the score of always giving its frequency.
-- miscalibration: What the score would gain with the frequencies of isotonic regression: brier = miscalibration − discrimination + uncertainty. 0 is right.
-- discrimination: What these frequencies gain over one for all; larger is better.
-- skill: 1 − brier / uncertainty: above 0, the probabilities are better than the frequency of the event would have been, which nobody knew before.
-- bias_t: t statistic of came_true − probability over those dates; beyond ±2 with 8 dates or more, the probabilities are wrong on average. Null below 8 dates.
WITH scored AS (
    SELECT
        basis,
        event,
        slice,
        value,
        sum(signals)::BIGINT AS signals,
        sum(signals * probability) / sum(signals) AS probability,
        sum(signals * came_true) / sum(signals) AS came_true,
        sum(signals * (probability ** 2 - 2 * probability * came_true + came_true)) / sum(signals) AS brier,
        sum(signals * (probability - came_true) ** 2) / sum(signals) AS reliability,
        sum(signals * came_true ** 2) / sum(signals) AS squares,
        sum(signals * (isotonic ** 2 - 2 * isotonic * came_true + came_true)) / sum(signals) AS recalibrated
    FROM reliability
    GROUP BY ALL
),
daily AS (
    SELECT
        basis,
        event,
        CASE GROUPING(action, horizon, regime, edge)
            WHEN 7 THEN 'action' WHEN 11 THEN 'horizon' WHEN 13 THEN 'regime' WHEN 14 THEN 'edge' ELSE 'all'
        END AS slice,
        coalesce(action, horizon, regime, edge) AS value,
        origin_date,
        max(known) AS known,
        avg(happened - probability) AS excess
    FROM (SELECT * REPLACE (horizon::VARCHAR AS horizon) FROM signal_events)
    GROUP BY GROUPING SETS (
        (basis, event, origin_date),
        (basis, event, origin_date, action),
        (basis, event, origin_date, horizon),
        (basis, event, origin_date, regime),
        (basis, event, origin_date, edge)
    )
),
folded AS (
    -- Dates in order, each skipped if it is before the last outcome of the one kept before.
    SELECT
        basis,
        event,
        slice,
        value,
        list_reduce(
            list_sort(list({'origin': origin_date, 'known': known, 'excesses': [excess]})),
            lambda kept, o: CASE WHEN o.origin < kept.known THEN kept ELSE {
                'origin': o.origin, 'known': o.known, 'excesses': list_concat(kept.excesses, o.excesses)
            } END
        ).excesses AS excesses
    FROM daily
    GROUP BY basis, event, slice, value
)
SELECT
    s.basis,
    s.event,
    s.slice,
    s.value,
    s.signals,
    len(f.excesses) AS dates,
    s.probability,
    s.came_true,
    s.brier,
    s.reliability,
    greatest(0, s.squares - s.came_true ** 2) AS resolution,
    s.came_true * (1 - s.came_true) AS uncertainty,
    s.brier - s.recalibrated AS miscalibration,
    s.came_true * (1 - s.came_true) - s.recalibrated AS discrimination,
    1 - s.brier / nullif(s.came_true * (1 - s.came_true), 0) AS skill,
    CASE WHEN len(f.excesses) >= 8 AND list_stddev_samp(f.excesses) > 1e-9 * abs(list_avg(f.excesses))
        THEN list_avg(f.excesses) / list_stddev_samp(f.excesses) * sqrt(len(f.excesses)) END AS bias_t
FROM scored AS s
JOIN folded AS f
    ON f.basis = s.basis AND f.event = s.event AND f.slice = s.slice AND f.value IS NOT DISTINCT FROM s.value;
