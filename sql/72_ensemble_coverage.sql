-- Share of outcomes inside the ensemble's intervals of 50%, 80%, 90% and 95%, for all forecasts and by volatility regime.
-- basis: 'nights' for forecasts of daily runs; else the run_id of the evaluation that made them.
-- step: Sessions ahead.
-- regime: Volatility regime on the origin date: low, middle or high; null for all.
-- forecasts: Forecasts whose outcome is known.
-- coverage_50: Share of outcomes inside the 50% interval; it should be near 0.5.
-- coverage_80: Share of outcomes inside the 80% interval; it should be near 0.8.
-- coverage_90: Share of outcomes inside the 90% interval; it should be near 0.9.
-- lower_90: Lower end of the 95% Wilson interval of coverage_90, if outcomes are independent.
-- upper_90: Upper end of the 95% Wilson interval of coverage_90.
-- coverage_95: Share of outcomes inside the 95% interval; it should be near 0.95.
SELECT
    basis,
    step,
    value AS regime,
    max(forecasts) AS forecasts,
    max(coverage) FILTER (level = 0.5) AS coverage_50,
    max(coverage) FILTER (level = 0.8) AS coverage_80,
    max(coverage) FILTER (level = 0.9) AS coverage_90,
    max(lower) FILTER (level = 0.9) AS lower_90,
    max(upper) FILTER (level = 0.9) AS upper_90,
    max(coverage) FILTER (level = 0.95) AS coverage_95
FROM interval_coverage
WHERE model = 'ensemble' AND slice IN ('all', 'regime')
GROUP BY basis, step, value;
