-- Weights of the models in the newest run's ensemble, with the out-of-sample errors behind them.
SELECT w.*
FROM model_weights AS w
JOIN run_outputs AS o ON o.output_run_id = w.run_id AND o.stage = 'forecast'
JOIN latest_run AS r ON r.run_id = o.run_id;
