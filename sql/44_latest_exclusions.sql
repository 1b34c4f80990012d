-- What the newest run could not serve, or served in a lesser way, and why.
SELECT e.*
FROM exclusions AS e
JOIN run_outputs AS o ON o.output_run_id = e.run_id AND o.stage = e.stage
JOIN latest_run AS r ON r.run_id = o.run_id;
