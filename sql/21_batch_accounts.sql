-- For each batch: how many of its bars were inserted, updated, unchanged and refused, and whether the sum is right.
-- landed: Number of bars that the batch delivered.
-- balanced: Whether landed = inserted + updated + unchanged + quarantined; null until the batch is checked.
SELECT
    batch_id,
    origin,
    path,
    b.bars AS landed,
    inserted,
    updated,
    unchanged,
    quarantined,
    b.bars = inserted + updated + unchanged + quarantined AS balanced,
    landed_at
FROM raw.batches AS b
LEFT JOIN reconciliation USING (batch_id);
