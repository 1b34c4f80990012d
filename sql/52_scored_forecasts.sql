-- Realised forecasts, each once: of several nights that forecast the same, the first.
SELECT o.*
FROM forecast_outcomes AS o
JOIN runs AS r USING (run_id)
QUALIFY row_number() OVER (
    PARTITION BY o.basis, o.ticker, o.model, o.origin_date, o.step ORDER BY r.started_at, o.run_id
) = 1;
