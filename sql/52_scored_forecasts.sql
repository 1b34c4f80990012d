-- Realised forecasts, each counted once in a basis: of several runs that forecast a ticker from one date, the first with all quantiles.
-- basis: 'runs', or the run_id of an evaluation or of a look at a past day; and again 'evaluations': of all evaluations, the newest of a ticker, date and step.
WITH repeated AS (
    SELECT ticker, origin_date
    FROM forecasts
    JOIN run_basis USING (run_id)
    WHERE basis = 'runs'
    GROUP BY ALL
    HAVING min(run_id) <> max(run_id)
),
first_run AS (
    SELECT basis, ticker, origin_date, arg_min(run_id, {'started_at': started_at, 'run_id': run_id}) AS first_run_id
    FROM forecast_outcomes
    SEMI JOIN repeated USING (ticker, origin_date)
    JOIN runs USING (run_id)
    WHERE crps IS NOT NULL
    GROUP BY ALL
),
newest_evaluation AS (
    SELECT ticker, origin_date, step, arg_max(run_id, {'started_at': started_at, 'run_id': run_id}) AS run_id
    FROM forecasts
    JOIN runs USING (run_id)
    WHERE kind = 'evaluate'
    GROUP BY ALL
)
SELECT * EXCLUDE (first_run_id)
FROM forecast_outcomes
LEFT JOIN first_run USING (basis, ticker, origin_date)
WHERE crps IS NOT NULL AND run_id = coalesce(first_run_id, run_id)
UNION ALL BY NAME
SELECT * REPLACE ('evaluations' AS basis)
FROM forecast_outcomes
SEMI JOIN newest_evaluation USING (ticker, origin_date, step, run_id)
WHERE basis <> 'runs' AND crps IS NOT NULL;
