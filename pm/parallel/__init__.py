"""The one seam for running work over chunks of tickers in parallel: on this machine, on Dask or on Ray.

Workers are separate processes (never forked: polars' threads do not survive a fork), each with one numeric thread,
and so is the work done in this process, so that results are the same to the last bit whatever does it.
"""

from pm.parallel.workers import ENGINES, Workers, chunked, cores, map_chunks

__all__ = ["ENGINES", "Workers", "chunked", "cores", "map_chunks"]
