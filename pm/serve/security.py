"""Let in only requests that know the token and name this server, and send headers that bind the browser."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEALTH_PATH", "REPORT_POLICY", "Gate", "is_local"]

HEALTH_PATH = "/healthz"
"""Path that needs no token and tells only that the server answers, for containers and proxies."""

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"x-robots-tag": b"noindex",
}
"""Headers of every response that does not set them itself: no script at all, nothing from elsewhere."""

REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'"
)
"""Policy of a report, whose scripts are inside it: it runs as a page of no site, which can read nothing from here."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_local(host: str) -> bool:
    """Return whether a name or an address means this machine only."""
    return host in _LOCAL


class Gate:
    """Refuse requests before any page is asked.

    A request must have the token as the first part of its path, which is removed; otherwise there is nothing to find.
    Its `Host` must be one of the known names, so that a page of another site that lets its own name point here (DNS
    rebinding) gets nothing; an `Origin` must be one of them too. Only GET and HEAD are answered.

    Parameters
    ----------
    app
        The pages.
    token
        What a URL must begin with.
    hosts
        Names of the server, without ports.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str]) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a WebSocket, which no page uses, is closed
        await self._answer(scope, receive, self._with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = _name(f"//{headers.get('host', '')}")
        origin = headers.get("origin")
        refusal = None
        if host not in self._hosts:
            refusal = PlainTextResponse("This server is not known by that name.\n", status_code=421)
        elif origin is not None and (origin == "null" or _name(origin) not in self._hosts):
            refusal = PlainTextResponse("Requests of other sites are refused.\n", status_code=403)
        elif scope["method"] not in {"GET", "HEAD"}:
            allowed = {"allow": "GET, HEAD"}
            refusal = PlainTextResponse("These pages can only be read.\n", status_code=405, headers=allowed)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        if root and path.startswith(f"{root}/"):  # of a proxy that does not remove its path; the server has added it
            path = path.removeprefix(root)
        if path == HEALTH_PATH:
            await PlainTextResponse("ok\n")(scope, receive, send)
            return
        first, slash, rest = path.removeprefix("/").partition("/")
        if not secrets.compare_digest(first.encode(), self._token.encode()):
            await PlainTextResponse("Not found.\n", status_code=404)(scope, receive, send)
            return
        if not slash:
            to = {"location": f"{root}/{self._token}/"}
            await PlainTextResponse("", status_code=307, headers=to)(scope, receive, send)
            return
        inner = dict(scope, path=f"{root}/{self._token}/{rest}", root_path=f"{root}/{self._token}")
        await self._app(inner, receive, send)

    @staticmethod
    def _with_headers(send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in _HEADERS.items() if name not in given),
                ]
            await send(message)

        return sent


def _name(address: str) -> str:
    """Return the host of an address in lower case, without its port; empty if there is none."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
