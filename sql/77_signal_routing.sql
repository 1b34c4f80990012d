-- For each ticker of the newest run, which action counts: the forecast's signal, or the language model's opinion where there is none that is fresh, the opinion is, and the model has proved itself.
-- route: 'time_series' for the signal of the forecast, 'model' for the opinion of the language model, 'none' if neither counts.
-- action: The action that counts; null for none.
-- signal_action: Action of the forecast's signal; null if it is missing.
-- signal_problem: Why that signal is missing or stale, in a sentence; null if it is fresh.
-- opinion_action: Action of the language model's opinion, whether it counts or not; null if it has none.
-- abstains_because: Why the language model's opinion does not count, in a sentence; null if it does.
-- time_series_primary: Setting llm.time_series_primary of the run: a fresh signal of the forecast goes before an opinion.
-- Opinions and signals are grouped, although a run has one of each ticker: so joins by ticker are known to be of one row.
WITH opinion AS (
    SELECT
        p.ticker,
        max_by(p.action, p.run_id) AS action,
        max_by(p.reason, p.run_id) AS reason,
        max_by(p.model_sha256, p.run_id) AS model_sha256,
        bool_and(p.time_series_primary) AS time_series_primary,
        bool_or(coalesce(p.next_session <= p.cutoff, true)) AS is_old,
        max(p.origin_date) AS origin_date
    FROM llm_opinions AS p
    JOIN run_outputs AS o ON o.output_run_id = p.run_id AND o.stage = 'opinions'
    -- A run without a model leaves the opinions of an earlier run, which may be of an earlier day.
    JOIN latest_run AS r ON r.run_id = o.run_id AND r.as_of = p.cutoff
    GROUP BY p.ticker
),
signal AS (
    SELECT ticker, max_by(action, run_id) AS action
    FROM latest_signals
    GROUP BY ticker
),
excluded AS (
    SELECT
        ticker,
        arg_min(detail, CASE reason WHEN 'late' THEN 2 WHEN 'stale' THEN 1 ELSE 3 END) AS detail,
        bool_or(reason IN ('late', 'stale')) AS is_stale
    FROM latest_exclusions
    GROUP BY ticker
),
asked AS (
    SELECT ticker FROM signal
    UNION
    SELECT ticker FROM excluded
    UNION
    SELECT ticker FROM opinion
),
known AS (
    SELECT
        ticker,
        s.action AS signal_action,
        CASE
            WHEN s.action IS NULL THEN 'There is no signal: ' || coalesce(e.detail, 'the ticker was left out.')
            WHEN e.is_stale THEN 'The signal is stale: ' || coalesce(e.detail, 'from an older bar.')
        END AS signal_problem,
        p.action AS opinion_action,
        p.reason AS opinion_reason,
        coalesce(p.time_series_primary, true) AS time_series_primary,
        coalesce(c.beats_martingale, false) AS is_proven,
        CASE
            WHEN p.action IS NULL THEN 'The language model has no opinion.'
            WHEN p.is_old THEN 'Its opinion is from an old bar, of ' || p.origin_date || ': there have been sessions since.'
            WHEN c.reason IS NULL THEN 'None of its opinions is resolved yet, and the test needs 100.'
            WHEN NOT c.beats_martingale THEN c.reason
        END AS discounted_because
    FROM asked
    LEFT JOIN signal AS s USING (ticker)
    LEFT JOIN excluded AS e USING (ticker)
    LEFT JOIN opinion AS p USING (ticker)
    LEFT JOIN llm_scores AS c ON c.model_sha256 = p.model_sha256 AND c.basis = 'runs'
),
routed AS (
    SELECT
        *,
        CASE
            WHEN discounted_because IS NULL AND (signal_problem IS NOT NULL OR NOT time_series_primary) THEN 'model'
            WHEN signal_problem IS NULL THEN 'time_series'
            ELSE 'none'
        END AS route
    FROM known
)
SELECT
    ticker,
    route,
    CASE route WHEN 'model' THEN opinion_action WHEN 'time_series' THEN signal_action END AS action,
    signal_action,
    signal_problem,
    opinion_action,
    CASE
        WHEN route = 'model' THEN NULL
        WHEN discounted_because IS NOT NULL THEN discounted_because
        ELSE 'The signal of the forecast is fresh, and goes first (llm.time_series_primary).'
    END AS abstains_because,
    time_series_primary
FROM routed;
