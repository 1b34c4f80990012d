-- The accounts, what each is worth on its newest day, and how it did.
-- cash: Cash, in the base currency.
-- positions: Value of the positions, in the base currency; null if one of them has no close, or no rate.
-- equity: Cash and positions together; null where the positions are.
-- deposits: What was paid in, less what was taken out.
-- realised: Realised gains, in the base currency.
-- return: Time-weighted return since the first day.
-- yearly: Money-weighted return per year; null below 60 sessions.
-- drawdown: Largest fall below a peak.
-- day: Newest day.
-- closed: Day on which the account was closed; null while it is open.
SELECT
    a.account,
    a.broker,
    a.currency,
    e.cash,
    e.positions_value AS positions,
    e.equity,
    p.deposits,
    p.realised_gain AS realised,
    p.total_return AS "return",
    p.money_weighted_return AS yearly,
    p.max_drawdown AS drawdown,
    e.date AS day,
    c.date AS closed
FROM accounts AS a
LEFT JOIN (FROM equity QUALIFY row_number() OVER (PARTITION BY account ORDER BY date DESC) = 1) AS e USING (account)
LEFT JOIN performance AS p USING (account)
LEFT JOIN cash_events AS c ON c.account = a.account AND c.kind = 'closed';
