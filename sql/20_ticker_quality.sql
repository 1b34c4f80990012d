-- What is known of each ticker's bars: how many, over which days, how many were refused, how many are doubted.
-- bars: Clean bars.
-- first_date: Date of the first clean bar.
-- last_date: Date of the last clean bar.
-- quarantined: Rows refused; see quarantine.
-- flagged: Doubts about bars that were kept; see bar_flags.
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
