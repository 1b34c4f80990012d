"""Check that a cluster answers at an address before work is sent to it.

The engines themselves wait too long for an answer: Ray for minutes, and Dask without end if another program listens.
"""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from pm.errors import EngineError
from pm.settings import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_address"]

_ADDRESS = re.compile(r"^(?:\w+://)?\[?(?P<host>[^\s/]+?)\]?:(?P<port>\d+)/?$")
_EXAMPLES = {"dask": "tcp://127.0.0.1:8786", "ray": "127.0.0.1:6379"}
_CONNECT_SECONDS = 5
"""Seconds to wait for a connection."""
_WHERE = "run.address or --address"

# RFC 9113, section 3.4: a client sends these bytes and a frame of settings; a server answers with such a frame.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HTTP2_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_FRAME_TYPE = slice(3, 4)


def check_address(engine: str, address: str, timeout: float) -> None:
    """Check that a cluster of an engine answers at an address.

    Parameters
    ----------
    engine
        'dask' or 'ray'.
    address
        Host and port, as the engine writes them.
    timeout
        Seconds to wait for an answer in the engine's protocol.

    Raises
    ------
    EngineError
        It is no address, nothing listens there, or what listens there is no cluster of this engine.
    """
    with _connected(engine, address) as connection:
        if engine == "ray" and not _answers_http2(connection, timeout):
            raise _no_cluster(engine, address)
    if engine == "dask":
        from pm.parallel.dask import is_scheduler

        if not is_scheduler(address, timeout):
            raise _no_cluster(engine, address)


@contextmanager
def _connected(engine: str, address: str) -> Iterator[socket.socket]:
    parsed = _ADDRESS.match(address)
    if parsed is None:
        raise EngineError(
            f"{redact_credentials(address)!r} is no address.", where=_WHERE, hint=f"write it as in {_EXAMPLES[engine]}"
        )
    try:
        connection = socket.create_connection((parsed["host"], int(parsed["port"])), timeout=_CONNECT_SECONDS)
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"Nothing answers at {redact_credentials(address)}: {error}.",
            where=_WHERE,
            hint="start the cluster, or leave the address out to have one started on this machine",
        ) from None
    with connection:
        yield connection


def _answers_http2(connection: socket.socket, timeout: float) -> bool:
    """Return whether the other end speaks HTTP/2, the transport of Ray's gRPC."""
    deadline = monotonic() + timeout
    answer = b""
    try:
        connection.settimeout(timeout)
        connection.sendall(_HTTP2_PREFACE + _HTTP2_SETTINGS)
        while len(answer) < len(_HTTP2_SETTINGS):
            connection.settimeout(max(deadline - monotonic(), 0.001))
            received = connection.recv(len(_HTTP2_SETTINGS) - len(answer))
            if not received:
                return False
            answer += received
    except OSError:
        return False
    return answer[_FRAME_TYPE] == _HTTP2_SETTINGS[_FRAME_TYPE]


def _no_cluster(engine: str, address: str) -> EngineError:
    name = {"dask": "Dask scheduler", "ray": "Ray head"}[engine]
    return EngineError(
        f"The program that listens at {redact_credentials(address)} does not answer as a {name} does.",
        where=_WHERE,
        hint=f"check the address; that of a {name} looks like {_EXAMPLES[engine]}",
    )
