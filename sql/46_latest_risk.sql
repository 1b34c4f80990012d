-- Risk of the portfolios of the newest run.
SELECT p.*
FROM portfolio_risk AS p
JOIN latest_run AS r ON true
JOIN run_outputs AS o ON o.run_id = r.run_id AND o.output_run_id = p.run_id AND o.stage IN ('risk', 'portfolio');
