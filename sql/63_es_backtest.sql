-- Tests of expected shortfall against the losses that followed, and comparison with simple forecasts.
-- basis: 'runs' for risk computed as the days passed; for that of a backtest or of a look at a past day, its run_id.
-- forecasts: Number of forecasts with an outcome whose windows do not overlap.
-- exceptions: Number of losses above var.
-- z2: Second statistic of Acerbi and Szekely (2014): 0 is right, below −0.7 rejects at 5% for 250 forecasts at 97.5%.
-- excess: Mean of (loss − es) / es over the exceptions; 0 is right, above 0 the shortfall is too small.
-- excess_t: t statistic of excess; McNeil and Frey (2000) take its p-value from a bootstrap, as pm risk backtest does. Null with fewer than 3 exceptions.
-- fz0: Mean loss FZ0 of the pair (var, es); smaller is better.
-- gain_normal_t: t statistic (Diebold and Mariano) of the loss of method normal_ewma minus this one's; above 2, this is better. Null with fewer than 5 exceptions.
-- gain_historical_t: t statistic of the loss of method historical minus this one's; above 2, this is better. Null with fewer than 5 exceptions.
WITH priced AS (
    SELECT
        *,
        max(fz0) FILTER (method = 'normal_ewma') OVER same AS fz0_normal,
        max(fz0) FILTER (method = 'historical') OVER same AS fz0_historical
    FROM risk_outcomes
    WHERE es > 0
    WINDOW same AS (PARTITION BY basis, portfolio, horizon, level, origin_date)
),
outcomes AS (
    SELECT
        basis,
        portfolio,
        method,
        horizon,
        level,
        list({
            'origin': origin_date,
            'known': outcome_date,
            'n': 1::DOUBLE,
            'hits': exceeded::DOUBLE,
            'sizes': CASE WHEN exceeded THEN loss / es ELSE 0 END,
            'squares': CASE WHEN exceeded THEN (loss / es - 1) ** 2 ELSE 0 END,
            'fz0': fz0,
            'normals': (fz0_normal IS NOT NULL)::DOUBLE,
            'normal': coalesce(fz0_normal - fz0, 0),
            'normal_squares': coalesce((fz0_normal - fz0) ** 2, 0),
            'historicals': (fz0_historical IS NOT NULL)::DOUBLE,
            'historical': coalesce(fz0_historical - fz0, 0),
            'historical_squares': coalesce((fz0_historical - fz0) ** 2, 0)
        } ORDER BY origin_date) AS outcomes
    FROM priced
    GROUP BY ALL
),
folded AS (
    -- Forecasts in order, each skipped if it is before the outcome of the one kept before; of those kept, sums.
    SELECT
        * EXCLUDE (outcomes),
        list_reduce(outcomes, lambda kept, o: CASE WHEN o.origin < kept.known THEN kept ELSE {
            'origin': o.origin,
            'known': o.known,
            'n': kept.n + 1,
            'hits': kept.hits + o.hits,
            'sizes': kept.sizes + o.sizes,
            'squares': kept.squares + o.squares,
            'fz0': kept.fz0 + o.fz0,
            'normals': kept.normals + o.normals,
            'normal': kept.normal + o.normal,
            'normal_squares': kept.normal_squares + o.normal_squares,
            'historicals': kept.historicals + o.historicals,
            'historical': kept.historical + o.historical,
            'historical_squares': kept.historical_squares + o.historical_squares
        } END) AS kept
    FROM outcomes
),
summed AS (
    SELECT basis, portfolio, method, horizon, level, unnest(kept) FROM folded
)
SELECT
    basis,
    portfolio,
    method,
    horizon,
    level,
    n::BIGINT AS forecasts,
    hits::BIGINT AS exceptions,
    1 - sizes / (n * (1 - level)) AS z2,
    sizes / nullif(hits, 0) - 1 AS excess,
    CASE WHEN hits > 2 THEN
        (sizes / hits - 1) / nullif(sqrt(greatest(0, squares / hits - (sizes / hits - 1) ** 2) / (hits - 1)), 0)
    END AS excess_t,
    fz0 / n AS fz0,
    CASE WHEN normals > 2 AND hits > 4 AND method <> 'normal_ewma' THEN
        normal / normals / nullif(sqrt(greatest(0, normal_squares / normals - (normal / normals) ** 2) / normals), 0)
    END AS gain_normal_t,
    CASE WHEN historicals > 2 AND hits > 4 AND method <> 'historical' THEN
        historical / historicals
        / nullif(sqrt(greatest(0, historical_squares / historicals - (historical / historicals) ** 2) / historicals), 0)
    END AS gain_historical_t
FROM summed;
