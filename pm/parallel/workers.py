"""Hand chunks to workers and give the results in the chunks' order; a worker that dies costs no result."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pm.errors import EngineError, WorkerError, did_you_mean
from pm.parallel.crew import Crew, WorkerLost
from pm.parallel.reach import check_reachable
from pm.parallel.threads import OneThread
from pm.parallel.watch import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["ENGINES", "Workers", "chunked", "cores", "map_chunks"]

ENGINES = ("local", "dask", "ray")
"""Names of the engines."""

_PACKAGES = {"dask": "distributed", "ray": "ray"}
_HERE = "auto"
"""What Ray calls the cluster that this machine belongs to."""
_TOGETHER = 2
"""Deaths a chunk may have been near while others ran, before it is tried alone."""
_TRIES = 4
"""Deaths after which a chunk is given up."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores this process may use."""
    from joblib import cpu_count  # joblib takes 0.1 s to import

    return int(cpu_count())


def chunked(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a sequence into pieces of at most `size`, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]


class Workers:
    """Processes that work on chunks: started with the first work, ended with the block.

    Parameters
    ----------
    engine
        One of `ENGINES`.
    address
        A running cluster of Dask or Ray, which is left running; None for one of our own on this machine.
    jobs
        Processes on this machine; 0 for one a core. With an address it is the cluster that says how many.
    memory_mb
        Memory of a worker beyond which it is killed, where the engine has such a limit (Dask, without an address); 0
        for the engine's own.
    patience
        Seconds that a cluster has to answer and to have workers. One that has lost them all in its work has twice as
        long to get new ones.

    Raises
    ------
    EngineError
        No such engine, one that is not installed, or an address with `local`; and, at the start of the block, an
        address at which no cluster answers.
    """

    def __init__(
        self,
        engine: str = "local",
        *,
        address: str | None = None,
        jobs: int = 0,
        memory_mb: int = 0,
        packages: Sequence[str] = (),
        patience: float = 25,
    ) -> None:
        if engine not in ENGINES:
            raise EngineError(
                f"Unknown engine {engine!r}.{did_you_mean(engine, ENGINES)}",
                where="run.engine or --engine",
                hint=f"use one of: {', '.join(ENGINES)}",
            )
        if engine == "local" and address is not None:
            raise EngineError(
                "An address is of a cluster, and engine 'local' has none.",
                where="run.address or --address",
                hint="name the cluster's engine too: --engine dask or --engine ray",
            )
        if engine != "local" and find_spec(_PACKAGES[engine]) is None:
            raise EngineError(
                f"Engine {engine!r} is not installed.",
                where="run.engine or --engine",
                hint=f"python -m pip install 'portfolio-maximizer[{engine}]'",
            )
        self._engine = engine
        self._address = address
        self._jobs = jobs
        self._memory_mb = memory_mb
        self._patience = patience
        self._stack = ExitStack()
        self._crew: Crew | None = None

    def __enter__(self) -> Self:
        if self._address is not None and self._address != _HERE:
            check_reachable(self._engine, self._address, self._patience)
        return self

    def __exit__(self, *error: object) -> None:
        self._crew = None
        self._stack.close()

    def map(
        self,
        function: Callable[[Item], Result],
        chunks: Sequence[Item],
        *,
        name: Callable[[Item], str] | None = None,
    ) -> Iterator[Result]:
        """Apply a function to each chunk and give the results in the chunks' order, as they become ready.

        At most twice as many chunks as workers are with the engine at a time. Engine `local` with one job, or one
        chunk, works in this process.

        Parameters
        ----------
        function
            A picklable function of one chunk (a module's function, or a `functools.partial` of one).
        chunks
            Whatever the function takes, one piece of work each.
        name
            What to call a chunk in an error.

        Raises
        ------
        EngineError
            The cluster cannot be had, its workers have other versions than this process, or all of them are gone.
        WorkerError
            Workers died over the same chunk again and again; the error names it.
        Exception
            Whatever `function` raises.
        """
        work: OneThread[Item, Result] = OneThread(function)
        jobs = min(self._jobs or cores(), len(chunks))
        if not chunks:
            return
        if self._engine == "local" and jobs <= 1:
            for place, chunk in enumerate(chunks):
                yield work(place, chunk)[1]
            return
        crew = self._hire(jobs)
        ready: dict[int, Result] = {}
        given = 0
        for place, result in _whatever_dies(crew, work, chunks, name, self._patience):
            ready[place] = result
            while given in ready:
                yield ready.pop(given)
                given += 1

    def _hire(self, jobs: int) -> Crew:
        if self._engine == "local":
            from pm.parallel.local import local_crew

            return local_crew(jobs)
        if self._crew is None:
            wanted = self._jobs or cores()
            if self._engine == "dask":
                from pm.parallel.dask import dask_crew

                hired = dask_crew(self._address, wanted, self._memory_mb, self._patience)
            else:
                from pm.parallel.ray import ray_crew

                hired = ray_crew(self._address, wanted, self._patience)
            self._crew = self._stack.enter_context(hired)
        return self._crew


