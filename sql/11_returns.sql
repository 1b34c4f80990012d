-- Total return of each bar since the ticker's previous bar, dividends included.
-- log_return: ln(adjusted close / adjusted close of the previous bar); null for a ticker's first bar.
-- simple_return: Adjusted close / adjusted close of the previous bar − 1; null for a ticker's first bar.
SELECT
    ticker,
    date,
    ln(close) - lag(ln(close)) OVER by_ticker AS log_return,
    close / lag(close) OVER by_ticker - 1 AS simple_return
FROM adjusted_bars
WINDOW by_ticker AS (PARTITION BY ticker ORDER BY date);
