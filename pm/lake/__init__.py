"""The lake: daily bars and everything derived from them, in DuckLake. The only code that knows DuckLake."""

from pm.lake.lake import Lake, utc_now
from pm.lake.transaction import Transaction

__all__ = ["Lake", "Transaction", "utc_now"]
