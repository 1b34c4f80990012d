-- Forecasts of the newest run, of every model. The forecast to use is that of model 'ensemble'.
SELECT f.*
FROM forecasts AS f
JOIN run_outputs AS o ON o.output_run_id = f.run_id AND o.stage = 'forecast'
JOIN latest_run AS r ON r.run_id = o.run_id;
