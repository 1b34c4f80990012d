"""Map a function over chunks with workers: results in the chunks' order, and none lost if a worker dies."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pm.errors import EngineError, WorkerError, did_you_mean
from pm.parallel.addresses import check_address
from pm.parallel.machine import cores
from pm.parallel.monitor import fail_without_workers
from pm.parallel.pool import WorkerDied, WorkerPool
from pm.parallel.threads import SingleThreaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["ENGINES", "Workers", "map_chunks"]

ENGINES = ("local", "dask", "ray")
"""Names of the engines."""

_MODULES = {"dask": "distributed", "ray": "ray"}
_PACKAGES = {"dask": "dask distributed", "ray": "ray"}
"""Packages to install for an engine. The extra of the same name has them, but an index may lack this project, as for a
checkout."""
"""Module whose presence shows that an engine is installed."""
_OWN_CLUSTER = "auto"
"""Ray's name for the address of the cluster that this machine belongs to."""
_MAX_SHARED_DEATHS = 2
"""Number of deaths of workers while a chunk ran beside others, after which it is run alone."""
_MAX_DEATHS = 4
"""Number of deaths of workers over a chunk after which the run fails."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Processes that work on chunks: they start with the first work and end with the `with` block.

    Parameters
    ----------
    engine
        One of `ENGINES`.
    address
        Address of a running cluster of Dask or Ray, which is left running; None to start one on this machine.
    jobs
        Number of processes on this machine; 0 for one per core. A cluster with an address has its own number.
    memory_mb
        Memory in MiB at which a worker is killed, where the engine has a limit (Dask, without an address); 0 for the
        engine's default.
    timeout
        Seconds that a cluster has to answer, and to have workers. A cluster that has lost all workers while working has
        twice as many to get new ones.
    packages
        Names of installed distributions whose versions must be equal on the workers of a cluster with an address and
        here. Python's minor version and portfolio-maximizer's version must always be.

    Raises
    ------
    EngineError
        The engine is unknown or not installed, or there is an address for `local`; and, at the start of the block, no
        cluster answers at the address.
    """

    def __init__(
        self,
        engine: str = "local",
        *,
        address: str | None = None,
        jobs: int = 0,
        memory_mb: int = 0,
        timeout: float = 25,
        packages: Sequence[str] = (),
    ) -> None:
        if engine not in ENGINES:
            raise EngineError(
                f"Unknown engine {engine!r}.{did_you_mean(engine, ENGINES)}",
                where="run.engine or --engine",
                hint=f"use one of: {', '.join(ENGINES)}",
            )
        if engine == "local" and address is not None:
            raise EngineError(
                "Only a cluster has an address, and engine 'local' is not a cluster.",
                where="run.address or --address",
                hint="name the cluster's engine too: --engine dask or --engine ray",
            )
        if engine != "local" and find_spec(_MODULES[engine]) is None:
            raise EngineError(
                f"Engine {engine!r} is not installed.",
                where="run.engine or --engine",
                hint=f"python -m pip install {_PACKAGES[engine]}",
            )
        self._engine = engine
        self._address = address
        self._jobs = jobs
        self._memory_mb = memory_mb
        self._timeout = timeout
        self._packages = tuple(packages)
        self._stack = ExitStack()
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Self:
        if self._address is not None and self._address != _OWN_CLUSTER:
            check_address(self._engine, self._address, self._timeout)
        return self

    def __exit__(self, *error: object) -> None:
        self._pool = None
        self._stack.close()

    def map(
        self,
        function: Callable[[Item], Result],
        chunks: Sequence[Item],
        *,
        name: Callable[[Item], str] | None = None,
    ) -> Iterator[Result]:
        """Apply a function to each chunk, and yield the results in the chunks' order as they become ready.

        At most twice as many chunks as workers are submitted at a time. Engine `local` with one job, or one chunk,
        works in this process.

        Parameters
        ----------
        function
            A picklable function of one chunk (a module's function, or a `functools.partial` of one).
        chunks
            Arguments of the function, one piece of work each.
        name
            Function that names a chunk in an error.

        Raises
        ------
        EngineError
            The cluster cannot be reached, its workers have other versions than this process, or all of them are gone.
        WorkerError
            Workers died over the same chunk again and again; the error names the chunk.
        Exception
            The error that `function` raised.
        """
        work: SingleThreaded[Item, Result] = SingleThreaded(function)
        jobs = min(self._jobs or cores(), len(chunks))
        if not chunks:
            return
        if self._engine == "local" and jobs <= 1:
            for place, chunk in enumerate(chunks):
                yield work(place, chunk)[1]
            return
        pool = self._start_pool(jobs)
        ready: dict[int, Result] = {}
        yielded = 0
        for place, result in _results_with_retries(pool, work, chunks, name, self._timeout):
            ready[place] = result
            while yielded in ready:
                yield ready.pop(yielded)
                yielded += 1

    def _start_pool(self, jobs: int) -> WorkerPool:
        if self._engine == "local":
            from pm.parallel.local import local_pool

            return local_pool(jobs)
        if self._pool is None:
            wanted = self._jobs or cores()
            if self._engine == "dask":
                from pm.parallel.dask import dask_pool

                pool = dask_pool(self._address, wanted, self._memory_mb, self._timeout, self._packages)
            else:
                from pm.parallel.ray import ray_pool

                pool = ray_pool(self._address, wanted, self._timeout, self._packages)
            self._pool = self._stack.enter_context(pool)
        return self._pool


