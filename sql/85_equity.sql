-- The value of each account on each day from its first event on, at the closes of the day or the last ones before.
-- date: Day.
-- currency: Base currency of the account, in which all amounts are.
-- cash: Cash at the end of the day.
-- positions_value: Value of the positions; null on a day on which one of them has no close yet, or no rate.
-- equity: Cash and positions together; null where the value of the positions is.
-- unpriced: Number of positions without a close or a rate: they have no value, and are not taken for worth nothing.
-- flow: What was paid in that day, less what was taken out; positions that were imported count at the day's close, or at their cost if they have none.
WITH events AS (
    SELECT account, date, base_amount, base_amount AS paid, kind FROM cash_events
    UNION ALL
    SELECT account, date, base_amount, 0, 'trade' FROM fills
),
days AS (
    SELECT e.account, d.date
    FROM (SELECT account, min(date) AS first_date FROM events GROUP BY account) AS e
    JOIN (SELECT DISTINCT date FROM bars UNION SELECT date FROM events) AS d ON d.date >= e.first_date
),
cash AS (
    SELECT d.account, d.date, sum(sum(e.base_amount)) OVER (PARTITION BY d.account ORDER BY d.date) AS cash,
        coalesce(sum(e.paid) FILTER (e.kind IN ('deposit', 'withdrawal')), 0) AS paid
    FROM days AS d
    LEFT JOIN events AS e ON e.account = d.account AND e.date = d.date
    GROUP BY d.account, d.date
),
held AS (
    SELECT c.account, c.ticker, c.currency, a.currency AS base, d.date,
        sum(sum(c.quantity) FILTER (c.date = d.date)) OVER w AS quantity,
        coalesce(sum(c.quantity) FILTER (c.date = d.date AND c.kind = 'import'), 0) AS imported,
        coalesce(sum(c.base_cost) FILTER (c.date = d.date AND c.kind = 'import'), 0) AS imported_cost
    FROM (
        SELECT account, ticker, currency, date, kind, sum(quantity) AS quantity, sum(base_cost) AS base_cost
        FROM lot_changes
        GROUP BY ALL
    ) AS c
    JOIN accounts AS a ON a.account = c.account
    JOIN days AS d ON d.account = c.account
    GROUP BY c.account, c.ticker, c.currency, a.currency, d.date
    WINDOW w AS (PARTITION BY c.account, c.ticker, c.currency ORDER BY d.date)
),
valued AS (
    SELECT h.account, h.date, h.quantity, h.imported, h.imported_cost, b.close::DECIMAL(18, 6) AS close, r.rate
    FROM (FROM held WHERE quantity <> 0 OR imported <> 0) AS h
    ASOF LEFT JOIN bars AS b ON b.ticker = h.ticker AND b.date <= h.date
    ASOF LEFT JOIN exchange_rates AS r ON r.currency = h.currency AND r.base = h.base AND r.date <= h.date
),
worth AS (
    SELECT account, date,
        sum(((quantity * close)::DECIMAL(28, 12) * rate)::DECIMAL(18, 4)) AS positions_value,
        count(*) FILTER (quantity <> 0 AND (close IS NULL OR rate IS NULL)) AS unpriced,
        sum(coalesce(((imported * close)::DECIMAL(28, 12) * rate)::DECIMAL(18, 4), imported_cost)) AS imported
    FROM valued
    GROUP BY account, date
)
SELECT
    c.account,
    c.date,
    a.currency,
    c.cash,
    CASE WHEN w.unpriced > 0 THEN NULL ELSE coalesce(w.positions_value, 0) END AS positions_value,
    c.cash + CASE WHEN w.unpriced > 0 THEN NULL ELSE coalesce(w.positions_value, 0) END AS equity,
    coalesce(w.unpriced, 0) AS unpriced,
    c.paid + coalesce(w.imported, 0) AS flow
FROM cash AS c
JOIN accounts AS a ON a.account = c.account
LEFT JOIN worth AS w ON w.account = c.account AND w.date = c.date;
