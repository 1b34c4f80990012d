-- How far each account is now below its peak, as the limit drawdown sees it: a person who ended a halt that this limit had set has accepted the fall, so that only the days since then count.
-- since: Day from which the peak counts; null for all days.
-- date: Newest day.
-- peak: Highest growth since then.
-- growth: Growth on the newest day; null if the account cannot be valued on it.
-- drawdown: Growth over its peak, less 1; null if the account cannot be valued on the newest day.
WITH fallen AS (
    -- A halt of an older version names no account, and counts for all.
    SELECT
        sequence,
        coalesce(account, '') AS named,
        unnest(CASE WHEN account IS NULL THEN (SELECT list(account) FROM accounts) ELSE [account] END) AS account
    FROM halts
    WHERE action = 'halt' AND cause = 'drawdown'
),
ends AS (SELECT sequence, cause, account FROM halts WHERE action = 'resume' AND cause IN ('hand', 'drawdown')),
resumed AS (
    SELECT f.account, least(every.sequence, own.sequence) AS sequence
    FROM fallen AS f
    ASOF LEFT JOIN (SELECT sequence FROM ends WHERE cause = 'hand') AS every ON f.sequence < every.sequence
    ASOF LEFT JOIN (SELECT sequence, coalesce(account, '') AS account FROM ends WHERE cause = 'drawdown') AS own
        ON own.account = f.named AND f.sequence < own.sequence
    WHERE coalesce(every.sequence, own.sequence) IS NOT NULL
),
marks AS (
    SELECT r.account, max(h.cutoff) AS since
    FROM resumed AS r
    ASOF JOIN (SELECT sequence, cutoff FROM audit_heads WHERE cutoff IS NOT NULL) AS h ON h.sequence < r.sequence
    GROUP BY r.account
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
