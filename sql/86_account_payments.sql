-- What was paid into each account, and what it gained, received and paid apart from what it still holds. In its base currency.
-- deposits: What was paid in, less what was taken out.
-- realised_gain: Sum of realised gains, in the base currency.
-- dividends: Dividends received, less those paid.
-- commissions: Commissions of all trades, which the gains already bear, in the base currency.
SELECT
    a.account,
    (SELECT coalesce(sum(c.base_amount), 0) FROM cash_events AS c
        WHERE c.account = a.account AND c.kind IN ('deposit', 'withdrawal')) AS deposits,
    (SELECT coalesce(sum(g.base_gain), 0) FROM realised_gains AS g WHERE g.account = a.account) AS realised_gain,
    (SELECT coalesce(sum(c.base_amount), 0) FROM cash_events AS c
        WHERE c.account = a.account AND (c.kind = 'dividend' OR c.kind = 'correction' AND c.ratio IS NULL)) AS dividends,
    (SELECT coalesce(sum((f.commission * f.rate)::DECIMAL(18, 4)), 0) FROM fills AS f
        WHERE f.account = a.account) AS commissions
FROM accounts AS a;
