-- Weights of the models in the ensembles of the newest run, with the out-of-sample errors that they rest on.
SELECT w.*
FROM model_weights AS w
JOIN run_outputs AS o ON o.output_run_id = w.run_id AND o.stage = 'forecast'
JOIN latest_run AS r ON r.run_id = o.run_id;
