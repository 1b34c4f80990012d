"""Run the pages on a port of this machine until they are ended."""

from __future__ import annotations

import os
import re
import secrets
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from pm.errors import EngineError, InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import uvicorn
    from starlette.types import ASGIApp

    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["new_token", "serve", "server_config", "token_of_file"]

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,200}")
"""A token: at least 128 bits, in characters that a URL holds as they are."""


def new_token() -> str:
    """Return a random token of 256 bits."""
    return secrets.token_urlsafe(32)


def token_of_file(file: Path) -> str:
    """Return the token that a file holds; a new one is written to it, for its owner only, if it does not exist.

    Raises
    ------
    InputError
        What it holds is no token.
    StorageError
        It cannot be read or written.
    """
    try:
        with suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as new:
                new.write(f"{new_token()}\n")
        token = file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise StorageError(
            f"The file of the token cannot be used: {error.strerror}.", where=str(file), hint="name another file"
        ) from None
    if not _TOKEN.fullmatch(token):
        raise InputError(
            "The file does not hold a token: 22 or more letters, digits, '-' or '_' in one line.",
            where=str(file),
            hint="delete it, so that a new one is made, or name another file",
        )
    return token


def server_config(app: ASGIApp, *, root_path: str) -> uvicorn.Config:
    """Return how the server runs: without a log of requests, which would hold the token, and without its name."""
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        root_path=root_path,
        server_header=False,
        proxy_headers=False,
        ws="none",
    )


def serve(
    workspace: Workspace,
    settings: Settings,
    *,
    host: str,
    port: int,
    root_path: str,
    hosts: Sequence[str],
    token: str,
    on_ready: Callable[[str], object],
) -> None:
    """Serve the pages until Ctrl-C or SIGTERM.

    Parameters
    ----------
    workspace, settings
        The workspace and its settings.
    host, port
        Address to listen on; port 0 for any that is free.
    root_path
        Path under which a proxy hands requests on, such as '/pm'; empty for none.
    hosts
        Names by which browsers may call the server, beside those of this machine.
    token
        First part of every path.
    on_ready
        Function that is told the URL once the server listens.

    Raises
    ------
    EngineError
        The packages of the extra `serve` are not installed.
    InputError
        The port is taken, or the address is not of this machine.
    """
    try:
        import uvicorn

        from pm.serve.app import create_app
    except ModuleNotFoundError as error:
        raise EngineError(
            f"The pages need the package {error.name}, which is not installed.",
            where="pm serve",
            hint="pip install 'portfolio-maximizer[serve]'",
        ) from None
    listener = _listener(host, port)
    names = {"localhost", "127.0.0.1", "::1", *(name.lower() for name in hosts)}
    app = create_app(workspace, settings, token=token, hosts=names)
    config = server_config(app, root_path=root_path)
    shown = f"[{host}]" if ":" in host else host
    on_ready(f"http://{shown}:{listener.getsockname()[1]}{root_path}/{token}/")
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(
            f"The address cannot be used: {getattr(error, 'strerror', None) or error}.",
            where=f"--host {host} --port {port}",
            hint="choose another port, or 0 for any that is free",
        ) from None
    return listener
