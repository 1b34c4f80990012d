-- The newest clean bar of each ticker.
SELECT *
FROM bars
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) = 1;
