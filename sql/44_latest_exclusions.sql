-- Tickers that the newest run left out, or computed from less data or with a simpler model than usual, and why.
SELECT e.*
FROM exclusions AS e
JOIN run_outputs AS o ON o.output_run_id = e.run_id AND o.stage = e.stage
JOIN latest_run AS r ON r.run_id = o.run_id;
