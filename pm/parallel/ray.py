"""Engine `ray`: workers of a Ray cluster, either started on this machine or already running."""

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
from pm.parallel.futures import FuturesBackend
from pm.parallel.pool import ONE_THREAD, WorkerPool
from pm.parallel.versions import check_versions, installed_versions, unusable_workers
from pm.settings import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ray_pool"]

_DIED = (WorkerCrashedError, OutOfMemoryError, NodeDiedError)
"""Errors of work whose worker died."""
_RETRIES = 3
"""Number of times that Ray itself tries work again whose worker died."""
_ENVIRONMENT = {"env_vars": ONE_THREAD}
_STORE_BYTES = 256 * 1024**2
"""Bytes of shared memory for chunks and results on this machine; Ray puts more on disk."""


@contextmanager
def ray_pool(address: str | None, jobs: int, timeout: float, packages: Sequence[str]) -> Iterator[WorkerPool]:
    """Yield a pool of the workers at an address, or of new ones on this machine, which end with the block.

    If the program is already connected to Ray, that cluster is used and left running.

    Parameters
    ----------
    address
        Address of the head, as in 10.0.0.1:6379; 'auto' for the cluster that this machine belongs to; None to start a
        cluster.
    jobs
        Number of workers to start, each with one CPU.
    timeout
        Seconds to wait for the versions of each node.
    packages
        Names of distributions whose versions must be equal on the nodes and here.

    Raises
    ------
    EngineError
        There is no head at the address, it has no CPU, or a node has other versions.
    """
    with ExitStack() as stack:
        if not ray.is_initialized():
            _connect(address, jobs)
            stack.callback(ray.shutdown)
        # Ray calls back from the thread that handles its messages, which must not wait for us.
        callbacks = stack.enter_context(ThreadPoolExecutor(1))
        call = ray.remote(_call).options(num_cpus=1, max_retries=_RETRIES, runtime_env=_ENVIRONMENT)
        size = _count_cpus()
        if size < 1:
            raise EngineError("The Ray cluster has no CPU.", where=address or "", hint="start a node: ray start")
        if address is not None:
            _check_nodes(address, timeout, packages)
        backend = partial(FuturesBackend, partial(_submit, call, callbacks), _result, _ignore, _DIED)
        yield WorkerPool(size, backend, _count_cpus)


def _connect(address: str | None, jobs: int) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        # 'local' starts a new cluster even where one is running.
        ray.init("local", num_cpus=jobs, include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(
            redact_credentials(f"There is no Ray cluster at {address}: {error}"),
            where="run.address or --address",
            hint="start one: ray start --head",
        ) from None


def _count_cpus() -> int:
    """Return the number of CPUs of all nodes, which is that of the workers."""
    return int(ray.cluster_resources().get("CPU", 0))


def _check_nodes(address: str, timeout: float, packages: Sequence[str]) -> None:
    """Check the versions of each node that has a CPU; nodes that do not answer in time are not checked."""
    calls = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1:
            on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            # The call requests no CPU, so that a busy node answers too.
            call = ray.remote(installed_versions).options(
                num_cpus=0, scheduling_strategy=on_node, runtime_env=_ENVIRONMENT
            )
            calls[call.remote(packages)] = node["NodeManagerAddress"]
    done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=timeout)
    try:
        found = {calls[reference]: ray.get(reference) for reference in done}
    except RayTaskError as error:
        if isinstance(error.cause, (ImportError, AttributeError)):
            raise unusable_workers(address, error.cause) from None
        raise
    check_versions(found, packages)


def _call(function: Any) -> Any:  # noqa: ANN401 - joblib's
    return function()


def _submit(call: Any, callbacks: ThreadPoolExecutor, function: Any, done: Any) -> Any:  # noqa: ANN401 - joblib's
    reference = call.remote(function)
    reference.future().add_done_callback(partial(_run_callback, callbacks, done))
    return reference


def _run_callback(callbacks: ThreadPoolExecutor, done: Any, future: Any) -> None:  # noqa: ANN401 - joblib's
    with suppress(RuntimeError):  # cancelled work may end after the thread of the callbacks has
        callbacks.submit(done, future)


def _result(future: Any) -> Any:  # noqa: ANN401 - the work's result
    try:
        return future.result()
    except LocalRayletDiedError:
        raise EngineError(
            "The Ray node on this machine has stopped, and the work it had is lost.",
            where="run.address or --address",
            hint="start it again (docs/parallel.md), then run again",
        ) from None
    except RayTaskError as error:
        raise error.cause from None


def _ignore(references: list[Any]) -> None:
    """Let the few submitted chunks finish: cancelling one just as it is done would end this process."""
    del references
