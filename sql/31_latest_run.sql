-- The newest run of the whole watch list as of now; while there is none, the newest run of a part or of a past day. Runs
-- on the sample do not count once it was removed.
SELECT *
FROM runs
WHERE kind = 'run' AND status = 'done' AND scope IS DISTINCT FROM 'sample'
ORDER BY (scope = 'whole' OR scope IS NULL AND tickers IS NULL) DESC, finished_at DESC, run_id DESC
LIMIT 1;
