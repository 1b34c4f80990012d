-- The halts that are in force: while there is one, no order is sent.
SELECT h.*
FROM (SELECT * FROM halts WHERE action = 'halt') AS h
ANTI JOIN (SELECT sequence, cause, account FROM halts WHERE action = 'resume') AS e
    ON e.sequence > h.sequence
    AND (e.cause = 'hand' OR (e.cause = h.cause AND e.account IS NOT DISTINCT FROM h.account));
