-- What each order was made from: its target, the signal, the forecast, and the bars, with the runs and snapshots they came from.
-- state: Newest state of the order.
-- target_reason: Reason for the target's weight.
-- action: Action of the ticker's signal.
-- expected_return: Median simple return over the horizon that the signal has.
-- forecast_run_id: Run that made the forecast that the signal reads.
-- bars_snapshot_id: Snapshot whose bars the forecast read: select … from bars at (version => bars_snapshot_id).
-- last_bar_batch_id: Batch of the bar on the origin date; see raw.batches.
-- source: Source that the batch came from.
SELECT
    o.order_id,
    o.account,
    o.ticker,
    o.side,
    o.quantity,
    (SELECT arg_max(e.state, e.sequence) FROM order_events AS e WHERE e.order_id = o.order_id) AS state,
    o.run_id,
    o.snapshot_id,
    o.target_run_id,
    o.target_weight,
    t.core_weight,
    t.tilt,
    t.reason AS target_reason,
    o.signal_run_id,
    s.action,
    s.expected_return,
    s.forecast_run_id,
    s.forecast_snapshot_id AS bars_snapshot_id,
    s.origin_date,
    s.last_bar_batch_id,
    b.origin AS source
FROM orders AS o
LEFT JOIN targets AS t ON t.run_id = o.target_run_id AND t.portfolio = o.account AND t.ticker = o.ticker
LEFT JOIN signals AS s ON s.run_id = o.signal_run_id AND s.ticker = o.ticker
LEFT JOIN raw.batches AS b ON b.batch_id = s.last_bar_batch_id;
