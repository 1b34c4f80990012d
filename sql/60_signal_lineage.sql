-- The runs, the snapshot and the batch of bars that each signal was computed from.
-- signal_run_id: Run that made the signal.
-- forecast_run_id: Run that made the forecast that the signal reads.
-- volatility_run_id: Run that made the volatility that the signal reads.
-- bars_snapshot_id: Snapshot whose bars the forecast read: select … from bars at (version => bars_snapshot_id).
-- last_bar_batch_id: Batch of the bar on the origin date; see raw.batches.
-- source: Source that the batch came from.
-- path: File that the batch was read from; null if it was not a file.
-- landed_at: When the batch landed, UTC.
SELECT
    s.ticker,
    s.action,
    s.origin_date,
    s.run_id AS signal_run_id,
    s.forecast_run_id,
    s.volatility_run_id,
    s.forecast_snapshot_id AS bars_snapshot_id,
    s.last_bar_batch_id,
    b.origin AS source,
    b.path,
    b.landed_at
FROM signals AS s
LEFT JOIN raw.batches AS b ON b.batch_id = s.last_bar_batch_id;
