-- Whether the language model did well in each run: calls that were cut off or had no valid output.
-- calls: Number of calls; those read from the record are not among them.
-- deadline_misses: Number of calls that their deadline cut off.
-- invalid: Number of calls whose output was not complete or did not pass the check of the part that asked.
-- p95_seconds: Seconds that 95% of the calls did not exceed.
-- status: 'good'; 'slow' if the deadline cut a call off; 'invalid' if an output of a complete call was not valid.
SELECT
    run_id,
    cutoff,
    model,
    model_sha256,
    count(*) AS calls,
    count_if(NOT deadline_met) AS deadline_misses,
    count_if(NOT valid) AS invalid,
    quantile_cont(seconds, 0.95) AS p95_seconds,
    CASE
        WHEN bool_or(deadline_met AND NOT valid) THEN 'invalid'
        WHEN bool_or(NOT deadline_met) THEN 'slow'
        ELSE 'good'
    END AS status
FROM llm_calls
GROUP BY run_id, cutoff, model, model_sha256;
