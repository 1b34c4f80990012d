-- Rates of exchange of the currencies of accounts, of what they held, and of the watch list: closes of bars such as EURUSD=X or EURUSD, the inverse of USDEUR, or the product of two that meet in USD or EUR. On each day the best of these counts that has a close by then, as in the ledger.
-- currency: Currency, or its hundredth, such as GBp.
-- base: Currency of an account.
-- date: Day from which the rate counts.
-- rate: Units of the base currency for one of the currency.
WITH pairs AS (
    SELECT DISTINCT
        held.currency,
        a.currency AS base,
        coalesce(h.whole, held.currency) AS whole,
        CASE WHEN h.whole IS NULL THEN 1 ELSE 0.01 END AS unit
    FROM (SELECT currency FROM lot_changes UNION SELECT currency FROM accounts
        UNION SELECT currency FROM universe WHERE currency IS NOT NULL) AS held
    CROSS JOIN accounts AS a
    LEFT JOIN (VALUES ('GBp', 'GBP'), ('GBX', 'GBP'), ('ZAc', 'ZAR'), ('ILA', 'ILS')) AS h (currency, whole)
        ON h.currency = held.currency
),
routes AS (
    -- The ways to a rate, in order of preference: one leg, or two.
    SELECT *
    FROM (
        SELECT *, unnest([1, 2, 3]) AS route, unnest([NULL, 'USD', 'EUR']) AS through
        FROM pairs
        WHERE whole <> base
    )
    WHERE through IS NULL OR through NOT IN (whole, base)
),
legs AS (
    SELECT whole AS origin, coalesce(through, base) AS target FROM routes
    UNION
    SELECT through, base FROM routes WHERE through IS NOT NULL
),
spellings AS (
    -- The tickers that have the rate of a leg, in order of preference; from the third on they have its inverse.
    SELECT
        origin,
        target,
        unnest([origin || target || '=X', origin || target, target || origin || '=X', target || origin]) AS ticker,
        generate_subscripts([1, 2, 3, 4], 1) AS place
    FROM legs
),
wanted AS (
    SELECT ticker, list({'origin': origin, 'target': target, 'place': place}) AS legs
    FROM spellings
    GROUP BY ticker
),
found AS (
    SELECT b.date, b.close, unnest(w.legs, recursive := true)
    FROM wanted AS w
    JOIN bars AS b ON b.ticker = w.ticker
),
begun AS (SELECT origin, target, place, min(date) AS first_date FROM found GROUP BY origin, target, place),
closes AS (
    -- A spelling counts until a better one begins.
    SELECT f.origin, f.target, f.date, CASE WHEN f.place > 2 THEN 1 / f.close ELSE f.close END AS rate
    FROM found AS f
    WHERE NOT EXISTS (
        FROM begun AS b
        WHERE b.origin = f.origin AND b.target = f.target AND b.place < f.place AND b.first_date <= f.date
    )
),
firsts AS (
    SELECT r.currency, r.base, r.route, r.through, c.date, c.rate * r.unit AS rate
    FROM routes AS r
    JOIN closes AS c ON {'origin': c.origin, 'target': c.target} = {'origin': r.whole, 'target': coalesce(r.through, r.base)}
),
seconds AS (
    SELECT r.currency, r.base, r.route, c.date, c.rate
    FROM (FROM routes WHERE through IS NOT NULL) AS r
    JOIN closes AS c ON {'origin': c.origin, 'target': c.target} = {'origin': r.through, 'target': r.base}
),
routed AS (
    SELECT currency, base, route, date, rate FROM firsts WHERE through IS NULL
    UNION ALL
    -- A product changes on the days of either leg.
    SELECT f.currency, f.base, f.route, f.date, f.rate * s.rate
    FROM firsts AS f
    ASOF JOIN seconds AS s ON s.currency = f.currency AND s.base = f.base AND s.route = f.route AND s.date <= f.date
    UNION
    SELECT s.currency, s.base, s.route, s.date, f.rate * s.rate
    FROM seconds AS s
    ASOF JOIN firsts AS f ON f.currency = s.currency AND f.base = s.base AND f.route = s.route AND f.date <= s.date
),
opened AS (SELECT currency, base, route, min(date) AS first_date FROM routed GROUP BY currency, base, route)
SELECT currency, base, DATE '1900-01-01' AS date, unit::DECIMAL(18, 9) AS rate
FROM pairs
WHERE whole = base
UNION ALL
SELECT currency, base, date, rate::DECIMAL(18, 9) AS rate
FROM routed AS r
WHERE NOT EXISTS (
    FROM opened AS o
    WHERE o.currency = r.currency AND o.base = r.base AND o.route < r.route AND o.first_date <= r.date
);
