-- Each signal with its realised return up to its target date, or up to the newest bar where that is earlier.
-- last_date: Date of the bar that realised_return ends at.
-- realised_return: Simple total return from the origin date to last_date, before costs.
-- complete: Whether there is a bar on or after the target date.
SELECT
    s.run_id,
    s.ticker,
    s.action,
    s.origin_date,
    s.target_date,
    s.expected_return,
    s.lower,
    s.upper,
    s.confidence,
    s.size,
    later.date AS last_date,
    later.close / origin.close - 1 AS realised_return,
    newest.date >= s.target_date AS complete,
    s.snapshot_id,
    s.cutoff
FROM signals AS s
JOIN adjusted_bars AS origin ON origin.ticker = s.ticker AND origin.date = s.origin_date
JOIN adjusted_bars AS later ON later.ticker = s.ticker AND later.date > s.origin_date AND later.date <= s.target_date
JOIN latest_bars AS newest ON newest.ticker = s.ticker
QUALIFY row_number() OVER (PARTITION BY s.run_id, s.ticker ORDER BY later.date DESC) = 1;
