-- The value of each account on each day from its first event on, at the closes of the day or the last ones before. Its days are those of its events and the sessions of what it holds; while it holds nothing, those of all that it ever held.
-- date: Day.
-- currency: Base currency of the account, in which all amounts are.
-- cash: Cash at the end of the day.
-- positions_value: Value of the positions; null on a day on which one of them has no close yet, or no rate.
-- equity: Cash and positions together; null where the value of the positions is.
-- unpriced: Number of positions without a close or a rate: they have no value, and are not taken for worth nothing.
-- flow: What was paid in that day, less what was taken out. Positions that were imported, and shares and cash of accepted differences from the broker, count likewise: shares at the day's close, or at their cost if they have none.
WITH events AS (
    SELECT account, date, base_amount,
        CASE WHEN kind IN ('deposit', 'withdrawal', 'accepted') THEN base_amount ELSE 0 END AS paid
    FROM cash_events
    UNION ALL
    SELECT account, date, base_amount, 0 FROM fills
),
holdings AS (
    -- Shares from each day on that changes them, until the next one.
    SELECT account, ticker, currency, date,
        sum(sum(quantity)) OVER (PARTITION BY account, ticker, currency ORDER BY date) AS quantity,
        coalesce(sum(quantity) FILTER (kind IN ('import', 'accepted')), 0) AS given,
        coalesce(sum(base_cost) FILTER (kind IN ('import', 'accepted')), 0) AS given_cost
    FROM lot_changes
    GROUP BY account, ticker, currency, date
),
counts AS (
    -- Number of positions from each day on that changes it.
    SELECT account, date, sum(sum(change)) OVER (PARTITION BY account ORDER BY date) AS positions
    FROM (
        SELECT account, date,
            (quantity <> 0)::INTEGER - (coalesce(lag(quantity) OVER days, 0) <> 0)::INTEGER AS change
        FROM holdings
        WINDOW days AS (PARTITION BY account, ticker, currency ORDER BY date)
    )
    GROUP BY account, date
),
tickers AS (SELECT DISTINCT account, ticker, currency FROM holdings),
sessions AS (
    SELECT t.account, t.ticker, t.currency, unnest(list_filter(b.dates, lambda day: day >= f.first_date)) AS date
    FROM tickers AS t
    JOIN (SELECT account, min(date) AS first_date FROM events GROUP BY account) AS f ON f.account = t.account
    JOIN (
        SELECT ticker, list(date) AS dates FROM bars WHERE ticker IN (SELECT ticker FROM tickers) GROUP BY ticker
    ) AS b ON b.ticker = t.ticker
),
days AS (
    SELECT account, date FROM events
    UNION
    SELECT s.account, s.date
    FROM sessions AS s
    ASOF LEFT JOIN holdings AS h
        ON h.account = s.account AND h.ticker = s.ticker AND h.currency = s.currency AND h.date <= s.date
    ASOF LEFT JOIN counts AS c ON c.account = s.account AND c.date <= s.date
    WHERE h.quantity <> 0 OR coalesce(c.positions, 0) = 0
),
cash AS (
    SELECT d.account, d.date, sum(sum(e.base_amount)) OVER (PARTITION BY d.account ORDER BY d.date) AS cash,
        coalesce(sum(e.paid), 0) AS paid
    FROM days AS d
    LEFT JOIN events AS e ON e.account = d.account AND e.date = d.date
    GROUP BY d.account, d.date
),
held AS (
    SELECT d.account, d.ticker, d.currency, a.currency AS base, d.date, h.quantity,
        CASE WHEN h.date = d.date THEN h.given ELSE 0 END AS given,
        CASE WHEN h.date = d.date THEN h.given_cost ELSE 0 END AS given_cost
    FROM (SELECT d.account, t.ticker, t.currency, d.date FROM days AS d JOIN tickers AS t ON t.account = d.account) AS d
    ASOF JOIN holdings AS h
        ON h.account = d.account AND h.ticker = d.ticker AND h.currency = d.currency AND h.date <= d.date
    JOIN accounts AS a ON a.account = d.account
    WHERE h.quantity <> 0 OR (h.date = d.date AND h.given <> 0)
),
valued AS (
    SELECT h.account, h.date, h.quantity, h.given, h.given_cost, b.close::DECIMAL(18, 6) AS close, r.rate
    FROM held AS h
    ASOF LEFT JOIN bars AS b ON b.ticker = h.ticker AND b.date <= h.date
    ASOF LEFT JOIN exchange_rates AS r ON r.currency = h.currency AND r.base = h.base AND r.date <= h.date
),
worth AS (
    SELECT account, date,
        sum(((quantity * close)::DECIMAL(28, 12) * rate)::DECIMAL(18, 4)) AS positions_value,
        count(*) FILTER (quantity <> 0 AND (close IS NULL OR rate IS NULL)) AS unpriced,
        sum(coalesce(((given * close)::DECIMAL(28, 12) * rate)::DECIMAL(18, 4), given_cost)) AS given
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
    c.paid + coalesce(w.given, 0) AS flow
FROM cash AS c
JOIN accounts AS a ON a.account = c.account
LEFT JOIN worth AS w ON w.account = c.account AND w.date = c.date;
