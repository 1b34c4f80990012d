-- Tickers that each run left out, or computed from less than usual, and why; where an earlier run's result stands, its.
-- run_id: Run.
-- output_run_id: Run that computed the stage's result: the run itself, or an earlier one whose result stands.
SELECT
    o.run_id,
    e.stage,
    e.ticker,
    e.reason,
    e.detail,
    o.output_run_id,
    e.snapshot_id,
    e.cutoff
FROM exclusions AS e
JOIN run_outputs AS o ON o.output_run_id = e.run_id AND o.stage = e.stage;
