-- Each part of a lot that was closed, and what it gained: by a trade, a delisting, or the cash for a fraction after a split. A split that was told late changes what parts had cost that were closed since: rows of kind 'correction' say by how much.
-- ticker: Ticker.
-- currency: Currency of the ticker.
-- event: The fill or the event that closed it.
-- kind: 'trade' for a fill; else the kind of the event, see docs/vocabulary.md.
-- opened: Day on which the lot was opened.
-- closed: Day on which the part was closed.
-- quantity: Number of shares that were closed; negative for a short position.
-- proceeds: What the closing brought after commission, in the currency of the ticker.
-- cost: What the part had cost.
-- gain: Proceeds less cost.
-- base_gain: Gain in the base currency of the account, changes of the rate included.
-- term: 'long' if it was held for more than a year, else 'short'.
SELECT
    account,
    ticker,
    currency,
    event,
    kind,
    lot,
    opened,
    date AS closed,
    -quantity AS quantity,
    gain - cost AS proceeds,
    -cost AS cost,
    gain,
    base_gain,
    CASE WHEN date > opened + INTERVAL 1 YEAR THEN 'long' ELSE 'short' END AS term
FROM lot_changes
WHERE lot <> event AND (cost <> 0 OR gain <> 0) AND kind <> 'accepted';
