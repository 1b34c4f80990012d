-- The nights that really were run, each with what its signals and forecasts were worth. Backtests and evaluations do not count.
-- night: Day that the run took for today; of several whole runs of a day, the first counts.
-- signal_run_id: Run whose rows are the signals of the night.
-- forecast_run_id: Run whose rows are its forecasts.
-- snapshot_id: Snapshot of the lake that the signals read.
-- signals: Number of signals.
-- acted: Number of them that were BUY or SELL.
-- resolved: Number of signals whose horizon is over.
-- due: First target date after the newest bar of those whose horizon is not; null if none is still to come.
-- came_true: Of those that are over, the share for which what the action said happened; see signal_scores.
-- brier: Mean Brier score of their probabilities of a gain and of a loss; see signal_calibration.
-- net_result: Mean return of following BUY and SELL from the next open, after costs; see signal_results.
-- forecasts: Number of forecasts of the ensemble, of all steps, that have an outcome.
-- inside_90: Share of them inside the 90% interval.
-- relative_crps: Their mean CRPS / that of the martingale; below 1 is better.
WITH nights AS (
    SELECT
        r.as_of AS night,
        r.run_id,
        s.output_run_id AS signal_run_id,
        s.snapshot_id,
        f.output_run_id AS forecast_run_id
    FROM runs AS r
    JOIN run_outputs AS s ON s.run_id = r.run_id AND s.stage = 'signals'
    JOIN run_outputs AS f ON f.run_id = r.run_id AND f.stage = 'forecast'
    WHERE r.kind = 'run' AND r.status = 'done' AND r.scope = 'whole'
    QUALIFY row_number() OVER (PARTITION BY r.as_of ORDER BY r.started_at, r.run_id) = 1
),
made AS (
    SELECT s.run_id, count(*) AS signals, count_if(action <> 'HOLD')::BIGINT AS acted
    FROM signals AS s
    GROUP BY s.run_id
),
open AS (
    SELECT run_id, min(target_date) AS due
    FROM signals AS s
    ANTI JOIN (FROM signal_outcomes WHERE complete) AS o USING (run_id, ticker, cutoff)
    WHERE target_date > (SELECT max(date) FROM bars)
    GROUP BY run_id
),
judged AS (
    SELECT
        run_id,
        count(*) AS resolved,
        avg(CASE action
            WHEN 'BUY' THEN realised_return > round_trip_cost
            WHEN 'SELL' THEN realised_return < -round_trip_cost
            ELSE abs(realised_return) <= round_trip_cost
        END::INTEGER) AS came_true
    FROM scored_signals
    WHERE basis = 'runs'
    GROUP BY run_id
),
probable AS (
    SELECT run_id, avg((probability - happened) ** 2) AS brier FROM signal_events WHERE basis = 'runs' GROUP BY run_id
),
followed AS (
    SELECT run_id, avg(net_result) AS net_result FROM signal_results WHERE basis = 'runs' AND complete GROUP BY run_id
),
forecast AS (
    SELECT
        f.run_id,
        count(*) AS forecasts,
        avg(f.inside_90::INTEGER) AS inside_90,
        sum(f.crps) FILTER (b.crps IS NOT NULL) / nullif(sum(b.crps), 0) AS relative_crps
    FROM scored_forecasts AS f
    LEFT JOIN (FROM scored_forecasts WHERE basis = 'runs' AND model = 'martingale') AS b
        ON b.run_id = f.run_id AND b.ticker = f.ticker AND b.origin_date = f.origin_date AND b.step = f.step
    WHERE f.basis = 'runs' AND f.model = 'ensemble'
    GROUP BY f.run_id
)
SELECT
    n.night,
    n.run_id,
    n.signal_run_id,
    n.forecast_run_id,
    n.snapshot_id,
    coalesce(m.signals, 0) AS signals,
    coalesce(m.acted, 0) AS acted,
    coalesce(j.resolved, 0) AS resolved,
    o.due,
    j.came_true,
    p.brier,
    w.net_result,
    coalesce(f.forecasts, 0) AS forecasts,
    f.inside_90,
    f.relative_crps
FROM nights AS n
LEFT JOIN made AS m ON m.run_id = n.signal_run_id
LEFT JOIN open AS o ON o.run_id = n.signal_run_id
LEFT JOIN judged AS j ON j.run_id = n.signal_run_id
LEFT JOIN probable AS p ON p.run_id = n.signal_run_id
LEFT JOIN followed AS w ON w.run_id = n.signal_run_id
LEFT JOIN forecast AS f ON f.run_id = n.forecast_run_id;
