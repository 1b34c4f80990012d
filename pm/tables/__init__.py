"""Declare the lake's tables: a module for each room, and `catalogue` with all tables.

Schema `raw` holds what sources delivered, unchanged; schema `main` holds what was computed from it. A computed row has
the `run_id` of the run that computed it, the `snapshot_id` of the lake that the run read, and its `cutoff`: the last
date whose data it can depend on.
"""

from pm.tables.catalogue import TABLES
from pm.tables.declaration import Column, Table
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["QUANTILES", "TABLES", "Column", "Table", "quantile_column"]
