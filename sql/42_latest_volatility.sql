-- Volatility forecasts of the newest run.
SELECT v.*
FROM volatility AS v
JOIN run_outputs AS o ON o.output_run_id = v.run_id AND o.stage = 'volatility'
JOIN latest_run AS r ON r.run_id = o.run_id;
