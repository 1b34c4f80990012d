-- Rates of exchange of the currencies that accounts hold: closes of bars such as EURUSD=X or EURUSD, or the inverse of USDEUR.
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
    FROM (SELECT currency FROM lot_changes UNION SELECT currency FROM accounts) AS held
    CROSS JOIN accounts AS a
    LEFT JOIN (VALUES ('GBp', 'GBP'), ('GBX', 'GBP'), ('ZAc', 'ZAR'), ('ILA', 'ILS')) AS h (currency, whole)
        ON h.currency = held.currency
),
spellings AS (
    SELECT p.*, s.ticker, s.place, s.place > 2 AS is_inverse
    FROM pairs AS p
    CROSS JOIN LATERAL (
        VALUES (p.whole || p.base || '=X', 1), (p.whole || p.base, 2), (p.base || p.whole || '=X', 3), (p.base || p.whole, 4)
    ) AS s (ticker, place)
    WHERE p.whole <> p.base
)
SELECT currency, base, DATE '1900-01-01' AS date, unit::DECIMAL(18, 9) AS rate
FROM pairs
WHERE whole = base
UNION ALL
SELECT currency, base, date, rate
FROM (
    SELECT
        s.currency,
        s.base,
        b.date,
        (CASE WHEN s.is_inverse THEN 1 / b.close ELSE b.close END * s.unit)::DECIMAL(18, 9) AS rate,
        s.place,
        min(s.place) OVER (PARTITION BY s.currency, s.base) AS best
    FROM spellings AS s
    JOIN bars AS b ON b.ticker = s.ticker
)
WHERE place = best;
