"""Engine `dask`: workers of a Dask cluster, either started on this machine or already running."""

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
from pm.parallel.futures import FuturesBackend
from pm.parallel.pool import ONE_THREAD, WorkerPool
from pm.parallel.versions import check_versions, installed_versions, unusable_workers
from pm.settings import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["dask_pool", "is_scheduler"]

_CLIENT_CHECK_SECONDS = 10
"""Seconds to wait for a result before checking that the client is still connected."""

_START_WORKERS = "dask worker ADDRESS --nthreads 1 --nworkers auto"


@contextmanager
def dask_pool(
    address: str | None, jobs: int, memory_mb: int, timeout: float, packages: Sequence[str]
) -> Iterator[WorkerPool]:
    """Yield a pool of the workers at an address, or of new ones on this machine, which end with the block.

    Parameters
    ----------
    address
        Address of the scheduler, as in tcp://host:8786; None to start a cluster.
    jobs
        Number of workers to start, each with one thread.
    memory_mb
        Memory in MiB at which a started worker is killed, and its work tried again elsewhere; 0 for an equal share of
        the machine's memory.
    timeout
        Seconds to wait for the scheduler, and for workers.
    packages
        Names of distributions whose versions must be equal on the workers and here.

    Raises
    ------
    EngineError
        There is no scheduler at the address, it has no workers, or they have more than one thread or other versions.
    """
    with ExitStack() as stack:
        # A chunk is sent inside its task: data sent beforehand would be lost with the worker that holds it.
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
            count_workers = partial(_count_and_restart, client, timeout, cluster, jobs)
        else:
            # We report the end of a cluster ourselves, once.
            stack.enter_context(_silenced(logging.getLogger("distributed.client")))
            client = stack.enter_context(_connect(address, timeout))
            jobs = _check_workers(client, address, timeout, packages)
            count_workers = partial(_count_workers, client, timeout)
        backend = partial(FuturesBackend, partial(_submit, client), _result, partial(_cancel, client), (KilledWorker,))
        yield WorkerPool(jobs, backend, count_workers)


@contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def is_scheduler(address: str, timeout: float) -> bool:
    """Return whether a Dask scheduler answers at an address within `timeout` seconds.

    A client would wait without end if another program listens there, whatever its timeout.
    """

    async def identify() -> Any:  # noqa: ANN401 - the scheduler's description of itself
        async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
            return await scheduler.identity()

    try:
        return bool(asyncio.run(asyncio.wait_for(identify(), timeout))["type"] == "Scheduler")
    except (OSError, TimeoutError, ValueError, TypeError, KeyError):
        return False


def _connect(address: str, timeout: float) -> Client:
    try:
        return Client(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            redact_credentials(f"There is no Dask scheduler at {address}: {error}"),
            where="run.address or --address",
            hint="start one: dask scheduler",
        ) from None


def _check_workers(client: Client, address: str, timeout: float, packages: Sequence[str]) -> int:
    """Return the number of workers, after checking that each has one thread and our versions."""
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError:
        raise EngineError(
            f"The Dask cluster at {redact_credentials(address)} has no workers.", hint=f"start some: {_START_WORKERS}"
        ) from None
    threads = client.nthreads()
    if any(count != 1 for count in threads.values()):
        raise EngineError(
            f"Workers of the Dask cluster at {redact_credentials(address)} have {max(threads.values())} threads; "
            "they must have one.",
            hint=f"numeric libraries are not safe in two threads at once; start them as: {_START_WORKERS}",
        )
    try:
        found = client.run(installed_versions, packages)
    except (ImportError, AttributeError) as error:  # without pm, or with one that does not have this function
        raise unusable_workers(address, error) from None
    check_versions(found, packages)
    return len(threads)


def _count_workers(client: Client, timeout: float) -> int:
    """Return the number of workers; 0 if the scheduler does not answer."""
    scheduler = client.scheduler
    if scheduler is None or client.status != "running":
        return 0
    try:
        return len(client.sync(scheduler.ncores, callback_timeout=timeout))
    except (OSError, TimeoutError):
        return 0


def _submit(client: Client, function: Any, done: Any) -> Any:  # noqa: ANN401 - joblib's
    future = client.submit(function, pure=False)
    future.add_done_callback(done)
    return future


def _result(future: Any) -> Any:  # noqa: ANN401 - the work's result
    while True:
        try:
            return future.result(timeout=_CLIENT_CHECK_SECONDS)
        except (CancelledError, asyncio.CancelledError):
            raise _scheduler_gone() from None
        except TimeoutError:
            if future.status == "error":  # the work itself raised it
                raise
            # A closed client never answers, and a thread that waits for it would keep the process from ending.
            if future.client.status != "running":
                raise _scheduler_gone() from None


def _scheduler_gone() -> EngineError:
    return EngineError(
        "The Dask scheduler has stopped, and the work it had is lost.",
        where="run.address or --address",
        hint="start it and its workers again (docs/parallel.md), then run again",
    )


def _count_and_restart(client: Client, timeout: float, cluster: LocalCluster, jobs: int) -> int:
    """Return the number of started workers, and start again those that the cluster no longer replaces.

    The cluster does not replace a worker that was killed while it started, or that took 15 seconds to start on a busy
    machine.
    """
    count = _count_workers(client, timeout)
    if count < jobs:
        cluster.scale(jobs)
    return count


def _cancel(client: Client, futures: list[Any]) -> None:
    if client.status == "running":  # otherwise the call would wait for a scheduler that is gone
        client.cancel(futures)
