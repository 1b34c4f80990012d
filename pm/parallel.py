"""The one seam for running work over chunks of tickers in parallel.

Workers are separate processes (never forked: polars' threads do not survive a fork), each with one numeric thread,
and so is the work done in this process, so that results are the same to the last bit whatever the number of jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["chunked", "cores", "map_chunks"]

_IDLE_SECONDS = 10

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores this process may use."""
    from joblib import cpu_count  # joblib takes 0.1 s to import

    return int(cpu_count())


def chunked(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a sequence into pieces of at most `size`, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def map_chunks(
    function: Callable[[Item], Result],
    chunks: Sequence[Item],
    *,
    jobs: int = 0,
) -> Iterator[Result]:
    """Apply a function to each chunk and give the results in the chunks' order, as they become ready.

    Parameters
    ----------
    function
        A picklable function of one chunk (a module's function, or a `functools.partial` of one).
    chunks
        Whatever the function takes, one piece of work each.
    jobs
        Processes to use; 0 for one a core. With one job, or one chunk, the work is done in this process.

    Raises
    ------
    Exception
        Whatever `function` raises, in this process.
    """
    jobs = min(jobs or cores(), len(chunks))
    if jobs <= 1:
        import scipy.linalg  # noqa: F401 - loads its BLAS: one that is loaded later would not be limited
        from threadpoolctl import threadpool_limits  # keeps `pm --help` fast

        for chunk in chunks:
            with threadpool_limits(limits=1):
                result = function(chunk)
            yield result
        return
    from joblib import Parallel, delayed, parallel_config

    # Workers whose parent was killed leave when they have idled so long.
    with parallel_config(backend="loky", inner_max_num_threads=1, idle_worker_timeout=_IDLE_SECONDS):
        yield from Parallel(n_jobs=jobs, return_as="generator")(delayed(function)(chunk) for chunk in chunks)
