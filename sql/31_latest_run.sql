-- The newest run of the whole pipeline that is done.
SELECT *
FROM runs
WHERE kind = 'run' AND status = 'done'
ORDER BY finished_at DESC, run_id DESC
LIMIT 1;
