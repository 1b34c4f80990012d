-- The nights that really were run, each with its scores (see night_scores) and what the accounts and 1/N have made since the first. Backtests and evaluations do not count.
-- account: Account; null where there is none.
-- equity: Value of the account at the close of the night.
-- account_growth: What one unit of money in the account has become since the first night, payments left out.
-- equal_growth: What one unit of money in equal weights (1/N) has become since then; see equal_weights.
WITH closed AS (
    -- An account has a row for each day with a bar: the last one up to the night counts.
    SELECT n.night, d.date
    FROM night_scores AS n
    ASOF JOIN (SELECT DISTINCT date FROM bars) AS d ON d.date <= n.night
),
held AS (
    SELECT c.night, d.account, d.equity, d.growth
    FROM closed AS c
    JOIN drawdowns AS d ON d.date = c.date
),
grown AS (
    SELECT night, account, equity, growth / first_value(growth) OVER (PARTITION BY account ORDER BY night) AS growth
    FROM held
),
equal AS (
    SELECT n.night, e.growth
    FROM night_scores AS n
    ASOF LEFT JOIN equal_weights AS e ON e.date <= n.night
)
SELECT
    n.night,
    n.run_id,
    n.signal_run_id,
    n.forecast_run_id,
    n.snapshot_id,
    n.signals,
    n.acted,
    n.resolved,
    n.due,
    n.came_true,
    n.brier,
    n.net_result,
    n.forecasts,
    n.inside_90,
    n.relative_crps,
    g.account,
    g.equity,
    g.growth AS account_growth,
    coalesce(e.growth, 1) AS equal_growth
FROM night_scores AS n
LEFT JOIN grown AS g ON g.night = n.night
LEFT JOIN equal AS e ON e.night = n.night;
