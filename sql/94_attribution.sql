-- What each account gained on each day, in lines that add up to the gain exactly: what 1/N made, cash, allocation to groups, selection of tickers, the timing of trades, and costs. In the base currency of the account.
-- date: Day.
-- line: 'benchmark': what equal_weights made on the capital. 'cash': capital that was not invested (or was borrowed), which missed that return; and interest. 'allocation': groups held more or less than 1/N holds them, at 1/N's return of the group over that of all (Brinson and Fachler 1985). 'selection': tickers held, over 1/N's return of their group. 'timing': trades of the day, from their price to the close. 'costs': commissions and fees. 'other': corrections of cash.
-- subject: Ticker or group that the line is about; '1/N', 'cash', 'interest', 'fees' or 'corrections'.
-- amount: Gain, in the base currency; a cost is negative. Over all lines of a day, equity less that of the day before and less what was paid in; over several days, where equity is not known on some.
WITH days AS (
    SELECT
        account,
        date,
        lag(date) OVER own AS before,
        coalesce(lag(equity IGNORE NULLS) OVER own, 0) + flow AS capital,
        equity,
        flow
    FROM equity
    WINDOW own AS (PARTITION BY account ORDER BY date)
),
groups AS (
    -- A ticker of several groups of config/risk.yml belongs to the first of them by name.
    SELECT ticker, min("group") AS "group"
    FROM (
        SELECT entry.key AS "group", unnest(entry.value) AS ticker
        FROM (
            SELECT unnest(map_entries(
                json_transform(settings::JSON -> 'risk' -> 'groups', '"MAP(VARCHAR, VARCHAR[])"')
            )) AS entry
            FROM latest_run
        )
    )
    GROUP BY ticker
),
members AS (
    SELECT e.date, s.ticker, e.tickers, e.daily_return, coalesce(g."group", 'others') AS "group",
        coalesce(r.simple_return, 0) AS simple_return
    FROM equal_weights AS e
    JOIN run_outputs AS o ON o.run_id = e.run_id AND o.stage = 'signals'
    JOIN signals AS s ON s.run_id = o.output_run_id
    LEFT JOIN returns AS r ON r.ticker = s.ticker AND r.date = e.date
    LEFT JOIN groups AS g ON g.ticker = s.ticker
),
benchmark AS (
    SELECT date, "group", count(*) / any_value(tickers) AS weight, avg(simple_return) AS group_return,
        any_value(daily_return) AS whole_return
    FROM members
    GROUP BY date, "group"
),
whole AS (SELECT date, daily_return FROM equal_weights),
active AS (
    SELECT
        x.account,
        x.date,
        x.ticker,
        coalesce(g."group", 'others') AS "group",
        x.start_value,
        x.holding_gain,
        x.timing_gain,
        x.commission,
        (x.start_value::DOUBLE * coalesce(w.daily_return, 0))::DECIMAL(18, 4) AS base,
        (x.start_value::DOUBLE * coalesce(b.group_return - b.whole_return, 0))::DECIMAL(18, 4) AS tilt
    FROM position_gains AS x
    LEFT JOIN groups AS g ON g.ticker = x.ticker
    LEFT JOIN whole AS w ON w.date = x.date
    LEFT JOIN benchmark AS b ON b.date = x.date AND b."group" = coalesce(g."group", 'others')
),
sums AS (
    SELECT account, date, sum(start_value) AS invested, sum(base) AS base FROM active GROUP BY ALL
),
neutral AS (
    -- What a group would have had at 1/N's weight. These add up to 0: the group where the most is at stake takes the rounding.
    SELECT
        s.account,
        s.date,
        b."group",
        (s.invested::DOUBLE * b.weight * (b.group_return - b.whole_return))::DECIMAL(18, 4) AS amount,
        row_number() OVER (PARTITION BY s.account, s.date ORDER BY abs(b.group_return - b.whole_return) DESC, b."group") AS place
    FROM sums AS s
    JOIN benchmark AS b ON b.date = s.date
),
neutralised AS (
    SELECT *, amount - CASE WHEN place = 1 THEN sum(amount) OVER (PARTITION BY account, date) ELSE 0 END AS taken
    FROM neutral
),
capital AS (
    SELECT d.account, d.date, (d.capital::DOUBLE * coalesce(w.daily_return, 0))::DECIMAL(18, 4) AS benchmark
    FROM days AS d
    LEFT JOIN whole AS w ON w.date = d.date
)
SELECT account, date, 'benchmark' AS line, '1/N' AS subject, benchmark AS amount FROM capital WHERE benchmark <> 0
UNION ALL
SELECT c.account, c.date, 'cash', 'cash', coalesce(s.base, 0) - c.benchmark
FROM capital AS c
LEFT JOIN sums AS s ON s.account = c.account AND s.date = c.date
WHERE coalesce(s.base, 0) <> c.benchmark
UNION ALL
SELECT account, date, 'allocation', "group", sum(amount)
FROM (
    SELECT account, date, "group", tilt AS amount FROM active
    UNION ALL
    SELECT account, date, "group", -taken FROM neutralised
)
GROUP BY account, date, "group"
HAVING sum(amount) <> 0
UNION ALL
SELECT account, date, 'selection', ticker, holding_gain - base - tilt
FROM active
WHERE holding_gain <> base + tilt
UNION ALL
SELECT account, date, 'timing', ticker, timing_gain FROM active WHERE timing_gain <> 0
UNION ALL
SELECT account, date, 'costs', ticker, -commission FROM active WHERE commission <> 0
UNION ALL
SELECT
    account,
    date,
    CASE kind WHEN 'interest' THEN 'cash' WHEN 'fee' THEN 'costs' ELSE 'other' END,
    CASE kind WHEN 'interest' THEN 'interest' WHEN 'fee' THEN 'fees' ELSE 'corrections' END,
    sum(base_amount)
FROM cash_events
WHERE ticker IS NULL AND kind NOT IN ('deposit', 'withdrawal', 'accepted')
GROUP BY ALL;
