"""The ledger: accounts whose cash, lots and gains follow from append-only rows, in exact decimals."""
