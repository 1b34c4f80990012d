-- What each account holds now, at the newest close.
-- ticker: Ticker.
-- currency: Currency of the ticker.
-- quantity: Number of shares; negative for a short position.
-- average_cost: Cost per share, in the currency of the ticker.
-- cost: What the position cost, commission included, in the currency of the ticker.
-- base_cost: What it cost in the base currency of the account.
-- price: Newest close as traded; null if the ticker has no bars.
-- price_date: Date of that close.
-- rate: Units of the base currency for one of the currency; null if there is no rate.
-- market_value: Value at that close, in the currency of the ticker.
-- base_value: Value in the base currency of the account.
-- base_gain: Gain that is not realised yet, in the base currency.
WITH held AS (
    SELECT
        l.account,
        l.ticker,
        l.currency,
        a.currency AS base,
        sum(l.quantity) AS quantity,
        sum(l.cost) AS cost,
        sum(l.base_cost) AS base_cost
    FROM lots AS l
    JOIN accounts AS a ON a.account = l.account
    GROUP BY ALL
    HAVING sum(l.quantity) <> 0
),
closes AS (
    SELECT ticker, arg_max(close, date)::DECIMAL(18, 6) AS price, max(date) AS price_date
    FROM bars
    WHERE ticker IN (SELECT ticker FROM held)
    GROUP BY ticker
),
rates AS (SELECT currency, base, arg_max(rate, date) AS rate FROM exchange_rates GROUP BY currency, base)
SELECT
    h.account,
    h.ticker,
    h.quantity,
    h.currency,
    (h.cost / h.quantity)::DECIMAL(18, 6) AS average_cost,
    h.cost,
    h.base_cost,
    c.price,
    c.price_date,
    r.rate,
    (h.quantity * c.price)::DECIMAL(18, 4) AS market_value,
    ((h.quantity * c.price)::DECIMAL(28, 12) * r.rate)::DECIMAL(18, 4) AS base_value,
    ((h.quantity * c.price)::DECIMAL(28, 12) * r.rate)::DECIMAL(18, 4) - h.base_cost AS base_gain
FROM held AS h
LEFT JOIN closes AS c ON c.ticker = h.ticker
LEFT JOIN rates AS r ON r.currency = h.currency AND r.base = h.base;
