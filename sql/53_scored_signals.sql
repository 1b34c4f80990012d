-- Signals whose horizon is over, each counted once in a basis: of several runs that decided on a ticker from one date, the first.
-- basis: 'runs' for signals made as the days passed; for those of an evaluation or of a look at a past day, its run_id; and again 'evaluations': of all evaluations, the newest of a ticker and date.
WITH realised AS (
    SELECT o.* EXCLUDE (complete), r.kind, r.started_at
    FROM signal_outcomes AS o
    JOIN runs AS r USING (run_id)
    WHERE o.complete
),
counted AS (
    SELECT *
    FROM realised
    QUALIFY row_number() OVER (PARTITION BY basis, ticker, origin_date ORDER BY started_at, run_id) = 1
    UNION ALL BY NAME
    SELECT * REPLACE ('evaluations' AS basis)
    FROM realised
    WHERE kind = 'evaluate'
    QUALIFY row_number() OVER (PARTITION BY ticker, origin_date ORDER BY started_at DESC, run_id DESC) = 1
)
SELECT * EXCLUDE (kind, started_at) FROM counted;
