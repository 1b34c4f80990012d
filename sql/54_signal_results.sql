-- Each signal as it could have been followed: from the open of the first bar after it to the close of the last bar of its horizon. signal_outcomes starts at the close before, at which nobody could trade on it any more.
-- basis: 'runs' for signals made as the days passed; for those of an evaluation or of a look at a past day, its run_id.
-- entry_date: Date of the first bar after the origin date.
-- entry_price: Its open as traded; null for a bar that has only a close: then nobody knows what following the signal would have cost.
-- gap: Simple total return from the close of the origin date to that open: realised_return counts it, and nobody could have it.
-- last_date: Date of the bar that the returns end at; see signal_outcomes.
-- result: Simple total return from the entry to the close of last_date, before costs.
-- net_result: Return of following the signal after round_trip_cost, short for SELL; null for HOLD.
-- realised_return: The same from the close of the origin date on, as in signal_outcomes.
-- complete: Whether the horizon is over; see signal_outcomes.
-- stopped: Whether the ticker stopped trading before that: the returns end at its last price.
WITH bars_after AS (
    SELECT
        ticker,
        date,
        open,
        open / adj_factor AS traded_open,
        close,
        row_number() OVER (PARTITION BY ticker ORDER BY date) AS place
    FROM adjusted_bars
    WHERE date >= (SELECT min(origin_date) FROM signals)
)
-- The pair (ticker, place) is compared as one value: as two, DuckDB can join bars to bars by ticker alone.
SELECT
    o.run_id,
    o.basis,
    o.ticker,
    o.action,
    o.origin_date,
    o.target_date,
    o.expected_return,
    o.confidence,
    o.size,
    o.round_trip_cost,
    entry.date AS entry_date,
    entry.traded_open AS entry_price,
    entry.open / origin.close - 1 AS gap,
    o.last_date,
    last.close / entry.open - 1 AS result,
    CASE o.action
        WHEN 'BUY' THEN last.close / entry.open - 1 - o.round_trip_cost
        WHEN 'SELL' THEN 1 - last.close / entry.open - o.round_trip_cost
    END AS net_result,
    o.realised_return,
    o.complete,
    o.stopped,
    o.snapshot_id,
    o.cutoff
FROM signal_outcomes AS o
JOIN bars_after AS origin ON origin.ticker = o.ticker AND origin.date = o.origin_date
JOIN bars_after AS entry ON {'ticker': entry.ticker, 'place': entry.place} = {'ticker': o.ticker, 'place': origin.place + 1}
JOIN bars_after AS last ON last.ticker = o.ticker AND last.date = o.last_date;
