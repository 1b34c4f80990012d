-- How much of the gain by allocation and selection came with the factors of risk, and how much was specific to tickers. The lines of a day add up to the lines 'allocation' and 'selection' of attribution exactly.
-- date: Day.
-- line: 'factor' for what came with a factor, 'specific' for the rest.
-- subject: Principal component of the tickers' residuals, see factor_returns; or the ticker.
-- amount: Gain, in the base currency of the account. A factor's: value × (beta of the ticker − mean beta of all tickers) × value of the factor on the day, over all positions.
-- factor_run_id: Run whose betas and factors explain the day: the first that had seen it. Null where none has.
WITH active AS (
    SELECT
        g.account,
        g.date,
        g.ticker,
        g.start_value,
        g.holding_gain - (g.start_value::DOUBLE * coalesce(w.daily_return, 0))::DECIMAL(18, 4) AS amount
    FROM position_gains AS g
    LEFT JOIN equal_weights AS w ON w.date = g.date
),
explaining AS (
    SELECT date, arg_min({'run_id': run_id, 'cutoff': cutoff}, {'cutoff': cutoff, 'run_id': run_id}) AS night
    FROM factor_returns
    WHERE source = 'principal'
    GROUP BY date
),
values_of AS (
    SELECT f.date, f.run_id, f.cutoff, f.factor, f.value
    FROM factor_returns AS f
    JOIN explaining AS e ON e.date = f.date AND e.night.run_id = f.run_id AND e.night.cutoff = f.cutoff
    WHERE f.source = 'principal'
),
betas AS (
    SELECT run_id, cutoff, factor, entity, beta - avg(beta) OVER (PARTITION BY run_id, cutoff, factor) AS beta
    FROM exposures
    WHERE source = 'principal' AND NOT starts_with(entity, 'portfolio ')
),
explained AS (
    SELECT
        a.account,
        a.date,
        a.ticker,
        v.factor,
        v.run_id,
        (a.start_value::DOUBLE * b.beta * v.value)::DECIMAL(18, 4) AS amount
    FROM active AS a
    JOIN values_of AS v ON v.date = a.date
    JOIN betas AS b ON b.run_id = v.run_id AND b.cutoff = v.cutoff AND b.factor = v.factor AND b.entity = a.ticker
),
specific AS (
    SELECT a.account, a.date, a.ticker, a.amount - coalesce(sum(e.amount), 0) AS amount, any_value(e.run_id) AS run_id
    FROM active AS a
    LEFT JOIN explained AS e ON e.account = a.account AND e.date = a.date AND e.ticker = a.ticker
    GROUP BY a.account, a.date, a.ticker, a.amount
)
SELECT account, date, 'factor' AS line, factor AS subject, sum(amount) AS amount, any_value(run_id) AS factor_run_id
FROM explained
GROUP BY account, date, factor
UNION ALL
SELECT account, date, 'specific', ticker, amount, run_id FROM specific WHERE amount <> 0;
