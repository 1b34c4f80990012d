"""What an engine gives: workers that take chunks, and the news of one that is gone."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pm.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ONE_THREAD", "Crew", "WorkerLost", "check_reachable"]

ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Variables by which a new process gets one thread of each kind."""

_PLACE = re.compile(r"^(?:\w+://)?\[?(?P<host>[^\s/]+?)\]?:(?P<port>\d+)/?$")
_SECONDS = 5


@dataclass(frozen=True)
class Crew:
    """Workers that are ready.

    Parameters
    ----------
    size
        Chunks they work on at the same time.
    backend
        Gives a joblib backend over them, for one call. It counts what it was handed in `submitted`, gives a result in
        `retrieve_result_callback`, and raises `WorkerLost` there when the worker died.
    """

    size: int
    backend: Callable[[], Any]


class WorkerLost(Exception):  # noqa: N818 - news, not an error: the work is tried again
    """A worker died over its work.

    Parameters
    ----------
    place
        Which of the work handed in, by its order, where the engine knows it and has tried it again itself; else None.
    """

    def __init__(self, place: int | None = None) -> None:
        super().__init__(place)
        self.place = place


def check_reachable(address: str, *, example: str) -> None:
    """Try whether something listens at an address, for the engines take a minute to say that nothing does.

    Raises
    ------
    EngineError
        It is no address, or nothing answers there.
    """
    found = _PLACE.match(address)
    if found is None:
        raise EngineError(
            f"{address!r} is no address.", where="run.address or --address", hint=f"write it as in {example}"
        )
    try:
        socket.create_connection((found["host"], int(found["port"])), timeout=_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"Nothing answers at {address}: {error}.",
            where="run.address or --address",
            hint="start the cluster, or leave the address out to have one started on this machine",
        ) from None
