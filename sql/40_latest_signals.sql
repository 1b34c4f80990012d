-- Signals of the newest run.
SELECT s.*
FROM signals AS s
JOIN run_outputs AS o ON o.output_run_id = s.run_id AND o.stage = 'signals'
JOIN latest_run AS r ON r.run_id = o.run_id;
