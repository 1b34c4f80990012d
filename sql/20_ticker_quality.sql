-- For each ticker: the number of clean bars, their first and last date, and the numbers of refused and flagged rows.
-- bars: Number of clean bars.
-- first_date: Date of the first clean bar.
-- last_date: Date of the last clean bar.
-- quarantined: Number of rows refused; see quarantine.
-- flagged: Number of flags on bars that were kept; see bar_flags.
WITH clean AS (
    SELECT ticker, count(*) AS bars, min(date) AS first_date, max(date) AS last_date
    FROM bars
    GROUP BY ticker
),
refused AS (
    SELECT ticker, count(*) AS quarantined
    FROM quarantine
    GROUP BY ticker
),
doubted AS (
    SELECT ticker, count(*) AS flagged
    FROM bar_flags
    GROUP BY ticker
)
SELECT
    ticker,
    coalesce(bars, 0) AS bars,
    first_date,
    last_date,
    coalesce(quarantined, 0) AS quarantined,
    coalesce(flagged, 0) AS flagged
FROM clean
FULL JOIN refused USING (ticker)
FULL JOIN doubted USING (ticker);
