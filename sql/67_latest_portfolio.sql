-- The allocators of the newest run, compared: the one in use, and those computed beside it.
SELECT p.*
FROM portfolio_runs AS p
JOIN run_outputs AS o ON o.output_run_id = p.run_id AND o.stage = 'portfolio'
JOIN latest_run AS r ON r.run_id = o.run_id;
