"""Engine `ray`: workers of a Ray cluster, one started on this machine or one that is running."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import LocalRayletDiedError, NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pm.errors import EngineError
from pm.parallel.crew import ONE_THREAD, Crew
from pm.parallel.futures import FuturesBackend
from pm.parallel.versions import check_versions, missing, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ray_crew"]

_LOST = (WorkerCrashedError, OutOfMemoryError, NodeDiedError)
_RETRIES = 3
_ENVIRONMENT = {"env_vars": ONE_THREAD}
_STORE_BYTES = 256 * 1024**2
"""Shared memory for chunks and results on this machine; more goes to disk."""


@contextmanager
def ray_crew(address: str | None, jobs: int, patience: float) -> Iterator[Crew]:
    """Give the workers at an address, or new ones of one CPU on this machine, which end with the block.

    A program that has connected to Ray itself has its own cluster used, and left as it is.

    Parameters
    ----------
    address
        The head's, as in 10.0.0.1:6379; 'auto' for the one this machine belongs to; None for a cluster of our own.
    jobs
        How many of our own.
    patience
        Seconds that each node has to say its versions.

    Raises
    ------
    EngineError
        There is no head at the address, it has no CPU, or a node has other versions.
    """
    with ExitStack() as stack:
        if not ray.is_initialized():
            _connect(address, jobs)
            stack.callback(ray.shutdown)
        # Ray calls back from the thread that moves its messages, which must not wait for us.
        callers = stack.enter_context(ThreadPoolExecutor(1))
        call = ray.remote(_call).options(num_cpus=1, max_retries=_RETRIES, runtime_env=_ENVIRONMENT)
        size = _alive()
        if size < 1:
            raise EngineError("The Ray cluster has no CPU.", where=address or "", hint="start a node: ray start")
        if address is not None:
            _check_versions(address, patience)
        yield Crew(size, partial(FuturesBackend, partial(_submit, call, callers), _result, _leave, _LOST), _alive)


def _connect(address: str | None, jobs: int) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        # 'local' is a cluster of our own even where one is running.
        ray.init("local", num_cpus=jobs, include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"There is no Ray cluster at {address}: {error}",
            where="run.address or --address",
            hint="start one: ray start --head",
        ) from None


def _alive() -> int:
    """Count the CPUs of all nodes, one a worker."""
    return int(ray.cluster_resources().get("CPU", 0))


def _check_versions(address: str, patience: float) -> None:
    """Ask each node that has a CPU; what one says too late is not waited for."""
    asked = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            # No CPU is asked for, so that a node that is busy answers too.
            call = ray.remote(versions).options(num_cpus=0, scheduling_strategy=there, runtime_env=_ENVIRONMENT)
            asked[call.remote()] = node["NodeManagerAddress"]
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=patience)
    try:
        check_versions({asked[reference]: ray.get(reference) for reference in done})
    except RayTaskError as error:
        if isinstance(error.cause, ImportError):
            raise missing(address, error.cause) from None
        raise


def _call(function: Any) -> Any:  # noqa: ANN401 - joblib's
    return function()


def _submit(call: Any, callers: ThreadPoolExecutor, function: Any, done: Any) -> Any:  # noqa: ANN401 - joblib's
    reference = call.remote(function)
    reference.future().add_done_callback(partial(_tell, callers, done))
    return reference


def _tell(callers: ThreadPoolExecutor, done: Any, future: Any) -> None:  # noqa: ANN401 - joblib's
    with suppress(RuntimeError):  # what was cancelled may end when nobody listens any more
        callers.submit(done, future)


def _result(future: Any) -> Any:  # noqa: ANN401 - the work's result
    try:
        return future.result()
    except LocalRayletDiedError:
        raise EngineError(
            "The Ray node on this machine is gone, and with it the work that it had.",
            where="run.address or --address",
            hint="start it again (docs/parallel.md), then run again",
        ) from None
    except RayTaskError as error:
        raise error.cause from None


def _leave(references: list[Any]) -> None:
    """Let the few chunks that are on their way come to their end: to cancel one just as it is done ends our process."""
    del references
