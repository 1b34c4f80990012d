-- For each account and day, the time-weighted return and how far the account is below its peak.
-- date: Day.
-- daily_return: Return of the day: equity over that of the day before plus what was paid in, less 1. Null on the first day.
-- growth: What one unit of money has become since the first day, payments left out.
-- peak: Highest growth so far.
-- drawdown: Growth over its peak, less 1: 0 at a peak, negative below.
WITH returns AS (
    SELECT
        account,
        date,
        currency,
        equity,
        flow,
        lag(equity) OVER (PARTITION BY account ORDER BY date) + flow AS invested
    FROM equity
),
grown AS (
    SELECT
        *,
        CASE WHEN invested > 0 THEN equity::DOUBLE / invested::DOUBLE - 1 END AS daily_return,
        product(CASE WHEN invested > 0 THEN equity::DOUBLE / invested::DOUBLE ELSE 1 END)
            OVER (PARTITION BY account ORDER BY date) AS growth
    FROM returns
)
SELECT
    account,
    date,
    currency,
    equity,
    flow,
    daily_return,
    growth,
    greatest(1, max(growth) OVER (PARTITION BY account ORDER BY date)) AS peak,
    growth / greatest(1, max(growth) OVER (PARTITION BY account ORDER BY date)) - 1 AS drawdown
FROM grown;
