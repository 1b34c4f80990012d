-- Each signal with its realised return up to the last bar of its horizon, or up to the newest bar while that is to come.
-- basis: 'runs' for signals made as the days passed; for those of an evaluation or of a look at a past day, its run_id.
-- last_date: Date of the bar that realised_return ends at: the horizon-th after the origin date, or the last one until 14 + horizon days after target_date, such as the newest.
-- realised_return: Simple total return from the origin date to last_date, before costs.
-- complete: Whether the horizon is over: the horizon-th bar after the origin date is there, or will not come in time, as the newest bar of any ticker is more than 14 + horizon days after target_date.
-- stopped: Whether it is over without that bar: the ticker stopped trading, and realised_return ends at its last price.
WITH closes AS (
    SELECT
        ticker,
        date,
        close,
        row_number() OVER (PARTITION BY ticker ORDER BY date) AS place,
        max(date) OVER () AS newest_day
    FROM adjusted_bars
    WHERE date >= (SELECT min(origin_date) FROM signals)
)
-- The pair (ticker, place) is compared as one value: as two, DuckDB can join bars to bars by ticker alone.
SELECT
    s.run_id,
    r.basis,
    s.ticker,
    s.action,
    s.origin_date,
    s.target_date,
    s.horizon,
    s.expected_return,
    s.lower,
    s.upper,
    s.probability_gain,
    s.probability_loss,
    s.confidence,
    s.size,
    s.round_trip_cost,
    last.date AS last_date,
    last.close / origin.close - 1 AS realised_return,
    last.place = origin.place + s.horizon OR origin.newest_day > s.target_date + (14 + s.horizon)::INTEGER AS complete,
    last.place < origin.place + s.horizon AND origin.newest_day > s.target_date + (14 + s.horizon)::INTEGER AS stopped,
    s.forecast_run_id,
    s.volatility_run_id,
    s.snapshot_id,
    s.cutoff
FROM signals AS s
JOIN run_basis AS r USING (run_id)
JOIN closes AS origin ON origin.ticker = s.ticker AND origin.date = s.origin_date
ASOF JOIN closes AS latest ON latest.ticker = s.ticker AND latest.date <= s.target_date + (14 + s.horizon)::INTEGER
JOIN closes AS last
    ON {'ticker': last.ticker, 'place': last.place}
    = {'ticker': s.ticker, 'place': least(latest.place, origin.place + s.horizon)}
WHERE last.date > s.origin_date;
