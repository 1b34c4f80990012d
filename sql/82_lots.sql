-- The open lots of each account: shares that one trade opened and that are still held.
-- ticker: Ticker.
-- currency: Currency of the ticker.
-- opened: Day on which the lot was opened.
-- quantity: Number of shares left; negative for a short position.
-- cost: What they cost, commission included, in the currency of the ticker.
-- base_cost: What they cost in the base currency of the account, at the rate of the day of the trade.
-- cost_per_share: Cost per share, after splits.
SELECT
    account,
    ticker,
    currency,
    lot,
    min(opened) AS opened,
    sum(quantity) AS quantity,
    sum(cost) AS cost,
    sum(base_cost) AS base_cost,
    (sum(cost) / sum(quantity))::DECIMAL(18, 6) AS cost_per_share
FROM lot_changes
GROUP BY account, ticker, currency, lot
HAVING sum(quantity) <> 0;
