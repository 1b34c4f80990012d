-- Realised forecasts, each counted once: of several runs that forecast a ticker from the same date, the first with all quantiles.
WITH whole AS (
    SELECT o.*, r.started_at
    FROM forecast_outcomes AS o
    JOIN runs AS r USING (run_id)
    WHERE o.crps IS NOT NULL
)
SELECT * EXCLUDE (started_at)
FROM whole
QUALIFY run_id = first_value(run_id) OVER (PARTITION BY basis, ticker, origin_date ORDER BY started_at, run_id);
