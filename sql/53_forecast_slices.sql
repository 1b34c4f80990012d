-- Every realised forecast four times: among all, and among those of its regime of volatility, target month and ticker.
-- slice: What the row counts: 'all' forecasts, or those of a 'regime' of volatility, a 'month' or a 'ticker'.
-- value: The regime, the month of the target date (YYYY-MM) or the ticker; null for 'all'.
SELECT
    *,
    unnest(['all', 'regime', 'month', 'ticker']) AS slice,
    unnest([NULL, regime, strftime(target_date, '%Y-%m'), ticker]) AS value
FROM scored_forecasts;
