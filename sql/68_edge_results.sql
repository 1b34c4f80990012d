-- What edges were worth afterwards: the errors of the ensemble's realised forecasts beside those of no change, for tickers with and without an edge on the night of the forecast.
-- basis: 'runs' for forecasts made as the days passed; for those of an evaluation or of a look at a past day, its run_id; 'evaluations' for all evaluations.
-- edge: 'discovered' for an edge that may lead to BUY or SELL, 'claimed' for one that is proven for the ticker alone, 'none' for others.
-- forecasts: Number of realised forecasts.
-- tickers: Number of tickers.
-- dates: Number of cutoffs that gain_t counts; each is on or after the last outcome date of the one before, so that windows do not overlap.
-- relative_rmse: Root mean squared error / that of assuming no change; below 1 the edge was worth something.
-- right_sign: Share of forecasts other than no change that had the sign of the return.
-- gain_t: t statistic, over those dates, of the squared error of no change minus that of the forecast, in units of its variance. Null below 8 dates.
WITH surviving AS (
    SELECT s.forecast_run_id, s.cutoff, s.ticker, bool_or(d.discovered) AS discovered
    FROM signals AS s
    JOIN discoveries AS d ON d.run_id = s.run_id AND d.cutoff = s.cutoff AND d.ticker = s.ticker
    GROUP BY ALL
),
judged AS (
    SELECT
        f.basis,
        f.step,
        f.ticker,
        f.cutoff,
        f.outcome_date,
        CASE WHEN coalesce(d.discovered, false) THEN 'discovered' WHEN w.verdict = 'edge' THEN 'claimed' ELSE 'none' END
            AS edge,
        f.error ** 2 AS square,
        f.actual_log_return ** 2 AS base_square,
        f.mean_log_return * f.actual_log_return AS signed,
        f.sigma ** 2 AS variance
    FROM scored_forecasts AS f
    JOIN model_weights AS w
        ON w.run_id = f.run_id AND w.cutoff = f.cutoff AND w.ticker = f.ticker AND w.model = 'ensemble'
    LEFT JOIN surviving AS d ON d.forecast_run_id = f.run_id AND d.cutoff = f.cutoff AND d.ticker = f.ticker
    WHERE f.model = 'ensemble'
),
daily AS (
    SELECT
        basis,
        step,
        edge,
        cutoff,
        max(outcome_date) AS known,
        avg((base_square - square) / nullif(variance, 0)) AS gain
    FROM judged
    GROUP BY ALL
),
folded AS (
    -- Dates in order, each skipped if it is before the last outcome of the one kept before.
    SELECT
        basis,
        step,
        edge,
        list_reduce(
            list_sort(list({'cutoff': cutoff, 'known': known, 'gains': [gain]})),
            lambda kept, o: CASE WHEN o.cutoff < kept.known THEN kept ELSE {
                'cutoff': o.cutoff, 'known': o.known, 'gains': list_concat(kept.gains, o.gains)
            } END
        ).gains AS gains
    FROM daily
    GROUP BY basis, step, edge
),
summed AS (
    SELECT
        basis,
        step,
        edge,
        count(*) AS forecasts,
        count(DISTINCT ticker) AS tickers,
        sqrt(sum(square) / nullif(sum(base_square), 0)) AS relative_rmse,
        count_if(signed > 0) / nullif(count_if(signed <> 0), 0) AS right_sign
    FROM judged
    GROUP BY ALL
)
SELECT
    s.basis,
    s.edge,
    s.step,
    s.forecasts,
    s.tickers,
    len(f.gains) AS dates,
    s.relative_rmse,
    s.right_sign,
    CASE WHEN len(f.gains) >= 8 AND list_stddev_samp(f.gains) > 1e-9 * abs(list_avg(f.gains))
        THEN list_avg(f.gains) / list_stddev_samp(f.gains) * sqrt(len(f.gains)) END AS gain_t
FROM summed AS s
JOIN folded AS f USING (basis, step, edge);
