-- Clean bars with prices adjusted for splits and dividends (total-return prices), comparable over time.
-- open: Adjusted opening price: opening price as traded × adj_factor.
-- high: Adjusted highest price: highest price as traded × adj_factor.
-- low: Adjusted lowest price: lowest price as traded × adj_factor.
-- close: Adjusted closing price: closing price as traded × adj_factor.
-- traded_close: Closing price as traded, per share.
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
