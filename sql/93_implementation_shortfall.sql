-- What carrying out each order cost beside a portfolio on paper that trades at once, at the close it was planned from, and for nothing (Perold 1988). Amounts are in the currency of the ticker; a cost is positive.
-- state: Newest state of the order.
-- quantity: Number of shares ordered, after splits.
-- filled: Number of shares traded, after splits.
-- reference_price: Close that the order was planned from, after splits.
-- arrival_date: Date of the first bar after reference_date.
-- arrival_price: Its open, after splits; null while there is none.
-- fill_price: Mean price of the trades, after splits; null without any.
-- end_date: Day on which the order was over; the newest bar while it is not.
-- end_price: Close of that day, or the last one before: the price of what was not traded.
-- delay: Cost of the move from reference_price to arrival_price, of the shares traded; 0 if there is no arrival_price.
-- execution: Cost of trading at fill_price instead of arrival_price: spread, slippage, impact, and time after the open.
-- commission: Commissions and fees.
-- opportunity: Cost of the move from reference_price to end_price, of the shares that were not traded.
-- shortfall: Sum of the four.
-- shortfall_bps: shortfall in hundredths of a percent of the value ordered at reference_price.
WITH ratios AS (
    SELECT order_id, sequence, split_part(ratio, '/', 1)::DOUBLE / split_part(ratio, '/', 2)::DOUBLE AS ratio
    FROM order_events
    WHERE ratio IS NOT NULL
),
splits AS (SELECT order_id, product(ratio) AS ratio FROM ratios GROUP BY order_id),
newest AS (
    SELECT order_id, arg_max(state, sequence) AS state, arg_max(run_id, sequence) AS run_id
    FROM order_events
    GROUP BY order_id
),
trades AS (
    SELECT
        f.order_id,
        f.fill_id,
        f.date,
        f.quantity * coalesce(product(r.ratio), 1) AS quantity,
        f.quantity::DECIMAL(28, 9) * f.price AS value,
        f.commission
    FROM fills AS f
    LEFT JOIN ratios AS r ON r.order_id = f.order_id AND r.sequence > f.sequence
    GROUP BY f.order_id, f.fill_id, f.date, f.quantity, f.price, f.commission
),
traded AS (
    SELECT
        order_id,
        sum(quantity)::DECIMAL(18, 9) AS filled,
        sum(value)::DECIMAL(18, 4) AS value,
        sum(commission) AS commission,
        max(date) AS last_date
    FROM trades
    GROUP BY order_id
),
planned AS (
    SELECT
        o.*,
        CASE o.side WHEN 'buy' THEN 1 ELSE -1 END AS sign,
        (o.quantity * coalesce(s.ratio, 1))::DECIMAL(18, 9) AS whole,
        (o.reference_price / coalesce(s.ratio, 1))::DECIMAL(18, 6) AS planned_price,
        coalesce(s.ratio, 1) AS ratio,
        n.state,
        coalesce(t.filled, 0)::DECIMAL(18, 9) AS filled,
        coalesce(t.value, 0) AS value,
        coalesce(t.commission, 0) AS paid,
        CASE WHEN n.state IN ('filled', 'cancelled', 'rejected', 'expired')
            THEN greatest(coalesce(t.last_date, o.reference_date), coalesce(r.as_of, o.reference_date))
            ELSE DATE '9999-12-31' END AS until
    FROM orders AS o
    JOIN newest AS n ON n.order_id = o.order_id
    LEFT JOIN traded AS t ON t.order_id = o.order_id
    LEFT JOIN splits AS s ON s.order_id = o.order_id
    LEFT JOIN runs AS r ON r.run_id = n.run_id
),
opens AS (SELECT ticker, date, open, lag(date) OVER (PARTITION BY ticker ORDER BY date) AS before FROM bars),
arrived AS (
    -- The first bar after reference_date is that whose bar before is the last one up to it.
    SELECT p.*, a.date AS arrival_date, a.open AS arrival_open
    FROM (
        SELECT p.*, b.date AS last_before
        FROM planned AS p
        ASOF LEFT JOIN bars AS b ON b.ticker = p.ticker AND b.date <= p.reference_date
    ) AS p
    LEFT JOIN opens AS a ON a.ticker = p.ticker AND a.before = p.last_before
),
priced AS (
    SELECT
        p.*,
        e.date AS end_date,
        e.close::DECIMAL(18, 6) AS end_price,
        -- An open before a split is in old shares: of both readings, the one that is nearer to the price planned from.
        (CASE WHEN abs(ln(p.arrival_open / p.ratio / p.planned_price)) < abs(ln(p.arrival_open / p.planned_price))
            THEN p.arrival_open / p.ratio ELSE p.arrival_open END)::DECIMAL(18, 6) AS arrival_price
    FROM arrived AS p
    ASOF LEFT JOIN bars AS e ON e.ticker = p.ticker AND e.date <= p.until
),
lines AS (
    SELECT
        *,
        sign * coalesce((filled::DECIMAL(19, 9) * (coalesce(arrival_price, planned_price) - planned_price))::DECIMAL(18, 4), 0) AS delay,
        sign * coalesce((value - filled::DECIMAL(19, 9) * coalesce(arrival_price, planned_price))::DECIMAL(18, 4), 0) AS execution,
        sign * coalesce(((whole - filled)::DECIMAL(19, 9) * (end_price - planned_price))::DECIMAL(18, 4), 0) AS opportunity
    FROM priced
)
SELECT
    account,
    order_id,
    ticker,
    side,
    purpose,
    state,
    currency,
    whole AS quantity,
    filled,
    reference_date,
    planned_price AS reference_price,
    arrival_date,
    arrival_price,
    (value / nullif(filled, 0))::DECIMAL(18, 6) AS fill_price,
    end_date,
    end_price,
    delay,
    execution,
    paid AS commission,
    opportunity,
    delay + execution + paid + opportunity AS shortfall,
    (delay + execution + paid + opportunity)::DOUBLE / nullif((whole::DOUBLE * planned_price::DOUBLE), 0) * 10000
        AS shortfall_bps,
    run_id,
    snapshot_id,
    cutoff
FROM lines;
