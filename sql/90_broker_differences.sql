-- Differences between the ledger and the broker's account that the newest reconciliation found and nobody accepted.
-- ledger_value: Number of shares, or cash in the base currency, by the ledger.
-- broker_value: Number of shares, or cash in the base currency, that the broker tells.
-- difference: What the broker tells, less what the ledger has.
SELECT account, ticker, ledger_value, broker_value, broker_value - ledger_value AS difference, detail, recorded_at, run_id
FROM (
    SELECT * REPLACE (
        coalesce(ledger_cash, ledger_value) AS ledger_value,
        coalesce(broker_cash, broker_value) AS broker_value
    )
    FROM reconciliations
    QUALIFY run_id = arg_max(run_id, sequence) OVER (PARTITION BY account)
        AND sequence = max(sequence) OVER (PARTITION BY account, ticker)
)
WHERE NOT matches AND NOT accepted;
