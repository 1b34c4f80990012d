"""The audit: whether the ledger's chain of hashes is whole."""
