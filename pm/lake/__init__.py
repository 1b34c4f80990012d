"""Store tables in DuckLake: the only code that knows DuckLake and DuckDB.

It is handed its tables and views, and knows nothing of what they mean.
"""

from pm.lake.lake import Lake, utc_now
from pm.lake.transaction import Transaction

__all__ = ["Lake", "Transaction", "utc_now"]
