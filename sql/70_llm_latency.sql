-- How long calls of a language model took, by model and role: latencies, tokens a second, memory.
-- calls: Number of calls; those read from the record are not among them.
-- p50_seconds: Median of the seconds that a call took.
-- p95_seconds: Seconds that 95% of the calls did not exceed.
-- slowest_seconds: Seconds of the slowest call.
-- p50_seconds_to_first: Median of the seconds to the first token or score.
-- tokens_per_second: Tokens read and written in a second, by the clock.
-- tokens_per_processor_second: Tokens read and written in a second of one core's time.
-- deadline_misses: Number of calls that their deadline cut off.
-- memory_bytes: Largest memory of the model's process.
SELECT
    model,
    model_sha256,
    role,
    count(*) AS calls,
    quantile_cont(seconds, 0.5) AS p50_seconds,
    quantile_cont(seconds, 0.95) AS p95_seconds,
    max(seconds) AS slowest_seconds,
    quantile_cont(seconds_to_first, 0.5) AS p50_seconds_to_first,
    sum(prompt_tokens + output_tokens) / nullif(sum(seconds), 0) AS tokens_per_second,
    sum(prompt_tokens + output_tokens) / nullif(sum(processor_seconds), 0) AS tokens_per_processor_second,
    count_if(NOT deadline_met) AS deadline_misses,
    max(memory_bytes) AS memory_bytes
FROM llm_calls
GROUP BY model, model_sha256, role;
