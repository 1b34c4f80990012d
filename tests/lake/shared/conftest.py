"""A PostgreSQL server and an object store of the tests' own, both on 127.0.0.1 and for one session."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pm.lake.location import LakeLocation
from pm.settings import load_settings, with_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.settings import LakeSettings
    from tests.conftest import Pm

PASSWORD = "correct-horse-battery"  # noqa: S105 - of a server that lives as long as the tests
KEY_ID, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server: its port, and what `run` runs its programs with."""

    port: int
    folder: Path

    def url(self, *, user: str = "postgres", database: str = "lakes", schema: str = "", options: str = "") -> str:
        query = "&".join(part for part in (f"schema={schema}" if schema else "", options) if part)
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def execute(self, sql: str, *parameters: object) -> list[Any]:
        import psycopg

        with psycopg.connect(
            f"host=127.0.0.1 port={self.port} user=postgres dbname=lakes password={PASSWORD}", autocommit=True
        ) as connection:
            cursor = connection.execute(sql.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


def _programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian keeps them out of the way."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a PostgreSQL server, as a user without privileges."""
    pytest.importorskip("psycopg")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pm-postgres-"))
    as_user: dict[str, Any] = {}
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "nobody")
        as_user = {"user": "nobody"}
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(program: str, *words: str) -> None:
        line = [str(programs / program), "-D", str(folder / "data"), *words]
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(line, check=True, cwd=folder, stdout=log, stderr=log, **as_user)

    run(
        "initdb",
        "-A",
        "scram-sha-256",
        "-U",
        "postgres",
        "--pwfile",
        str(folder / "password"),
        "--no-locale",
        "-E",
        "UTF8",
        "-N",
    )
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
    server = Server(port, folder)
    try:
        import psycopg

        address = f"host=127.0.0.1 port={port} user=postgres dbname=postgres password={PASSWORD}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE DATABASE lakes")
        yield server
    finally:
        _stop(folder / "data" / "postmaster.pid")
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def _stop(pid_file: Path) -> None:
    """End the server at once, as `pg_ctl -m immediate stop` does.

    By then this process has so much memory reserved that it cannot be forked, which starting a program as another user
    needs.
    """
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
    deadline = time.monotonic() + 30
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@dataclass(frozen=True)
class Store:
    """An object store with a bucket named `lake`."""

    endpoint: str
    client: Any

    def keys(self, prefix: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", ())
        return [str(item["Key"]) for item in found]


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """Start an object store."""
    server_module = pytest.importorskip("moto.server")
    import boto3

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="lake")
    try:
        yield Store(f"http://{host}:{port}", client)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def secrets() -> tuple[str, str]:
    """Return what nobody is to see: the password of the server, and the key of the store."""
    return PASSWORD, SECRET_KEY


@pytest.fixture(scope="session")
def logins() -> dict[str, str]:
    """Environment variables from which the clients of the two servers take passwords and keys."""
    return {"PGPASSWORD": PASSWORD, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}


@pytest.fixture
def logged_in(logins: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Set these variables in this process."""
    for name, value in logins.items():
        monkeypatch.setenv(name, value)


_NUMBERS = itertools.count()


def new_place(kind: str, request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """Return settings of a new shared lake, with its data in the object store, or in a folder."""
    name = f"s{next(_NUMBERS)}"
    server: Server = request.getfixturevalue("postgres")
    catalog = server.url(schema=name)
    if kind == "folder":
        (folder / "shared").mkdir()
        return {"catalog": catalog, "data": str(folder / "shared")}
    store: Store = request.getfixturevalue("store")
    return {"catalog": catalog, "data": f"s3://lake/{name}", "s3_endpoint": store.endpoint, "s3_region": "us-east-1"}


def variables_of(place: dict[str, str], logins: dict[str, str]) -> dict[str, str]:
    """Return environment variables with which `pm` works on a shared lake."""
    return logins | {f"PM_LAKE__{name.upper()}": value for name, value in place.items()}


@pytest.fixture(params=["s3", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Settings of a new shared lake."""
    return new_place(request.param, request, tmp_path)


@pytest.fixture
def shared(place: dict[str, str], settings: LakeSettings, logged_in: None) -> LakeSettings:
    """Return the settings of a lake at a new shared place."""
    del logged_in
    return settings.model_copy(
        update=with_values(load_settings(), "lake", place, where="").lake.model_dump(include=set(place))
    )


@pytest.fixture
def location(shared: LakeSettings, tmp_path: Path) -> LakeLocation:
    """Return the location of that lake for a workspace in `tmp_path`."""
    return LakeLocation.of(tmp_path / "lake", shared)


@pytest.fixture
def variables(place: dict[str, str], logins: dict[str, str]) -> dict[str, str]:
    """Environment variables with which `pm` works on that lake."""
    return variables_of(place, logins)


def write_csv(folder: Path, ticker: str) -> Path:
    """Write a CSV file with forty daily bars of a ticker."""
    import polars as pl

    dates = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), eager=True)
    close = [100 + (7 * n) % 13 for n in range(40)]
    frame = pl.DataFrame({"Date": dates.filter(dates.dt.weekday() < 6).head(40), "Close": close}).with_columns(
        Open=pl.col("Close") - 0.5, High=pl.col("Close") + 1.0, Low=pl.col("Close") - 1.0, Volume=pl.lit(1000)
    )
    file = folder / f"{ticker}.csv"
    frame.write_csv(file)
    return file


@pytest.fixture
def write_bars(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file with forty daily bars of a ticker: `write_bars("AAA")`."""
    return lambda ticker: write_csv(tmp_path, ticker)


@dataclass(frozen=True)
class Stocked:
    """A workspace on a shared lake with the bars of AAA and BBB."""

    folder: Path
    variables: dict[str, str]
    files: tuple[Path, ...]


def stocked_workspace(place: dict[str, str], logins: dict[str, str], pm: Pm, folder: Path) -> Stocked:
    """Make a workspace on a new shared lake, and import bars."""
    made = Stocked(
        folder / "work", variables_of(place, logins), tuple(write_csv(folder, name) for name in ("AAA", "BBB"))
    )
    made.folder.mkdir()
    assert pm(made.folder, "init").returncode == 0
    done = pm(made.folder, "import", *made.files, env=made.variables)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module", params=["s3", "folder"])
def stocked(
    request: pytest.FixtureRequest, logins: dict[str, str], pm: Pm, tmp_path_factory: pytest.TempPathFactory
) -> Stocked:
    """A stocked workspace that tests only read."""
    folder = tmp_path_factory.mktemp("stocked")
    return stocked_workspace(new_place(request.param, request, folder), logins, pm, folder)


@pytest.fixture
def own(place: dict[str, str], logins: dict[str, str], pm: Pm, tmp_path: Path) -> Stocked:
    """A stocked workspace of the test's own."""
    return stocked_workspace(place, logins, pm, tmp_path)
