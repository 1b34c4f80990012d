-- The value of each account on each day from its first event on, at the closes of the day or the last ones before.
-- date: Day.
-- currency: Base currency of the account, in which all amounts are.
-- cash: Cash at the end of the day.
-- positions_value: Value of the positions.
-- equity: Cash and positions together.
-- flow: What was paid in that day, less what was taken out; positions that were imported count at the day's close.
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
        coalesce(sum(c.quantity) FILTER (c.date = d.date AND c.kind = 'import'), 0) AS imported
    FROM (SELECT account, ticker, currency, date, kind, sum(quantity) AS quantity FROM lot_changes GROUP BY ALL) AS c
    JOIN accounts AS a ON a.account = c.account
    JOIN days AS d ON d.account = c.account
    GROUP BY c.account, c.ticker, c.currency, a.currency, d.date
    WINDOW w AS (PARTITION BY c.account, c.ticker, c.currency ORDER BY d.date)
),
valued AS (
    SELECT h.account, h.date, h.ticker, h.quantity, h.imported, b.close, r.rate
    FROM (FROM held WHERE quantity <> 0 OR imported <> 0) AS h
    ASOF LEFT JOIN bars AS b ON b.ticker = h.ticker AND b.date <= h.date
    ASOF LEFT JOIN exchange_rates AS r ON r.currency = h.currency AND r.base = h.base AND r.date <= h.date
),
worth AS (
    SELECT account, date,
        sum((quantity * close::DECIMAL(18, 6) * rate::DECIMAL(18, 6))::DECIMAL(18, 4)) AS positions_value,
        sum((imported * close::DECIMAL(18, 6) * rate::DECIMAL(18, 6))::DECIMAL(18, 4)) AS imported
    FROM valued
    GROUP BY account, date
)
SELECT
    c.account,
    c.date,
    a.currency,
    c.cash,
    coalesce(w.positions_value, 0) AS positions_value,
    c.cash + coalesce(w.positions_value, 0) AS equity,
    c.paid + coalesce(w.imported, 0) AS flow
FROM cash AS c
JOIN accounts AS a ON a.account = c.account
LEFT JOIN worth AS w ON w.account = c.account AND w.date = c.date;
