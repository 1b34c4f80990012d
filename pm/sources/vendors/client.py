"""Ask a vendor by httpx: one reply, read to its end within bounds of time and size."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpcore
import httpx

from pm import __version__
from pm.sources.vendors.network import KeyedTransport, proxy_for
from pm.sources.vendors.problems import (
    CertificateError,
    CutReplyError,
    InvalidReplyError,
    StoppedError,
    UnreachableError,
)
from pm.sources.vendors.reply import Reply, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.sources.vendors.gate import Gate

__all__ = ["Client"]


class Client:
    """Connections to a vendor.

    Parameters
    ----------
    gate
        Gate that each request goes through.
    base_url
        Address that the paths of requests begin with.
    headers, query
        The vendor's key, as headers or as a part of the address.
    secrets
        Keys that no message must contain.
    """

    def __init__(
        self,
        gate: Gate,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._gate = gate
        self._base = base_url.rstrip("/")
        self._secrets = secrets
        self._largest = int(gate.settings.reply_mb * 1024 * 1024)
        seconds = gate.settings.timeout_seconds
        transport = KeyedTransport(
            headers=headers or {},
            query=query or {},
            seconds=seconds,
            workers=gate.settings.concurrency,
            stopped=gate.has_ended,
            proxy=proxy_for(base_url),
        )
        self._client = httpx.Client(
            transport=transport,
            timeout=seconds,
            follow_redirects=False,
            headers={"User-Agent": f"portfolio-maximizer/{__version__}", "Accept": "application/json, text/csv"},
        )

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> Reply:
        """Send one request, when the gate lets it through, and return the reply, whatever its status.

        Raises
        ------
        VendorError
            There is no reply, or it is too large, or the gate is closed.
        """
        self._gate.admit()
        try:
            with self._client.stream("GET", f"{self._base}{path}", params=dict(parameters or {})) as response:
                content = bytearray()
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > self._largest:
                        raise InvalidReplyError(
                            f"The reply is larger than {self._gate.settings.reply_mb:g} MiB (refresh.reply_mb)."
                        )
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, bytes(content))
        except (httpcore.TimeoutException, httpx.TimeoutException):
            if self._gate.has_ended():
                raise StoppedError("The request was ended with the refresh.") from None
            raise UnreachableError(
                f"There was no whole reply within {self._gate.settings.timeout_seconds:g} s (refresh.timeout_seconds)."
            ) from None
        except (httpcore.RemoteProtocolError, httpx.DecodingError, httpx.RemoteProtocolError) as error:
            raise CutReplyError(f"The reply is cut off or damaged: {self._words(error)}.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpx.HTTPError) as error:
            if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error):
                raise CertificateError(f"The server's certificate cannot be trusted: {self._words(error)}.") from None
            raise UnreachableError(f"There is no connection: {self._words(error)}.") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _words(self, error: Exception) -> str:
        words = " ".join(redacted(str(error), self._secrets).split()) or type(error).__name__
        return words[:200].rstrip(".")
