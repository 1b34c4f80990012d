-- Total returns from each bar's predecessor, dividends included.
-- log_return: ln(adjusted close / the previous one).
-- simple_return: Adjusted close / the previous one − 1.
SELECT
    ticker,
    date,
    ln(close) - lag(ln(close)) OVER by_ticker AS log_return,
    close / lag(close) OVER by_ticker - 1 AS simple_return
FROM adjusted_bars
WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date);
