-- Concerns that hold about each ticker of the newest run, in the order of their weight.
SELECT h.*
FROM risk_concerns AS h
JOIN run_outputs AS o ON o.output_run_id = h.run_id AND o.stage = 'llm'
JOIN latest_run AS r ON r.run_id = o.run_id;
