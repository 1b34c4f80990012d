-- Each change of a lot by a fill, a split, an import or another event: shares, costs, and the gain that it realised.
-- ticker: Ticker.
-- currency: Currency of the ticker.
-- date: Day of the change.
-- event: The fill or the event of the account; see fills and cash_events.
-- kind: 'trade' for a fill; else the kind of the event, see docs/vocabulary.md.
-- lot: Lot that changed: the fill or the event that opened it.
-- opened: Day on which the lot was opened.
-- quantity: Change of its number of shares.
-- cost: Change of its cost, in the currency of the ticker; that of a short position is negative.
-- base_cost: Change of its cost, in the base currency of the account.
-- gain: Gain that was realised, after commission, in the currency of the ticker.
-- base_gain: Gain that was realised, in the base currency of the account, changes of the rate included.
WITH events AS (
    SELECT account, ticker, currency, date, fill_id AS event, 'trade' AS kind, rate, lots, sequence FROM fills
    UNION ALL
    SELECT account, ticker, currency, date, event_id, kind, rate, lots, sequence FROM cash_events WHERE lots IS NOT NULL
)
SELECT
    account,
    ticker,
    currency,
    date,
    event,
    kind,
    rate,
    sequence,
    unnest(
        from_json(
            lots,
            '[{"lot": "VARCHAR", "opened": "DATE", "quantity": "DECIMAL(18,9)", "cost": "DECIMAL(18,4)",
               "base_cost": "DECIMAL(18,4)", "gain": "DECIMAL(18,4)", "base_gain": "DECIMAL(18,4)"}]'
        ),
        recursive := true
    )
FROM events;
