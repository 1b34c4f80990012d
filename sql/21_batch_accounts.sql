-- Where every bar of every batch went, and whether the sum is right.
-- balanced: landed = inserted + updated + unchanged + quarantined; null while the batch waits to be checked.
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
