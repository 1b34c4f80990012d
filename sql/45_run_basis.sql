-- For each run, the basis on which its forecasts are scored: those made as the days passed are scored together.
-- basis: 'runs' for runs as the days passed; for an evaluation or a backtest of past dates, or a look at a past day, its run_id.
SELECT
    run_id,
    started_at,
    -- The scope of a run is known when it is done. Until then its as_of is the day asked for, null where none was.
    CASE WHEN kind IN ('evaluate', 'backtest') OR scope = 'past' OR (scope IS NULL AND status <> 'done' AND as_of IS NOT NULL)
        THEN run_id ELSE 'runs' END AS basis
FROM runs;
