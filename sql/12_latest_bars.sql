-- Each ticker's newest clean bar.
SELECT *
FROM bars
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) = 1;
