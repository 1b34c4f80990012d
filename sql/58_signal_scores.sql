-- What became of signals whose horizon is over, by action: of all, and by month of the origin and ticker. Each is counted once in a basis.
-- basis: 'runs' for signals made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- slice: What the row counts: 'all' signals, or those of a 'month' or a 'ticker'.
-- value: The month of the origin date (YYYY-MM) or the ticker; null for 'all'.
-- signals: Number of signals.
-- dates: Number of origin dates; horizons that overlap count each, so that the means are less certain than these numbers say.
-- confidence: Mean of the forecast probability that what the action says comes true.
-- came_true: Share for which it did: for BUY a gain and for SELL a loss beyond the costs, for HOLD neither.
-- brier: Mean squared difference between confidence and 1 or 0 for what came true or not; smaller is better.
-- inside: Share of returns inside the interval from lower to upper.
-- expected_return: Mean of the median returns that were forecast.
-- mean_return: Mean of the realised simple returns, before costs.
-- net_return: Mean return of following the signal after costs, short for SELL; null for HOLD.
WITH judged AS (
    SELECT
        basis,
        action,
        strftime(origin_date, '%Y-%m') AS month,
        ticker,
        origin_date,
        confidence,
        CASE action
            WHEN 'BUY' THEN realised_return > round_trip_cost
            WHEN 'SELL' THEN realised_return < -round_trip_cost
            ELSE abs(realised_return) <= round_trip_cost
        END::INTEGER AS came_true,
        realised_return BETWEEN lower AND upper AS inside,
        expected_return,
        realised_return,
        CASE action
            WHEN 'BUY' THEN realised_return - round_trip_cost
            WHEN 'SELL' THEN -realised_return - round_trip_cost
        END AS net_return
    FROM scored_signals
)
SELECT
    basis,
    CASE GROUPING(month, ticker) WHEN 1 THEN 'month' WHEN 2 THEN 'ticker' ELSE 'all' END AS slice,
    coalesce(month, ticker) AS value,
    action,
    count(*) AS signals,
    count(DISTINCT origin_date) AS dates,
    avg(confidence) AS confidence,
    avg(came_true) AS came_true,
    avg((confidence - came_true) ** 2) AS brier,
    avg(inside::INTEGER) AS inside,
    avg(expected_return) AS expected_return,
    avg(realised_return) AS mean_return,
    avg(net_return) AS net_return
FROM judged
GROUP BY GROUPING SETS ((basis, action), (basis, action, month), (basis, action, ticker));
