"""Servers of mail and of HTTP on 127.0.0.1, real ones, which keep what they are sent."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a-password-nobody-sees"  # noqa: S105 - of the tests' server


@dataclass
class Received:
    """What a server was sent, and how it answers."""

    port: int = 0
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None
    was_encrypted: bool = False


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """Return the context of a server for 127.0.0.1, and the certificate of its authority."""
    made = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    return context, file


@pytest.fixture(params=["starttls", "tls"])
def mail_server(
    request: pytest.FixtureRequest, authority: tuple[ssl.SSLContext, Path]
) -> Iterator[tuple[str, Received]]:
    """Yield how a mail server encrypts, and what it was sent."""
    received = Received()

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ANN401, N802 - aiosmtpd's
            if received.refusal is not None:
                return received.refusal
            received.was_encrypted = session.ssl is not None or request.param == "tls"
            received.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            del server
            return "250 OK"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:  # noqa: ANN401
        del server, session, envelope, mechanism
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (b"me", PASSWORD.encode()), handled=False)

    options: dict[str, Any] = {"authenticator": authenticate, "auth_required": request.param == "starttls"}
    if request.param == "tls":
        options |= {"ssl_context": authority[0], "auth_require_tls": False}
    else:
        options |= {"tls_context": authority[0], "require_starttls": True}
    controller = Controller(Handler(), hostname="127.0.0.1", port=0, **options)

    # It finds out whether the server answers by connecting to the port that it was given, and that is 0.
    def connect() -> None:
        port = controller.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        socket.create_connection(("127.0.0.1", port)).close()

    controller._trigger_server = connect  # type: ignore[method-assign]
    controller.start()
    received.port = controller.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield request.param, received
    controller.stop()


@pytest.fixture
def http_server() -> Iterator[Received]:
    """Yield what an HTTP server was sent."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            received.posts.append((self.path, dict(self.headers.items()), content))
            self.send_response(received.status)
            for name, value in received.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - it says nothing
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield received
    server.shutdown()
    server.server_close()
    thread.join()
