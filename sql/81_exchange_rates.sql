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
    -- The tickers that have the rate of a pair, in order of preference; from the third on they have its inverse.
    SELECT
        currency,
        base,
        unit,
        unnest([whole || base || '=X', whole || base, base || whole || '=X', base || whole]) AS ticker,
        generate_subscripts([1, 2, 3, 4], 1) AS place
    FROM pairs
    WHERE whole <> base
),
wanted AS (
    SELECT ticker, list({'currency': currency, 'base': base, 'unit': unit, 'place': place}) AS pairs
    FROM spellings
    GROUP BY ticker
),
found AS (
    SELECT b.date, b.close, unnest(w.pairs, recursive := true)
    FROM wanted AS w
    JOIN bars AS b ON b.ticker = w.ticker
)
SELECT currency, base, DATE '1900-01-01' AS date, unit::DECIMAL(18, 9) AS rate
FROM pairs
WHERE whole = base
UNION ALL
SELECT currency, base, date, rate
FROM (
    SELECT
        currency,
        base,
        date,
        (CASE WHEN place > 2 THEN 1 / close ELSE close END * unit)::DECIMAL(18, 9) AS rate,
        place,
        min(place) OVER (PARTITION BY currency, base) AS best
    FROM found
)
WHERE place = best;
