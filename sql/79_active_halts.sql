-- The halts that are in force: while there is one, no order is sent.
WITH ends AS (
    SELECT cause, coalesce(account, '') AS account, max(sequence) AS sequence
    FROM halts
    WHERE action = 'resume'
    GROUP BY cause, coalesce(account, '')
),
everything AS (SELECT coalesce(max(sequence), 0) AS sequence FROM halts WHERE action = 'resume' AND cause = 'hand')
SELECT h.*
FROM halts AS h
CROSS JOIN everything AS e
LEFT JOIN ends AS o ON o.cause = h.cause AND o.account = coalesce(h.account, '')
WHERE h.action = 'halt' AND h.sequence > e.sequence AND h.sequence > coalesce(o.sequence, 0);
