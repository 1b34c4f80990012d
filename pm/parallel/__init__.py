"""Run work over chunks of tickers in parallel: on this machine, on Dask or on Ray.

No other package knows these engines. Workers are separate processes, each with one numeric thread; work done in this
process has one numeric thread too, so that on one machine results are bitwise equal on every engine. Workers are never
forked, since polars' threads do not survive a fork.
"""

from pm.parallel.machine import cores
from pm.parallel.workers import ENGINES, Workers, map_chunks

__all__ = ["ENGINES", "Workers", "cores", "map_chunks"]
