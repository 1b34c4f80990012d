-- Targets of the newest run: how much of each ticker to hold.
SELECT t.*
FROM targets AS t
JOIN run_outputs AS o ON o.output_run_id = t.run_id AND o.stage = 'portfolio'
JOIN latest_run AS r ON r.run_id = o.run_id;
