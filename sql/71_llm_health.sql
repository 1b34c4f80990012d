-- Whether the language model did well in each run: calls that were cut off or had no valid output, and stages that had to do without it.
-- calls: Number of calls; those read from the record are not among them.
-- deadline_misses: Number of calls that their deadline cut off.
-- invalid: Number of calls whose output was not complete or did not pass the check of the part that asked.
-- p95_seconds: Seconds that 95% of the calls did not exceed.
-- degraded: Stages whose result is less than it should be, and why; the next run does them again. Null if there is none.
-- status: 'good'; 'degraded' if a stage is; 'slow' if the deadline cut a call off; 'invalid' if an output of a complete call was not valid.
WITH asked AS (
    SELECT
        run_id,
        cutoff,
        model,
        model_sha256,
        count(*) AS calls,
        count_if(NOT deadline_met) AS deadline_misses,
        count_if(NOT valid) AS invalid,
        quantile_cont(seconds, 0.95) AS p95_seconds,
        bool_or(deadline_met AND NOT valid) AS has_invalid
    FROM llm_calls
    GROUP BY run_id, cutoff, model, model_sha256
),
without AS (
    SELECT run_id, string_agg(stage || ': ' || degraded, '; ' ORDER BY stage) AS degraded
    FROM run_outputs
    WHERE degraded IS NOT NULL AND stage IN ('sentiment', 'opinions', 'llm')
    GROUP BY run_id
)
SELECT
    run_id,
    a.cutoff,
    a.model,
    a.model_sha256,
    coalesce(a.calls, 0) AS calls,
    coalesce(a.deadline_misses, 0) AS deadline_misses,
    coalesce(a.invalid, 0) AS invalid,
    a.p95_seconds,
    w.degraded,
    CASE
        WHEN w.degraded IS NOT NULL THEN 'degraded'
        WHEN a.has_invalid THEN 'invalid'
        WHEN a.deadline_misses > 0 THEN 'slow'
        ELSE 'good'
    END AS status
FROM asked AS a
FULL JOIN without AS w USING (run_id);
