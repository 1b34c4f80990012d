-- Every realised forecast four times: among all, and among those of its regime of volatility, month of the target, ticker.
-- slice: 'all', 'regime', 'month' or 'ticker'.
-- value: Which regime, month (YYYY-MM) or ticker; null for all.
SELECT
    *,
    unnest(['all', 'regime', 'month', 'ticker']) AS slice,
    unnest([NULL, regime, strftime(target_date, '%Y-%m'), ticker]) AS value
FROM scored_forecasts;
