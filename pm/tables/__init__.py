"""The lake's tables, declared once: a module for each room, and `catalogue` with all of them.

Schema `raw` holds what sources delivered, unchanged; schema `main` what was derived from it. A derived row carries the
`run_id` of the run that computed it, the `snapshot_id` of the lake that run read, and its `cutoff`: the last date
whose data it may depend on.
"""

from pm.tables.catalogue import TABLES
from pm.tables.declaration import Column, Table
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["QUANTILES", "TABLES", "Column", "Table", "quantile_column"]
