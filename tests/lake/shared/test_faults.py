"""What can be wrong with a shared lake is one message that says what, where and what to do, and has no secret in it."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import polars as pl
import pytest

from pm.errors import LakeError, PmError, SettingsError, StorageError
from pm.lake import Lake
from pm.lake.console import Console
from pm.lake.location import LakeLocation
from pm.lake.shared import holds_lake
from pm.lake.shared_check import check_shared
from pm.lake.shared_errors import recognised_shared
from pm.settings import load_settings, redact_credentials, with_values
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.settings import LakeSettings
    from tests.conftest import Pm
    from tests.lake.shared.conftest import Server, Store


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_batch() -> pl.DataFrame:
    """Return a row of raw.batches, whose rows are always in files."""
    schema = TABLES["raw.batches"].polars_schema
    return pl.DataFrame([dict.fromkeys(schema) | {"batch_id": "b"}], schema=schema)


def replaced(location: LakeLocation, **values: str) -> LakeLocation:
    return LakeLocation(**{**vars(location), **values})


CATALOG_FAULTS: dict[str, tuple[Callable[[Server], str], str]] = {
    "down": (lambda server: server.url().replace(str(server.port), str(closed_port())), "cannot be reached"),
    "unknown host": (lambda server: server.url().replace("127.0.0.1", "nowhere.invalid"), "cannot be reached"),
    "no database": (lambda server: server.url(database="nothing"), "no such database"),
    "no user": (lambda server: server.url(user="nobody"), "refuses the user or the password"),
    "no TLS": (lambda server: server.url(options="sslmode=require"), "no TLS"),
}


@pytest.mark.parametrize("fault", CATALOG_FAULTS)
@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_catalog_that_cannot_be_used(
    fault: str, location: LakeLocation, postgres: Server, shared: LakeSettings, secrets: Sequence[str]
) -> None:
    url, what = CATALOG_FAULTS[fault]
    wrong = replaced(location, catalog=url(postgres))
    settings = shared.model_copy(update={"catalog": wrong.catalog})
    attempts: list[Callable[[], object]] = [
        lambda: check_shared(wrong),
        lambda: Console(wrong),
        lambda: Lake(location.folder, settings, TABLES, read_only=True),
        lambda: Lake(location.folder, settings, TABLES),
    ]
    for attempt in attempts:
        with pytest.raises(LakeError, match=what) as refused:
            attempt()
        assert refused.value.hint
        assert "database" in refused.value.where
        assert not any(secret in str(refused.value) for secret in secrets)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("rest", "what"),
    [
        ("lakes?sslmod=require", "unknown parameter, 'sslmod'"),
        ("lakes?PASSFILE=secret", "unknown parameter, 'PASSFILE'"),
        ("secret%zz", "cannot be read"),
        ("lakes?sslmode=secret", "does not accept the value"),
        ("lakes?connect_timeout=secret", "does not accept the value"),
    ],
)
def test_an_address_that_is_not_understood(
    rest: str, what: str, location: LakeLocation, postgres: Server, shared: LakeSettings
) -> None:
    wrong = replaced(location, catalog=postgres.url(database=rest))
    settings = shared.model_copy(update={"catalog": wrong.catalog})
    for attempt in (
        lambda: check_shared(wrong),
        lambda: Lake(location.folder, settings, TABLES),
        lambda: Console(wrong),
    ):
        with pytest.raises(SettingsError, match=what) as refused:
            attempt()
        assert "lake.catalog" in str(refused.value)
        assert "secret" not in refused.value.what


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("password", "what"), [("wrong-password", "refuses the user or the password"), ("", "refuses the user or")]
)
def test_a_wrong_or_missing_password(
    password: str, what: str, location: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", password)
    monkeypatch.setenv("PGPASSFILE", "/none")
    for attempt in (lambda: holds_lake(location), lambda: Console(location)):
        with pytest.raises(LakeError, match=what) as refused:
            attempt()
        assert ".pgpass" in refused.value.hint
        assert "wrong-password" not in str(refused.value)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_password_file_is_read(
    location: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Sequence[str]
) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:*:lakes:postgres:{secrets[0]}\n")
    file.chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert not holds_lake(location)
    assert not check_shared(location)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_user_without_rights(
    location: LakeLocation, shared: LakeSettings, postgres: Server, secrets: Sequence[str]
) -> None:
    postgres.execute("DROP ROLE IF EXISTS weak")
    postgres.execute(f"CREATE ROLE weak LOGIN PASSWORD '{secrets[0]}'")
    weak = shared.model_copy(update={"catalog": shared.catalog.replace("postgres@", "weak@")})
    with pytest.raises(LakeError, match="no right"):
        Lake(location.folder, weak, TABLES)
    Lake(location.folder, shared, TABLES).close()
    for read_only in (True, False):
        with pytest.raises(LakeError, match="no right") as refused:
            Lake(location.folder, weak, TABLES, read_only=read_only)
        assert "GRANT" in refused.value.hint
    postgres.execute(f"GRANT USAGE ON SCHEMA {location.schema} TO weak")
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {location.schema} TO weak")
    with Console(replaced(location, catalog=weak.catalog)) as console:  # to read is enough for a reader
        assert console.query("SELECT count(*) AS n FROM bars")["n"].to_list() == [0]
    with pytest.raises(LakeError, match="no right"), Lake(location.folder, weak, TABLES) as lake:
        lake.commit("never", lambda transaction: transaction.append(TABLES["raw.batches"], one_batch()))


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_tables_of_another_program_are_left_alone(
    location: LakeLocation, shared: LakeSettings, postgres: Server
) -> None:
    postgres.execute(f"CREATE SCHEMA {location.schema}")
    postgres.execute(f"CREATE TABLE {location.schema}.invoices (number int)")
    with pytest.raises(LakeError, match="another program, such as 'invoices'"):
        Lake(location.folder, shared, TABLES)
    tables = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", location.schema)
    assert tables == [("invoices",)]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_lake_that_is_not_there_yet(location: LakeLocation, shared: LakeSettings) -> None:
    for attempt in (lambda: Lake(location.folder, shared, TABLES, read_only=True), lambda: Console(location)):
        with pytest.raises(LakeError, match="holds no lake yet") as refused:
            attempt()
        assert "pm run" in refused.value.hint


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_catalog_of_a_newer_version(location: LakeLocation, shared: LakeSettings, postgres: Server) -> None:
    Lake(location.folder, shared, TABLES).close()
    postgres.execute(f"UPDATE {location.schema}.ducklake_metadata SET value = '9.9' WHERE key = 'version'")
    for read_only in (True, False):
        with pytest.raises(LakeError, match="Another version of pm made this lake") as refused:
            Lake(location.folder, shared, TABLES, read_only=read_only)
        assert "upgrade" in refused.value.hint


def test_data_at_another_place_than_the_lake_has(location: LakeLocation, shared: LakeSettings, tmp_path: Path) -> None:
    Lake(location.folder, shared, TABLES).close()
    (tmp_path / "elsewhere").mkdir()
    other = shared.model_copy(update={"data": str(tmp_path / "elsewhere")})
    for read_only in (True, False):
        with pytest.raises(LakeError, match="has its data elsewhere") as refused:
            Lake(location.folder, other, TABLES, read_only=read_only)
        assert shared.data in refused.value.hint


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_bucket_that_is_missing(location: LakeLocation, shared: LakeSettings) -> None:
    wrong = shared.model_copy(update={"data": "s3://nothing/here"})
    with pytest.raises(StorageError, match="no such bucket") as refused:
        check_shared(replaced(location, data=wrong.data))
    assert "s3://nothing/here" in refused.value.where
    with pytest.raises(StorageError, match="no such bucket"):
        Lake(location.folder, wrong, TABLES)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_an_object_store_that_is_down(location: LakeLocation) -> None:
    with pytest.raises(StorageError, match="cannot be reached") as refused:
        check_shared(replaced(location, endpoint=f"http://127.0.0.1:{closed_port()}"))
    assert "s3_endpoint" in refused.value.hint


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_an_object_store_that_stops_during_a_commit(shared: LakeSettings, tmp_path: Path) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    urlopen(Request(f"http://{host}:{port}/other", method="PUT")).close()
    settings = shared.model_copy(update={"s3_endpoint": f"http://{host}:{port}", "data": "s3://other/lake"})
    with Lake(tmp_path / "lake", settings, TABLES) as lake:
        before = lake.snapshot
        server.stop()
        with pytest.raises(StorageError, match="object store cannot be reached"):
            lake.commit("never", lambda transaction: transaction.append(TABLES["raw.batches"], one_batch()))
        assert lake.snapshot == before


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_no_credentials(location: LakeLocation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match="No credentials") as refused:
        check_shared(location)
    assert "~/.aws/credentials" in refused.value.hint


@pytest.fixture
def strict(store: Store) -> Iterator[None]:
    """Let the object store refuse keys that it does not know."""

    def reset(count: str) -> None:
        kind = {"Content-Type": "text/plain"}
        request = Request(f"{store.endpoint}/moto-api/reset-auth", count.encode(), kind)  # noqa: S310 - http
        urlopen(request).close()  # noqa: S310 - http

    reset("0")
    yield
    reset("inf")


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_credentials_that_are_refused(location: LakeLocation, strict: None, secrets: Sequence[str]) -> None:
    del strict
    with pytest.raises(StorageError, match="refuses the credentials") as refused:
        check_shared(location)
    assert "read, write, list and delete" in refused.value.hint
    assert not any(secret in str(refused.value) for secret in secrets)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_folder_that_is_missing(location: LakeLocation, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no folder for the lake's data"):
        check_shared(replaced(location, data=str(tmp_path / "gone")))


@pytest.fixture
def certified(postgres: Server) -> Iterator[Path]:
    """Let the server offer TLS with a certificate that it signed itself, and return the certificate."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder = postgres.folder / "data"
    owner = folder.stat()
    for file, content in (("server.crt", certificate.public_bytes(pem)), ("server.key", secret)):
        (folder / file).write_bytes(content)
        (folder / file).chmod(0o600)
        if owner.st_uid != Path.home().stat().st_uid:
            import os

            os.chown(folder / file, owner.st_uid, owner.st_gid)
    postgres.execute("ALTER SYSTEM SET ssl = on")
    postgres.execute("SELECT pg_reload_conf()")
    copy = postgres.folder / "authority.crt"
    copy.write_bytes(certificate.public_bytes(pem))
    yield copy
    postgres.execute("ALTER SYSTEM RESET ssl")
    postgres.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_certificate_is_verified(
    location: LakeLocation, certified: Path, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # without a certificate of the user's own

    def wrong(options: str) -> LakeLocation:
        return replaced(location, catalog=postgres.url(schema=location.schema, options=options))

    other = tmp_path / "other.crt"
    other.write_bytes(certified.read_bytes()[:300])
    for options in ("sslmode=verify-full", f"sslmode=verify-full&sslrootcert={other}"):
        with pytest.raises(LakeError, match="certificate of the catalog's server cannot be verified"):
            holds_lake(wrong(options))
    right = wrong(f"sslmode=verify-full&sslrootcert={certified}")
    for _ in range(50):  # until the server has read its settings
        try:
            assert not holds_lake(right)
            break
        except LakeError:
            continue
    assert not check_shared(right)


def test_an_unknown_message_of_a_server_is_passed_on(tmp_path: Path) -> None:
    location = LakeLocation(tmp_path, "postgres://u@h/d", "s3://b/f")
    assert recognised_shared("FATAL: es ist Vollmond", location) is None


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"catalog": "postgres://u:hush@h/d"}, "password does not belong"),
        ({"catalog": "postgres://h/d?password=hush"}, "password does not belong"),
        ({"catalog": "postgres://h/d?PASSWORD=hush"}, "password does not belong"),
        ({"catalog": "mysql://h/d"}, "must be postgres://"),
        ({"catalog": "postgres://h"}, "must be postgres://"),
        ({"data": "s3://"}, "must be s3://"),
        ({"data": "lake/data"}, "folder with its whole path"),
        ({"data": ""}, "go together"),
        ({"catalog": ""}, "go together"),
        ({"s3_endpoint": "minio:9000"}, "must be https://"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, str], what: str) -> None:
    given = {"catalog": "postgres://u@h/d", "data": "s3://b/f"} | values
    with pytest.raises(SettingsError, match=what) as refused:
        with_values(load_settings(), "lake", given, where="here")
    assert "hush" not in str(refused.value)


