-- From a signal back to the bars it came from: runs, snapshot, and the batch of the last bar.
-- signal_run_id: Run that decided.
-- forecast_run_id: Run whose forecast was read.
-- volatility_run_id: Run whose volatility was read.
-- bars_snapshot_id: Snapshot whose bars the forecast read: select … from bars at (version => bars_snapshot_id).
-- last_bar_batch_id: Batch of the bar on the origin date; see raw.batches.
SELECT
    s.ticker,
    s.action,
    s.origin_date,
    s.run_id AS signal_run_id,
    json_extract_string(s.provenance, '$.forecast_run_id') AS forecast_run_id,
    json_extract_string(s.provenance, '$.volatility_run_id') AS volatility_run_id,
    json_extract(s.provenance, '$.snapshot_id')::BIGINT AS bars_snapshot_id,
    json_extract_string(s.provenance, '$.last_bar_batch_id') AS last_bar_batch_id,
    a.origin AS source,
    a.path,
    a.landed_at
FROM signals AS s
LEFT JOIN raw.batches AS a ON a.batch_id = json_extract_string(s.provenance, '$.last_bar_batch_id');