def map_chunks(
    function: Callable[[Item], Result],
    chunks: Sequence[Item],
    *,
    jobs: int = 0,
    engine: str = "local",
    address: str | None = None,
) -> Iterator[Result]:
    """Apply a function to each chunk with workers that are started for this call; see `Workers.map`."""
    with Workers(engine, address=address, jobs=jobs) as workers:
        yield from workers.map(function, chunks)


def _results_with_retries(
    pool: WorkerPool,
    work: SingleThreaded[Item, Result],
    chunks: Sequence[Item],
    name: Callable[[Item], str] | None,
    timeout: float,
) -> Iterator[tuple[int, Result]]:
    """Yield each chunk's place and result as they become ready; submit again the chunks lost with a worker.

    If several chunks were running, it is unknown over which of them the worker died. A chunk that was running at too
    many deaths is run alone, so that the chunk that kills workers is found and no other is blamed.
    """
    pending = dict.fromkeys(range(len(chunks)))
    deaths: Counter[int] = Counter()
    while pending:
        alone = next((place for place in pending if deaths[place] >= _MAX_SHARED_DEATHS), None)
        batch = list(pending) if alone is None else [alone]
        backend = pool.backend()
        try:
            with (
                _results(pool, backend, work, chunks, batch) as results,
                fail_without_workers(pool, backend, 2 * timeout),
            ):
                for place, result in results:
                    del pending[place]
                    yield place, result
        except WorkerDied as death:
            if death.place is None:
                deaths.update(place for place in batch[: backend.submitted] if place in pending)
            else:
                # The engine has tried it again itself. Dask blames chunks that waited at a worker too, so that it is
                # run alone before it is blamed.
                deaths[batch[death.place]] += _MAX_SHARED_DEATHS
            if alone is not None and deaths[alone] >= _MAX_DEATHS:
                raise _fatal_chunk(alone, chunks, name) from None


@contextmanager
def _results(
    pool: WorkerPool,
    backend: Any,  # noqa: ANN401 - joblib has no types
    work: SingleThreaded[Item, Result],
    chunks: Sequence[Item],
    batch: list[int],
) -> Iterator[Iterator[tuple[int, Result]]]:
    from joblib import Parallel, delayed

    # At least two jobs, since joblib does the work of one in this process.
    parallel = Parallel(
        n_jobs=max(pool.size, 2),
        backend=backend,
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch=2 * pool.size,
    )
    results = parallel(delayed(work)(place, chunks[place]) for place in batch)
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            # joblib warns that results are thrown away, as they should be once the caller has stopped.
            warnings.simplefilter("ignore", UserWarning)
            results.close()


def _fatal_chunk(place: int, chunks: Sequence[Item], name: Callable[[Item], str] | None) -> WorkerError:
    chunk = f"chunk {place + 1} of {len(chunks)}" + (f" ({name(chunks[place])})" if name else "")
    return WorkerError(
        f"Workers died again and again over {chunk}.",
        hint="the machine may be out of memory: try fewer --jobs or a smaller run.chunk_size; "
        "or leave these tickers out and report what they have in common",
    )
