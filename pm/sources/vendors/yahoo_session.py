"""Yahoo's transport: a session of curl_cffi that is the gate, and yfinance's cookies and crumb.

yfinance is given this session, and sends each request through it. Its data frames are not used: they have lost
duplicates and empty rows, and its errors have lost what was wrong.
"""

from __future__ import annotations

import logging
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from curl_cffi.curl import CURL_WRITEFUNC_ERROR
from curl_cffi.requests import Response, Session
from curl_cffi.requests import exceptions as curl_errors
from yfinance.data import YfData

from pm.sources.vendors.problems import (
    CertificateError,
    CutReplyError,
    InvalidReplyError,
    StoppedError,
    UnreachableError,
)
from pm.sources.vendors.reply import Reply, json_of, raise_for_status
from pm.sources.vendors.yahoo_chart import raise_for_error

if TYPE_CHECKING:
    from pm.sources.vendors.gate import Gate

__all__ = ["GatedSession", "Transport"]

_DOMAIN = "yahoo.com"
_CHARTS = "/v8/finance/chart/"
_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_ASK_FOR_THE_RESULT = {301, 302, 303}
"""Redirects after which a form that was sent is not sent again."""
_ASK_AGAIN = {401, 403}
"""Statuses of a chart at which yfinance asks for another cookie."""
_TOLD_IN_WORDS = {400, 404, 422}
"""Statuses of a chart whose content says what is wrong with the request."""
_TOO_MANY_REDIRECTS, _NO_CERTIFICATE = 47, (35, 51, 53, 54, 58, 59, 60, 66, 77, 80, 82, 83, 90, 91)
_CUT = {18, 56, 61, 92, 95}
"""libcurl's codes of a reply that ends too early or cannot be decoded."""
_TIMED_OUT = 28

for _library in ("yfinance", "peewee", "bs4"):  # else their warnings go to the terminal
    logging.getLogger(_library).addHandler(logging.NullHandler())


class GatedSession(Session[Response]):
    """A session whose every request goes through a gate.

    Parameters
    ----------
    gate
        Gate of the refresh.
    base_url
        Address in place of every host of Yahoo; None for Yahoo's own hosts.
    """

    def __init__(self, gate: Gate, base_url: str | None) -> None:
        local = base_url is not None and urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
        super().__init__(impersonate="chrome", trust_env=not local)
        self._gate = gate
        self._base = None if base_url is None else base_url.rstrip("/")
        self._largest = int(gate.settings.reply_mb * 1024 * 1024)

    def request(self, method: Any, url: str, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401 - curl_cffi's own
        """Send a request, and follow redirects to hosts of Yahoo.

        Raises
        ------
        VendorError
            There is no reply, it is too large, leads elsewhere, or is a chart's with a status of failure.
        """
        url = self._address(url)
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(method, url, *arguments, **options)
            target = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not target:
                break
            url = self._address(urljoin(url, target))
            if method == "POST" and response.status_code in _ASK_FOR_THE_RESULT:
                method = "GET"
                options.pop("data", None)
            options.pop("params", None)  # the new address has its own
        else:
            raise InvalidReplyError(f"Yahoo leads from one address to another more than {_MOST_REDIRECTS} times.")
        _, is_chart, symbol = urlsplit(url).path.partition(_CHARTS)
        if is_chart and response.status_code not in _ASK_AGAIN:
            reply = reply_of(response)
            if reply.status in _TOLD_IN_WORDS and "json" in reply.type:
                raise_for_error(json_of(reply), unquote(symbol))
            raise_for_status(reply, now=self._gate.clock.now())
        return response

    def _address(self, url: str) -> str:
        """Return an address at the base in place of Yahoo's own hosts.

        Raises
        ------
        InvalidReplyError
            It is neither of Yahoo nor at the base.
        """
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        is_yahoos = host == _DOMAIN or host.endswith(f".{_DOMAIN}")
        if self._base is not None:
            base = urlsplit(self._base)
            if is_yahoos:
                return f"{self._base}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
            if (parts.scheme, parts.netloc) == (base.scheme, base.netloc):
                return url
        elif is_yahoos and parts.scheme == "https":
            return url
        raise InvalidReplyError(f"Yahoo leads elsewhere, to {host[:100] or 'no host'}, which is not followed.")

    def _send(self, method: Any, url: str, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401 - curl_cffi's own
        self._gate.admit()
        content = bytearray()
        too_large = False

        def take(piece: bytes) -> int:
            nonlocal too_large
            too_large = len(content) + len(piece) > self._largest
            if too_large or self._gate.has_ended():
                return CURL_WRITEFUNC_ERROR
            content.extend(piece)
            return len(piece)

        options |= {
            "timeout": self._gate.reply_seconds(),  # of the whole request, and of connecting
            "allow_redirects": False,
            "content_callback": take,
        }
        try:
            response: Response = super().request(method, url, *arguments, **options)
        except curl_errors.RequestException as error:
            if too_large:
                raise InvalidReplyError(
                    f"The reply is larger than {self._gate.settings.reply_mb:g} MiB (refresh.reply_mb)."
                ) from None
            raise self._problem(error) from None
        response.content = bytes(content)
        return response

    def _problem(self, error: curl_errors.RequestException) -> Exception:
        code = int(error.code)
        words = " ".join(str(error).partition(" See https://")[0].split())[:200].rstrip(".")
        if self._gate.has_ended():
            return StoppedError("The request was ended with the refresh.")
        if code == _TIMED_OUT:
            seconds = self._gate.settings.timeout_seconds
            return UnreachableError(f"There was no whole reply within {seconds:g} s (refresh.timeout_seconds).")
        if code in _NO_CERTIFICATE:
            return CertificateError(f"The server's certificate cannot be trusted: {words}.")
        if code in _CUT:
            return CutReplyError(f"The reply is cut off or damaged: {words}.")
        return UnreachableError(f"There is no connection: {words}.")


def reply_of(response: Response) -> Reply:
    """Return a reply of curl_cffi as one of ours."""
    headers = {name.lower(): value or "" for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content)


class Transport(YfData):  # type: ignore[misc]  # yfinance has no types
    """yfinance's cookies and crumb, for one session.

    yfinance has one object per process, with a cache of replies and files of its own; this one is made by `of`, and
    keeps nothing anywhere.
    """

    @classmethod
    def of(cls, session: GatedSession) -> Transport:
        """Return a transport over a session."""
        made: Transport = cls.__new__(cls)  # calling the class would return the one object of the process
        made._asked = None
        made._asking = RLock()
        YfData.__init__(made, session=session)
        return made

    _asked: str | None
    _asking: Any

    def chart(self, url: str, parameters: dict[str, str | int]) -> Reply:
        """Return the reply to the request of a chart."""
        return reply_of(self.get(url, params=parameters))

    def _get_cookie_and_crumb(self, timeout: int = 30) -> tuple[Any, Any]:
        """Return the crumb, asked for once for each way of asking: charts are sent without one too."""
        with self._asking:
            if self._asked == self._cookie_strategy:
                return self._crumb, self._cookie_strategy
            try:
                found: tuple[Any, Any] = super()._get_cookie_and_crumb(timeout)
            finally:
                self._asked = self._cookie_strategy
            return found

    def _load_cookie_curlCffi(self) -> bool:  # noqa: N802 - yfinance's name
        """Load no cookie: yfinance would keep them in a database of the user's folder, which locks under threads."""
        return False

    def _save_cookie_curlCffi(self) -> bool:  # noqa: N802 - yfinance's name
        """Keep the cookie in the session only."""
        self._cookie = True
        return True
