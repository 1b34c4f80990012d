-- For each stage of each run, the run whose rows stand as its result: its own, or that of an equal run before.
SELECT run_id, stage, output_run_id, status, seconds, rows, peak_memory_mb, snapshot_id, summary, error
FROM stage_events
QUALIFY row_number() OVER (PARTITION BY run_id, stage ORDER BY attempt DESC, finished_at DESC) = 1;
