"""A server of the pages in this process, on a port of 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from pm.serve.app import create_app
from pm.serve.server import server_config
from pm.settings import load_settings
from pm.workspace import Workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., AbstractContextManager["Site"]]

TOKEN = "a-token-of-twenty-two-or-more"  # noqa: S105 - of the tests
HOSTILE = "</td><script>alert(1)</script>"


@dataclass
class Site:
    """A server that runs: its port, and a client that knows the token."""

    port: int
    token: str
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(self.url + path, headers=headers)


@contextmanager
def _served(folder: Path, *, root_path: str = "") -> Iterator[Site]:
    """Serve a workspace while the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = load_settings(folder / "config")
    app = create_app(Workspace(folder), settings, token=TOKEN, hosts={"127.0.0.1", "localhost"})
    server = uvicorn.Server(server_config(app, root_path=root_path))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        with httpx.Client(timeout=120, trust_env=False) as client:
            while not server.started:
                time.sleep(0.01)
            yield Site(listener.getsockname()[1], TOKEN, client)
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        listener.close()


@pytest.fixture(scope="session")
def served() -> Serve:
    """Serve a workspace while a block lasts: `with served(folder) as site`."""
    return _served


@pytest.fixture(scope="session")
def hostile_ticker() -> str:
    """Return the ticker of `hostile`."""
    return HOSTILE


@pytest.fixture(scope="module")
def site(finished: Path) -> Iterator[Site]:
    with _served(finished) as running:
        yield running


@pytest.fixture(scope="session")
def hostile(build_once: Build, pm: Pm) -> Path:
    """Return a workspace whose only ticker is markup, and whose only run failed with markup in its message."""

    def build(folder: Path) -> None:
        lines = [f'"{HOSTILE}",2013-01-{day:02d},{day}' for day in range(1, 29)]
        (folder / "h.csv").write_text("\n".join(["ticker,date,close", *lines]) + "\n")
        done = pm(folder, "import", "h.csv")
        assert done.returncode == 0, done.stderr

    return build_once("hostile", build)
