-- For each ticker on the watch list or with bars: how fresh its bars are, what was refused or changed, and when it is asked for next.
-- source: Source that its bars come from: that of the watch list, else that of the newest bar.
-- status: 'active' or 'delisted'; 'unwatched' for a ticker that is not on a watch list.
-- last_date: Date of the last clean bar; null without any.
-- weekdays_behind: Number of days from Monday to Friday after last_date and before the present day in UTC, which is not over; holidays count. `pm data health` counts sessions.
-- bars: Number of clean bars.
-- gaps: Number of gaps flagged in the last 250 days of its bars; see bar_flags.
-- quarantined: Number of rows refused by a rule; rows of other sources do not count.
-- restated: Number of bars that a source has changed.
-- sources: Sources of its bars and the number of bars from each.
-- last_vendor: Vendor that was asked last.
-- last_reason: Reason for which that vendor gave nothing; null if it answered, or none was asked.
-- last_detail: That reason in a sentence.
-- asked_at: Time at which a vendor was asked last, in UTC.
-- due_at: Time from which a vendor is asked again, in UTC; null where none is.
WITH counted AS (
    SELECT b.ticker, a.origin, count(*) AS bars, min(b.date) AS first_date, max(b.date) AS last_date
    FROM bars AS b
    JOIN raw.batches AS a USING (batch_id)
    GROUP BY ALL
),
held AS (
    SELECT
        ticker,
        sum(bars)::BIGINT AS bars,
        max(last_date) AS last_date,
        arg_max(origin, last_date) AS origin,
        string_agg(origin || ' ' || bars, ', ' ORDER BY last_date DESC, origin) AS sources
    FROM counted
    GROUP BY ticker
),
newest AS (
    SELECT ticker, max_by(run_id, fetched_at) AS run_id
    FROM fetches
    WHERE fetched_at <= now() AT TIME ZONE 'UTC' + INTERVAL 1 HOUR
    GROUP BY ticker
),
asked AS (
    SELECT
        ticker,
        max_by(vendor, fetched_at) AS last_vendor,
        max_by({'value': reason}, fetched_at).value AS last_reason,
        max_by({'value': detail}, fetched_at).value AS last_detail,
        max(fetched_at) AS asked_at,
        coalesce(max(due_at) FILTER (WHERE reason IS NULL), min(due_at)) AS due_at
    FROM fetches
    JOIN newest USING (ticker, run_id)
    GROUP BY ticker
),
named AS (
    SELECT ticker FROM held
    UNION
    SELECT ticker FROM universe
),
flagged AS (
    SELECT f.ticker, count(*) AS gaps
    FROM bar_flags AS f
    JOIN held AS h USING (ticker)
    WHERE f.rule = 'gap' AND f.date > h.last_date - 250
    GROUP BY f.ticker
),
refused AS (
    SELECT ticker, count(*) AS quarantined
    FROM quarantine
    WHERE rule <> 'other_source'
    GROUP BY ticker
),
changed AS (
    SELECT ticker, count(DISTINCT date) AS restated
    FROM restatements
    GROUP BY ticker
)
SELECT
    n.ticker,
    coalesce(u.source, h.origin) AS source,
    CASE WHEN u.ticker IS NULL THEN 'unwatched' ELSE coalesce(u.status, 'active') END AS status,
    h.last_date,
    -- Days from Monday to Friday since 1969-12-29, a Monday: 5 a week, and those of the week begun.
    CASE WHEN h.last_date IS NOT NULL THEN greatest(
        0,
        5 * ((current_date - 1 - DATE '1969-12-29') // 7) + least(5, (current_date - 1 - DATE '1969-12-29') % 7 + 1)
        - 5 * ((h.last_date - DATE '1969-12-29') // 7) - least(5, (h.last_date - DATE '1969-12-29') % 7 + 1)
    ) END AS weekdays_behind,
    coalesce(h.bars, 0) AS bars,
    coalesce(f.gaps, 0) AS gaps,
    coalesce(r.quarantined, 0) AS quarantined,
    coalesce(c.restated, 0) AS restated,
    h.sources,
    a.last_vendor,
    a.last_reason,
    a.last_detail,
    a.asked_at,
    a.due_at
FROM named AS n
LEFT JOIN universe AS u USING (ticker)
LEFT JOIN held AS h USING (ticker)
LEFT JOIN asked AS a USING (ticker)
LEFT JOIN flagged AS f USING (ticker)
LEFT JOIN refused AS r USING (ticker)
LEFT JOIN changed AS c USING (ticker);