def map_chunks(
    function: Callable[[Item], Result],
    chunks: Sequence[Item],
    *,
    jobs: int = 0,
    engine: str = "local",
    address: str | None = None,
) -> Iterator[Result]:
    """Apply a function to each chunk with workers that are there for this one call; see `Workers.map`."""
    with Workers(engine, address=address, jobs=jobs) as workers:
        yield from workers.map(function, chunks)


def _whatever_dies(
    crew: Crew,
    work: OneThread[Item, Result],
    chunks: Sequence[Item],
    name: Callable[[Item], str] | None,
    patience: float,
) -> Iterator[tuple[int, Result]]:
    """Give each chunk's place and result as they come; hand in again what was lost with a worker.

    Who died over which chunk is not known where several were at work: a chunk that was near too many deaths is tried
    alone, so that the one to blame is found and no other blamed for it.
    """
    pending = dict.fromkeys(range(len(chunks)))
    deaths: Counter[int] = Counter()
    while pending:
        alone = next((place for place in pending if deaths[place] >= _TOGETHER), None)
        batch = list(pending) if alone is None else [alone]
        backend = crew.backend()
        try:
            with _results(crew, backend, work, chunks, batch) as results, watched(crew, backend, 2 * patience):
                for place, result in results:
                    del pending[place]
                    yield place, result
        except WorkerLost as lost:
            if lost.place is None:
                deaths.update(place for place in batch[: backend.submitted] if place in pending)
            else:
                # The engine has tried it again itself; but Dask blames what waited at a worker with what it worked on.
                deaths[batch[lost.place]] += _TOGETHER
            if alone is not None and deaths[alone] >= _TRIES:
                raise _given_up(alone, chunks, name) from None


@contextmanager
def _results(
    crew: Crew,
    backend: Any,  # noqa: ANN401 - joblib has no types
    work: OneThread[Item, Result],
    chunks: Sequence[Item],
    batch: list[int],
) -> Iterator[Iterator[tuple[int, Result]]]:
    from joblib import Parallel, delayed

    # Two at least, for joblib does the work of one in this process.
    parallel = Parallel(
        n_jobs=max(crew.size, 2),
        backend=backend,
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch=2 * crew.size,
    )
    results = parallel(delayed(work)(place, chunks[place]) for place in batch)
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            # joblib warns that work is thrown away: so it was meant, when the caller has gone.
            warnings.simplefilter("ignore", UserWarning)
            results.close()


def _given_up(place: int, chunks: Sequence[Item], name: Callable[[Item], str] | None) -> WorkerError:
    chunk = f"chunk {place + 1} of {len(chunks)}" + (f" ({name(chunks[place])})" if name else "")
    return WorkerError(
        f"Workers died again and again over {chunk}.",
        hint="the machine may be out of memory: try fewer --jobs or a smaller run.chunk_size; "
        "or leave these tickers out and report what they have in common",
    )