def test_a_password_in_a_query_is_not_shown() -> None:
    assert (
        redact_credentials("--catalog=postgres://h/d?password=hush&x=1") == "--catalog=postgres://h/d?password=***&x=1"
    )


def all_text(folder: Path) -> str:
    """Return the bytes of every file below a folder as text."""
    return "".join(file.read_bytes().decode("latin-1") for file in folder.rglob("*") if file.is_file())


def test_no_secret_is_written_or_shown_anywhere(
    tmp_path: Path,
    pm: Pm,
    variables: dict[str, str],
    write_bars: Callable[..., Path],
    postgres: Server,
    place: dict[str, str],
    secrets: Sequence[str],
) -> None:
    folder = tmp_path / "work"
    words = [word for name, value in place.items() for word in (f"--{name.removeprefix('s3_')}", value)]
    with_password = place["catalog"].replace("postgres@", f"postgres:{secrets[0]}@")
    said: list[Any] = [
        pm(tmp_path, "init", folder, *words, env=variables),
        pm(folder, "import", write_bars("AAA"), env=variables),
        pm(folder, "--debug", "import", write_bars("AAA"), env=variables | {"PM_LAKE__CATALOG": with_password}),
        pm(
            folder,
            "--debug",
            "runs",
            env=variables | {"PM_LAKE__CATALOG": place["catalog"] + "&password=" + secrets[0]},
        ),
        pm(folder, "--debug", "runs", env=variables | {"PM_LAKE__CATALOG": postgres.url(user=secrets[0][:3])}),
        pm(folder, "--debug", "runs", env=variables | {"PM_LAKE__DATA": "s3://nothing/here"}),
        pm(
            folder,
            "--debug",
            "init",
            tmp_path / "x",
            "--catalog",
            with_password,
            "--data",
            place["data"],
            env=variables,
        ),
        pm(folder, "--debug", "sql", "FROM runs", "--format", "csv", env=variables),
        pm(folder, "--debug", "sql", "FROM nothing", env=variables),
    ]
    assert [done.returncode for done in said[:2]] == [0, 0], said[1].stderr
    shown = "".join(done.stdout + done.stderr for done in said)
    assert "Traceback" in shown
    lake = pl.DataFrame(
        postgres.execute(f"SELECT * FROM {place['catalog'].rpartition('=')[2]}.ducklake_metadata"), orient="row"
    )
    for text in (shown, all_text(folder), all_text(tmp_path), str(lake.rows())):
        assert not any(secret in text for secret in secrets)
    everything = pm(folder, "sql", "SELECT settings FROM runs", "--format", "csv", env=variables).stdout
    assert place["data"] in everything
    assert not any(secret in everything for secret in secrets)


def test_every_error_of_a_shared_lake_has_a_place_and_a_remedy(tmp_path: Path, secrets: Sequence[str]) -> None:
    from pm.lake import shared_errors

    location = LakeLocation(tmp_path, "postgres://u@h/d", "s3://b/f", "http://h:1")
    phrases = [entry[0] for entry in shared_errors._OF_CATALOG] + [entry[0] for entry in shared_errors._OF_STORE]
    for known in phrases:
        for message in [" ".join(known)] if known[0] in shared_errors._WHOLE else known:
            error = recognised_shared(f"IO Error: {message}: password={secrets[0]}", location)
            assert isinstance(error, PmError), message
            assert error.where
            assert error.hint
            assert secrets[0] not in str(error)
