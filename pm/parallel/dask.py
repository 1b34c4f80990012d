"""Engine `dask`: workers of a Dask cluster, one started on this machine or one that is running."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dask import config
from distributed import Client, KilledWorker, LocalCluster, Security
from distributed.core import rpc

from pm.errors import EngineError
from pm.parallel.crew import ONE_THREAD, Crew
from pm.parallel.futures import FuturesBackend
from pm.parallel.versions import check_versions, missing, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dask_crew", "greets"]

_ASKED_AGAIN_SECONDS = 10
"""How long a result may be in coming before it is asked whether the client still lives."""

_START = "dask worker ADDRESS --nthreads 1 --nworkers auto"


@contextmanager
def dask_crew(address: str | None, jobs: int, memory_mb: int, patience: float) -> Iterator[Crew]:
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
    patience
        Seconds to wait for the scheduler, and for workers.

    Raises
    ------
    EngineError
        There is no scheduler at the address, it has no workers, or they have more than one thread, or other versions.
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
            alive = partial(_renewed, client, patience, cluster, jobs)
        else:
            # What a cluster's end does to the client is said once, by us.
            stack.enter_context(_silenced(logging.getLogger("distributed.client")))
            client = stack.enter_context(_connect(address, patience))
            jobs = _threads(client, address, patience)
            alive = partial(_alive, client, patience)
        backend = partial(FuturesBackend, partial(_submit, client), _result, partial(_cancel, client), (KilledWorker,))
        yield Crew(jobs, backend, alive)


@contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def greets(address: str, patience: float) -> bool:
    """Whether a Dask scheduler answers at an address within so many seconds.

    A client would wait for ever where something else listens, whatever its timeout.
    """

    async def ask() -> Any:  # noqa: ANN401 - what a scheduler says of itself
        async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
            return await scheduler.identity()

    try:
        return bool(asyncio.run(asyncio.wait_for(ask(), patience))["type"] == "Scheduler")
    except (OSError, TimeoutError, ValueError, TypeError, KeyError):
        return False


def _connect(address: str, patience: float) -> Client:
    try:
        return Client(address, timeout=patience, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"There is no Dask scheduler at {address}: {error}",
            where="run.address or --address",
            hint="start one: dask scheduler",
        ) from None


def _threads(client: Client, address: str, patience: float) -> int:
    """Count the workers, each of one thread and of our versions."""
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError:
        raise EngineError(f"The Dask cluster at {address} has no workers.", hint=f"start some: {_START}") from None
    threads = client.nthreads()
    if any(count != 1 for count in threads.values()):
        raise EngineError(
            f"Workers of the Dask cluster at {address} have {max(threads.values())} threads; they need to have one.",
            hint=f"numeric libraries are not safe in two threads at once; start them as: {_START}",
        )
    try:
        check_versions(client.run(versions))
    except ImportError as error:
        raise missing(address, error) from None
    return len(threads)


def _alive(client: Client, patience: float) -> int:
    """Count the workers; none where the scheduler says nothing."""
    scheduler = client.scheduler
    if scheduler is None or client.status != "running":
        return 0
    try:
        return len(client.sync(scheduler.ncores, callback_timeout=patience))
    except (OSError, TimeoutError):
        return 0


def _submit(client: Client, function: Any, done: Any) -> Any:  # noqa: ANN401 - joblib's
    future = client.submit(function, pure=False)
    future.add_done_callback(done)
    return future


def _result(future: Any) -> Any:  # noqa: ANN401 - the work's result
    while True:
        try:
            return future.result(timeout=_ASKED_AGAIN_SECONDS)
        except (CancelledError, asyncio.CancelledError):
            raise _gone() from None
        except TimeoutError:
            if future.status == "error":  # the work's own
                raise
            # A client that is closed answers nobody, and whoever waits for it keeps the process from ending.
            if future.client.status != "running":
                raise _gone() from None


def _gone() -> EngineError:
    return EngineError(
        "The Dask scheduler is gone, and with it the work that it had.",
        where="run.address or --address",
        hint="start it and its workers again (docs/parallel.md), then run again",
    )


def _renewed(client: Client, patience: float, cluster: LocalCluster, jobs: int) -> int:
    """Count the workers of our own, and start those again that the cluster has given up.

    It does so with one that was killed while it started, or that takes 15 seconds to start on a busy machine.
    """
    count = _alive(client, patience)
    if count < jobs:
        cluster.scale(jobs)
    return count


def _cancel(client: Client, futures: list[Any]) -> None:
    if client.status == "running":  # else there is nobody to tell, and the client would wait for somebody
        client.cancel(futures)
