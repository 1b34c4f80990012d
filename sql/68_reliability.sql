-- How often what a signal's probabilities say came true: for each probability, in whole percent, the frequency, as it was and by isotonic regression (the reliability diagram CORP of Dimitriadis, Gneiting and Jordan 2021).
-- basis: 'runs' for signals made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- event: 'gain' or 'loss'; see signal_events.
-- slice: What the row counts: 'all' signals, or those of an 'action', a 'horizon', a 'regime' of volatility, or by 'edge'.
-- value: The action, the horizon in sessions, the regime, or of edges 'discovered' (it may lead to BUY or SELL), 'claimed' (proven for the ticker alone) or 'none'; null for 'all'.
-- probability: Probability that the signals gave, rounded to a whole percent.
-- signals: Number of signals with it.
-- came_true: Share of them for which the event happened.
-- isotonic: The same, made to rise with the probability by isotonic regression: what the probability was worth. It needs no choice of bins.
WITH counted AS (
    SELECT
        basis,
        event,
        action,
        horizon::VARCHAR AS horizon,
        regime,
        edge,
        probability,
        count(*) AS n,
        sum(happened) AS hits
    FROM signal_events
    GROUP BY ALL
),
sliced AS (
    SELECT
        basis,
        event,
        CASE GROUPING(action, horizon, regime, edge)
            WHEN 7 THEN 'action' WHEN 11 THEN 'horizon' WHEN 13 THEN 'regime' WHEN 14 THEN 'edge' ELSE 'all'
        END AS slice,
        coalesce(action, horizon, regime, edge) AS value,
        probability,
        sum(n)::BIGINT AS n,
        sum(hits)::BIGINT AS hits
    FROM counted
    GROUP BY GROUPING SETS (
        (basis, event, probability),
        (basis, event, probability, action),
        (basis, event, probability, horizon),
        (basis, event, probability, regime),
        (basis, event, probability, edge)
    )
),
placed AS (
    SELECT
        *,
        dense_rank() OVER (ORDER BY basis, event, slice, value) AS diagram,
        row_number() OVER own AS place,
        sum(n) OVER own AS signals_up_to,
        sum(hits) OVER own AS hits_up_to
    FROM sliced
    WINDOW own AS (PARTITION BY basis, event, slice, value ORDER BY probability)
),
means AS (
    -- The frequency over each run of neighbouring probabilities, from one place to a later one.
    SELECT
        f.diagram,
        f.place AS first,
        l.place AS last,
        (l.hits_up_to - f.hits_up_to + f.hits) / (l.signals_up_to - f.signals_up_to + f.n) AS mean
    FROM placed AS f
    JOIN placed AS l ON l.diagram = f.diagram AND l.place >= f.place
),
lowest AS (
    SELECT
        diagram,
        last AS place,
        min(mean) OVER (PARTITION BY diagram, first ORDER BY last DESC) AS mean
    FROM means
),
fitted AS (
    -- Isotonic regression: of all runs that begin here or before, the largest of their smallest means that end here or later.
    SELECT diagram, place, max(mean) AS isotonic FROM lowest GROUP BY diagram, place
)
SELECT
    p.basis,
    p.event,
    p.slice,
    p.value,
    p.probability,
    p.n AS signals,
    p.hits / p.n AS came_true,
    f.isotonic
FROM placed AS p
JOIN fitted AS f ON f.diagram = p.diagram AND f.place = p.place;
