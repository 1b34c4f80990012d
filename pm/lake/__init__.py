"""Store tables in DuckLake: the only code that knows DuckLake and DuckDB.

Its tables and views are parameters: it knows nothing of their meaning.
"""

from pm.lake.lake import Lake
from pm.lake.transaction import Transaction

__all__ = ["Lake", "Transaction"]
