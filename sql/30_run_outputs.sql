-- For each stage of each run, the run whose rows are its result: the run itself, or an earlier run with equal inputs.
SELECT run_id, stage, output_run_id, status, seconds, rows, peak_memory_mb, snapshot_id, summary, degraded, error
FROM stage_events
QUALIFY row_number() OVER (PARTITION BY run_id, stage ORDER BY attempt DESC, finished_at DESC) = 1;
