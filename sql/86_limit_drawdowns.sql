-- How far each account is now below its peak, as the limit drawdown sees it: a person who ended a halt that this limit had set has accepted the fall, so that only the days since then count.
-- since: Day from which the peak counts; null for all days.
-- date: Newest day.
-- peak: Highest growth since then.
-- growth: Growth on the newest day; null if the account cannot be valued on it.
-- drawdown: Growth over its peak, less 1; null if the account cannot be valued on the newest day.
WITH resumed AS (
    SELECT h.account, min(r.sequence) AS sequence
    FROM halts AS h
    JOIN halts AS r
        ON r.action = 'resume' AND r.sequence > h.sequence
        AND (r.cause = 'hand' OR (r.cause = h.cause AND r.account IS NOT DISTINCT FROM h.account))
    WHERE h.action = 'halt' AND h.cause = 'drawdown'
    GROUP BY h.sequence, h.account
),
marks AS (
    SELECT a.account, max(h.cutoff) AS since
    FROM resumed AS r
    JOIN accounts AS a ON r.account IS NULL OR r.account = a.account
    JOIN audit_heads AS h ON h.sequence < r.sequence
    GROUP BY a.account
),
newest AS (
    SELECT account, max(date) AS date, arg_max(unpriced, date) = 0 AS is_valued
    FROM equity
    GROUP BY account
),
peaks AS (
    SELECT
        d.account,
        any_value(m.since) AS since,
        CASE WHEN any_value(m.since) IS NULL THEN greatest(1, max(d.growth)) ELSE max(d.growth) END AS peak,
        arg_max(d.growth, d.date) AS growth
    FROM drawdowns AS d
    LEFT JOIN marks AS m ON m.account = d.account
    WHERE m.since IS NULL OR d.date >= m.since
    GROUP BY d.account
)
SELECT
    n.account,
    p.since,
    n.date,
    p.peak,
    CASE WHEN n.is_valued THEN p.growth END AS growth,
    CASE WHEN n.is_valued THEN p.growth / p.peak - 1 END AS drawdown
FROM newest AS n
LEFT JOIN peaks AS p ON p.account = n.account;
