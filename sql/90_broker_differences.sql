-- Differences between the ledger and the broker's account that the newest reconciliation found and nobody accepted.
-- difference: What the broker tells, less what the ledger has.
SELECT account, ticker, ledger_value, broker_value, broker_value - ledger_value AS difference, detail, recorded_at, run_id
FROM (
    SELECT *
    FROM reconciliations
    QUALIFY run_id = arg_max(run_id, sequence) OVER (PARTITION BY account)
        AND sequence = max(sequence) OVER (PARTITION BY account, ticker)
)
WHERE NOT matches AND NOT accepted;
