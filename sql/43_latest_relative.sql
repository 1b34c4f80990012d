-- The model of relative returns of the newest run, a row a feature: what it was worth on past dates, and what it reads.
-- dates: Number of dates of the test, whose horizons do not overlap.
-- feature: Column of table features; null if no regression could be fitted.
SELECT
    t.run_id,
    t.cutoff,
    t.status,
    t.weight,
    t.tickers,
    t.dates,
    t.rank_correlation,
    t.rank_correlation_t,
    t.slope_t AS forecast_slope_t,
    t.relative_loss,
    t.dm_p_value,
    t.reason,
    f.feature,
    f.coefficient,
    f.importance,
    f.slope,
    f.slope_t,
    f.equal_to,
    t.snapshot_id
FROM relative_tests AS t
JOIN run_outputs AS o ON o.output_run_id = t.run_id AND o.stage = 'forecast'
JOIN latest_run AS r ON r.run_id = o.run_id
LEFT JOIN relative_fits AS f ON f.run_id = t.run_id AND f.cutoff = t.cutoff
ORDER BY abs(f.importance) DESC NULLS LAST, f.feature;
