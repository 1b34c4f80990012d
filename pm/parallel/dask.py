"""Engine `dask`: workers of a Dask cluster, one started on this machine or one that is running."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dask import config
from distributed import Client, KilledWorker, LocalCluster

from pm.errors import EngineError
from pm.parallel.crew import ONE_THREAD, Crew
from pm.parallel.futures import FuturesBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dask_crew"]

_SECONDS = 20
_START = "dask worker ADDRESS --nthreads 1 --nworkers auto"


@contextmanager
def dask_crew(address: str | None, jobs: int, memory_mb: int) -> Iterator[Crew]:
    """Give the workers at an address, or new ones of one thread on this machine, which end with the block.

    Parameters
    ----------
    address
        The scheduler's, as in tcp://host:8786; None for a cluster of our own.
    jobs
        How many of our own.
    memory_mb
        Memory at which a worker of our own is killed, its work tried again elsewhere; 0 for an equal share of the
        machine's.

    Raises
    ------
    EngineError
        There is no scheduler at the address, it has no workers, or theirs have more than one thread.
    """
    with ExitStack() as stack:
        # A chunk travels inside its task: data handed out beforehand would be lost with the worker that holds it.
        stack.enter_context(config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}))
        if address is None:
            scratch = stack.enter_context(TemporaryDirectory(prefix="pm-dask-", ignore_cleanup_errors=True))
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=f"{memory_mb} MiB" if memory_mb else "auto",
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                env=ONE_THREAD,
            )
            client = stack.enter_context(Client(stack.enter_context(cluster), set_as_default=False))
        else:
            client = stack.enter_context(_connect(address))
            jobs = _threads(client, address)
        yield Crew(jobs, partial(FuturesBackend, partial(_submit, client), _result, client.cancel, (KilledWorker,)))


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"There is no Dask scheduler at {address}: {error}",
            where="run.address or --address",
            hint="start one: dask scheduler",
        ) from None


def _threads(client: Client, address: str) -> int:
    """Count the workers, each of one thread."""
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
    except TimeoutError:
        raise EngineError(f"The Dask cluster at {address} has no workers.", hint=f"start some: {_START}") from None
    threads = client.nthreads()
    if any(count != 1 for count in threads.values()):
        raise EngineError(
            f"Workers of the Dask cluster at {address} have {max(threads.values())} threads; they need to have one.",
            hint=f"numeric libraries are not safe in two threads at once; start them as: {_START}",
        )
    return len(threads)


def _submit(client: Client, function: Any, done: Any) -> Any:  # noqa: ANN401 - joblib's
    future = client.submit(function, pure=False)
    future.add_done_callback(done)
    return future


def _result(future: Any) -> Any:  # noqa: ANN401 - the work's result
    return future.result()
