"""Whether a cluster answers at an address, known before it is asked for work.

The engines themselves wait long for an answer that never comes: Ray for minutes, and Dask, where something else
listens, for ever.
"""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from pm.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_reachable"]

_PLACE = re.compile(r"^(?:\w+://)?\[?(?P<host>[^\s/]+?)\]?:(?P<port>\d+)/?$")
_EXAMPLES = {"dask": "tcp://127.0.0.1:8786", "ray": "127.0.0.1:6379"}
_CONNECT_SECONDS = 5
_WHERE = "run.address or --address"

# RFC 9113, section 3.4: who connects sends these bytes and a frame of settings; who listens answers by such a frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_FRAME_TYPE = slice(3, 4)


def check_reachable(engine: str, address: str, patience: float) -> None:
    """Try whether a cluster answers at an address.

    Parameters
    ----------
    engine
        'dask' or 'ray'.
    address
        Host and port, as the engine writes them.
    patience
        Seconds to wait for an answer in the engine's language.

    Raises
    ------
    EngineError
        It is no address, nothing listens there, or what does is no cluster of this engine.
    """
    with _connected(engine, address) as connection:
        if engine == "ray" and not _speaks_http2(connection, patience):
            raise _no_cluster(engine, address)
    if engine == "dask":
        from pm.parallel.dask import greets

        if not greets(address, patience):
            raise _no_cluster(engine, address)


@contextmanager
def _connected(engine: str, address: str) -> Iterator[socket.socket]:
    found = _PLACE.match(address)
    if found is None:
        raise EngineError(f"{address!r} is no address.", where=_WHERE, hint=f"write it as in {_EXAMPLES[engine]}")
    try:
        connection = socket.create_connection((found["host"], int(found["port"])), timeout=_CONNECT_SECONDS)
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"Nothing answers at {address}: {error}.",
            where=_WHERE,
            hint="start the cluster, or leave the address out to have one started on this machine",
        ) from None
    with connection:
        yield connection


def _speaks_http2(connection: socket.socket, patience: float) -> bool:
    """Whether HTTP/2 is spoken there, over which Ray's gRPC goes."""
    deadline = monotonic() + patience
    answer = b""
    try:
        connection.settimeout(patience)
        connection.sendall(_PREFACE + _SETTINGS)
        while len(answer) < len(_SETTINGS):
            connection.settimeout(max(deadline - monotonic(), 0.001))
            more = connection.recv(len(_SETTINGS) - len(answer))
            if not more:
                return False
            answer += more
    except OSError:
        return False
    return answer[_FRAME_TYPE] == _SETTINGS[_FRAME_TYPE]


def _no_cluster(engine: str, address: str) -> EngineError:
    name = {"dask": "Dask scheduler", "ray": "Ray head"}[engine]
    return EngineError(
        f"What listens at {address} does not answer as a {name} does.",
        where=_WHERE,
        hint=f"look up the address; a {name} has it as in {_EXAMPLES[engine]}",
    )
