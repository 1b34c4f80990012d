-- Clean bars with splits and dividends taken out: prices are total-return prices, comparable over time.
-- open: Opening price × adj_factor.
-- high: Highest price × adj_factor.
-- low: Lowest price × adj_factor.
-- close: Closing price × adj_factor.
-- traded_close: Closing price as traded.
SELECT
    ticker,
    date,
    open * adj_factor AS open,
    high * adj_factor AS high,
    low * adj_factor AS low,
    close * adj_factor AS close,
    volume,
    close AS traded_close,
    adj_factor,
    batch_id
FROM bars;
