"""The lake: daily bars and everything derived from them, in DuckLake. The only code that knows DuckLake."""

from pm.lake.lake import Lake, Transaction, utc_now

__all__ = ["Lake", "Transaction", "utc_now"]
