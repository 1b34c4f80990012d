-- What the tables say about each ticker of the newest run, in words, and its risk level.
SELECT c.*, a.level AS risk_level, a.points AS risk_points
FROM commentary AS c
JOIN run_outputs AS o ON o.output_run_id = c.run_id AND o.stage = 'llm'
JOIN latest_run AS r ON r.run_id = o.run_id
LEFT JOIN risk_assessments AS a ON a.run_id = c.run_id AND a.ticker = c.ticker AND a.cutoff = c.cutoff;
