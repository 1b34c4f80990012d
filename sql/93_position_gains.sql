-- What each position gained on each day: by the shares held since the day before, and by the trades of the day. In the base currency of the account.
-- date: Day.
-- ticker: Ticker.
-- start_value: Value at the end of the day before, at its close; at its cost while it has no close or rate.
-- end_value: Value at the end of the day.
-- holding_gain: Gain of the shares held since the day before, with dividends and splits.
-- timing_gain: Gain of the day's trades from their price to the close, before commission.
-- commission: Commissions and fees of the day's trades.
WITH changes AS (
    SELECT account, ticker, currency, date, kind, sum(quantity) AS quantity, sum(base_cost) AS base_cost
    FROM (
        SELECT account, ticker, currency, date, kind, quantity, base_cost FROM lot_changes
        UNION ALL
        -- An event that changes no lot, such as a dividend.
        SELECT account, ticker, currency, date, kind, 0, 0 FROM cash_events WHERE ticker IS NOT NULL AND lots IS NULL
    )
    GROUP BY ALL
),
held AS (
    SELECT c.account, c.ticker, c.currency, a.currency AS base, d.date,
        sum(coalesce(sum(c.quantity) FILTER (c.date = d.date), 0)) OVER w AS quantity,
        coalesce(sum(c.quantity) FILTER (c.date = d.date AND c.kind IN ('import', 'accepted')), 0) AS imported,
        coalesce(sum(c.quantity) FILTER (c.date = d.date AND c.kind = 'trade'), 0) AS bought,
        sum(coalesce(sum(c.base_cost) FILTER (c.date = d.date), 0)) OVER w AS cost,
        coalesce(sum(c.base_cost) FILTER (c.date = d.date AND c.kind IN ('import', 'accepted')), 0) AS imported_cost,
        coalesce(sum(c.base_cost) FILTER (c.date = d.date AND c.kind = 'trade'), 0) AS bought_cost
    FROM changes AS c
    JOIN accounts AS a ON a.account = c.account
    JOIN equity AS d ON d.account = c.account
    GROUP BY c.account, c.ticker, c.currency, a.currency, d.date
    WINDOW w AS (PARTITION BY c.account, c.ticker, c.currency ORDER BY d.date)
),
valued AS (
    -- A position that has no close or rate yet is valued at its cost, as view equity counts what was imported.
    SELECT
        h.*,
        coalesce(((h.quantity * b.close::DECIMAL(18, 6))::DECIMAL(28, 12) * r.rate)::DECIMAL(18, 4), h.cost) AS value,
        coalesce(((h.imported * b.close::DECIMAL(18, 6))::DECIMAL(28, 12) * r.rate)::DECIMAL(18, 4), h.imported_cost) AS imported_value,
        coalesce(((h.bought * b.close::DECIMAL(18, 6))::DECIMAL(28, 12) * r.rate)::DECIMAL(18, 4), h.bought_cost) AS bought_value
    FROM held AS h
    ASOF LEFT JOIN bars AS b ON b.ticker = h.ticker AND b.date <= h.date
    ASOF LEFT JOIN exchange_rates AS r ON r.currency = h.currency AND r.base = h.base AND r.date <= h.date
),
started AS (
    SELECT *, coalesce(lag(value) OVER (PARTITION BY account, ticker, currency ORDER BY date), 0) AS start_value
    FROM valued
),
paid AS (
    SELECT account, date, ticker,
        sum(base_amount) AS amount,
        sum(base_amount) FILTER (kind = 'trade') AS traded,
        sum(commission) AS commission
    FROM (
        SELECT account, date, ticker, base_amount, 'trade' AS kind, (commission * rate)::DECIMAL(18, 4) AS commission
        FROM fills
        UNION ALL
        SELECT account, date, ticker, base_amount, kind, 0 FROM cash_events WHERE ticker IS NOT NULL
    )
    GROUP BY ALL
)
-- A position gains what it is worth more, and what it paid. Of that, the gain of the shares held at the start is the rest.
SELECT
    s.account,
    s.date,
    s.ticker,
    sum(s.start_value) AS start_value,
    sum(s.value) AS end_value,
    sum(s.value - s.start_value - s.imported_value) - sum(s.bought_value)
    + coalesce(any_value(p.amount), 0) - coalesce(any_value(p.traded), 0) AS holding_gain,
    sum(s.bought_value) + coalesce(any_value(p.traded), 0) + coalesce(any_value(p.commission), 0) AS timing_gain,
    coalesce(any_value(p.commission), 0) AS commission
FROM started AS s
LEFT JOIN paid AS p ON p.account = s.account AND p.date = s.date AND p.ticker = s.ticker
WHERE s.value <> 0 OR s.start_value <> 0 OR s.imported <> 0 OR p.amount IS NOT NULL
GROUP BY s.account, s.date, s.ticker;
