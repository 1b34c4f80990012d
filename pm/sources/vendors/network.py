"""Send requests of httpx over httpcore, so that each ends in time, and keys are in no request that could be shown.

httpx limits the time between two pieces of a reply, not the whole: a server that sends a byte now and then would hold a
refresh up for ever. Here every read knows when its request must have ended, and ends too when the refresh does.
"""

from __future__ import annotations

import time
from threading import local
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["KeyedTransport", "proxy_for"]

_SLICE = 0.25
"""Seconds after which a read that waits looks whether it must end."""


class _Deadlines(local):
    """When the request of this thread must have ended, by the monotonic clock."""

    end = 0.0


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes end when the request's time is over."""

    def __init__(self, inner: httpcore.NetworkStream, deadlines: _Deadlines, stopped: Callable[[], bool]) -> None:
        self._inner = inner
        self._deadlines = deadlines
        self._stopped = stopped

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout  # the request's own
        while True:
            left = self._deadlines.end - time.monotonic()
            if left <= 0 or self._stopped():
                raise httpcore.ReadTimeout
            try:
                return self._inner.read(max_bytes, min(left, _SLICE))
            except httpcore.ReadTimeout:
                continue

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._inner.write(buffer, max(self._deadlines.end - time.monotonic(), 0.001))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._deadlines, self._stopped)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadlines: _Deadlines, stopped: Callable[[], bool]) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadlines = deadlines
        self._stopped = stopped

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._deadlines, self._stopped)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class KeyedTransport(httpx.BaseTransport):
    """A transport that adds a vendor's key below what httpx logs and what its errors hold.

    Parameters
    ----------
    headers, query
        What is added to the headers and to the query of each request.
    seconds
        Time of a request, from the first byte that is sent to the last one of the reply.
    workers
        Number of connections.
    stopped
        Function that returns whether the refresh has ended, and with it all requests.
    proxy
        Address of a proxy; None for none.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        seconds: float,
        workers: int,
        stopped: Callable[[], bool],
        proxy: str | None,
    ) -> None:
        self._headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        self._query = urlencode(query).encode("ascii")
        self._seconds = seconds
        self._deadlines = _Deadlines()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            proxy=None if proxy is None else _proxy(proxy),
            max_connections=workers,
            max_keepalive_connections=workers,
            keepalive_expiry=30.0,
            network_backend=_Backend(self._deadlines, stopped),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the reply with its body still to be read."""
        self._deadlines.end = time.monotonic() + self._seconds
        url, target = request.url, request.url.raw_path
        if self._query:
            target += (b"&" if b"?" in target else b"?") + self._query
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=target),
                headers=[*request.headers.raw, *self._headers],
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def _proxy(address: str) -> httpcore.Proxy:
    url = httpx.URL(address)
    auth = (url.username, url.password) if url.username else None
    plain = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")
    return httpcore.Proxy(plain, auth=auth)


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy that the system has for a URL; None for none, as for this computer itself."""
    parsed = httpx.URL(url)
    if parsed.host in {"127.0.0.1", "localhost", "::1"} or proxy_bypass(parsed.host):
        return None
    proxies = getproxies()
    address = proxies.get(parsed.scheme) or proxies.get("all")
    if address is None or not address.startswith(("http://", "https://")):
        return None
    return address
