-- Orders that can still be traded, as they are now.
-- state: Newest state; see docs/vocabulary.md.
-- broker_order_id: The order's name at the broker.
-- quantity: Number of shares ordered, after splits.
-- limit_price: Limit, after splits.
-- stop_price: Stop, after splits.
-- filled: Number of shares traded, in shares of today.
-- since: Time of the newest state, in UTC.
WITH ratios AS (
    SELECT order_id, sequence, split_part(ratio, '/', 1)::DOUBLE / split_part(ratio, '/', 2)::DOUBLE AS ratio
    FROM order_events
    WHERE ratio IS NOT NULL
),
newest AS (
    SELECT
        order_id,
        arg_max(state, sequence) AS state,
        arg_max(broker_order_id, sequence) AS broker_order_id,
        max(recorded_at) AS since
    FROM order_events
    GROUP BY order_id
),
traded AS (
    SELECT order_id, sum(quantity) AS filled
    FROM (
        SELECT f.order_id, f.quantity * coalesce(product(r.ratio), 1) AS quantity
        FROM fills AS f
        LEFT JOIN ratios AS r ON r.order_id = f.order_id AND r.sequence > f.sequence
        GROUP BY f.order_id, f.fill_id, f.quantity
    )
    GROUP BY order_id
),
splits AS (SELECT order_id, product(ratio) AS ratio FROM ratios GROUP BY order_id)
SELECT
    o.account,
    o.order_id,
    o.ticker,
    o.side,
    (o.quantity * coalesce(s.ratio, 1))::DECIMAL(18, 9) AS quantity,
    coalesce(t.filled, 0)::DECIMAL(18, 9) AS filled,
    o.order_type,
    (o.limit_price / coalesce(s.ratio, 1))::DECIMAL(18, 6) AS limit_price,
    (o.stop_price / coalesce(s.ratio, 1))::DECIMAL(18, 6) AS stop_price,
    o.time_in_force,
    o.purpose,
    n.state,
    n.broker_order_id,
    n.since,
    o.run_id
FROM orders AS o
JOIN newest AS n ON n.order_id = o.order_id
LEFT JOIN traded AS t ON t.order_id = o.order_id
LEFT JOIN splits AS s ON s.order_id = o.order_id
WHERE n.state IN ('planned', 'sent', 'accepted', 'partly_filled', 'unknown');
