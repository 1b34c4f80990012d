-- For each account and day on which it can be valued, the time-weighted return and how far it is below its peak.
-- date: Day.
-- flow: What was paid in since the row before, less what was taken out.
-- daily_return: Return since the row before: equity over that of the row before plus what was paid in, less 1. Null on the first day.
-- growth: What one unit of money has become since the first day, payments left out.
-- peak: Highest growth so far.
-- drawdown: Growth over its peak, less 1: 0 at a peak, negative below.
WITH paid AS (SELECT *, sum(flow) OVER (PARTITION BY account ORDER BY date) AS paid FROM equity),
returns AS (
    SELECT
        account,
        date,
        currency,
        equity,
        paid - coalesce(lag(paid) OVER days, 0) AS flow,
        lag(equity) OVER days + paid - lag(paid) OVER days AS invested
    FROM paid
    WHERE equity IS NOT NULL
    WINDOW days AS (PARTITION BY account ORDER BY date)
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
