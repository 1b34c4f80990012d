"""Open what a shared lake needs: its catalog in PostgreSQL, and an object store.

Passwords and keys never pass through here. PostgreSQL's client library reads PGPASSWORD and the user's password file,
and Amazon's reads its environment variables, its profiles, and what the machine it runs on is given.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pm.errors import LakeError, PmError, SettingsError
from pm.lake.binding import identifier, quote
from pm.lake.shared_errors import recognised_shared, unknown_shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    import duckdb
    import psycopg

    from pm.lake.location import LakeLocation

__all__ = [
    "attachment",
    "catalog_session",
    "extensions_of",
    "holds_lake",
    "open_object_store",
    "prepare_catalog",
    "translated_shared",
]

_PARAMETERS = {
    "connect_timeout": "15",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "client_encoding": "UTF8",
}
"""Parameters of a connection, in seconds and tries: a server that is gone is noticed within a minute."""
_UNKNOWN_PARAMETER = re.compile(r'invalid URI query parameter: "([^"]*)"')
"""What PostgreSQL's client library says of a parameter that it does not know. It says nothing of its value."""
_NAME_BYTES = 63
"""Largest number of bytes of the name under which PostgreSQL lists a connection."""
_MARK = "ducklake_metadata"
"""Table by which a catalog of DuckLake is recognised."""
_CREDENTIAL_SETTINGS = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")
"""Settings of DuckDB that its extension fills from the environment, and that SQL could read."""


def extensions_of(location: LakeLocation) -> Sequence[str]:
    """Return the names of DuckDB's extensions that a lake needs, in the order in which they are loaded."""
    if not location.is_shared:
        return ("sqlite_scanner", "ducklake")
    return ("postgres_scanner", *(("httpfs", "aws") if location.is_in_object_store else ()), "ducklake")


def attachment(location: LakeLocation) -> tuple[str, list[str]]:
    """Return what a shared lake is attached by: its address for DuckLake, and options of the statement."""
    schema = quote(location.schema)
    options = [f"DATA_PATH {quote(location.data_path)}", f"METADATA_SCHEMA {schema}", f"META_SCHEMA {schema}"]
    return f"ducklake:postgres:{_parameters(location, 'pm')}", options


def open_object_store(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    """Let a connection use the object store of a shared lake's data.

    Raises
    ------
    PmError
        No credentials are found.
    """
    if not location.is_in_object_store:
        return
    for setting in _CREDENTIAL_SETTINGS:
        connection.execute(f"SET {setting} = ''")
    options = [f"SCOPE {quote(location.bucket)}", "REFRESH auto"]
    if location.region:
        options.append(f"REGION {quote(location.region)}")
    if location.endpoint:
        address = urlsplit(location.endpoint)
        secure = "true" if address.scheme == "https" else "false"
        options += [f"ENDPOINT {quote(address.netloc)}", "URL_STYLE 'path'", f"USE_SSL {secure}"]
    with translated_shared(location):
        connection.execute(f"CREATE SECRET pm_data (TYPE s3, PROVIDER credential_chain, {', '.join(options)})")


def holds_lake(location: LakeLocation) -> bool:
    """Return whether the catalog of a shared lake has been made.

    Raises
    ------
    LakeError
        The schema holds the tables of another program.
    PmError
        The database cannot be used.
    """
    with catalog_session(location, "pm") as session:
        names = {
            str(name)
            for (name,) in session.execute(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
                [location.schema],
            )
        }
    if names and _MARK not in names:
        raise LakeError(
            f"The schema for the lake's catalog holds tables of another program, such as {min(names)!r}.",
            where=location.where,
            hint="name a schema of the lake's own at the end of lake.catalog: ?schema=NAME",
        )
    return bool(names)


def prepare_catalog(location: LakeLocation) -> bool:
    """Make the schema of a shared lake's catalog where it is missing, and return whether the catalog holds a lake.

    Raises
    ------
    PmError
        See `holds_lake`; or the user of the database has no right to make the schema.
    """
    if holds_lake(location):
        return True
    with catalog_session(location, "pm") as session:
        # Asked for even where it exists, CREATE SCHEMA needs the right to make one.
        if session.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [location.schema]).fetchone() is None:
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(location.schema)}".encode())
    return False


@contextmanager
def catalog_session(location: LakeLocation, name: str) -> Iterator[psycopg.Connection]:
    """Connect to the database of a shared lake's catalog for a `with` block; each statement is a commit.

    Parameters
    ----------
    name
        Name under which the server lists the connection.

    Raises
    ------
    PmError
        The server cannot be reached or refuses, or psycopg is not installed.
    """
    with translated_shared(location):
        connection = _psycopg(location).connect(_parameters(location, name), autocommit=True)
    try:
        with translated_shared(location):
            yield connection
    finally:
        connection.close()


def _parameters(location: LakeLocation, name: str) -> str:
    """Return the parameters of a connection to the catalog's database, as PostgreSQL's client library reads them.

    Raises
    ------
    SettingsError
        The library does not understand the address.
    """
    psycopg = _psycopg(location)
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        told = conninfo_to_dict(location.database)
    except psycopg.ProgrammingError as error:
        unknown = _UNKNOWN_PARAMETER.search(str(error))
        problem = f"has an unknown parameter, {unknown[1]!r}" if unknown else "cannot be read"
        raise SettingsError(
            f"The address of the catalog {problem}.",
            where="lake.catalog",
            hint="write postgres://USER@HOST:PORT/DATABASE, and after a `?` parameters of PostgreSQL's client, such as "
            "sslmode=require",
        ) from None
    given = {key: value for key, value in told.items() if value is not None}
    shown = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return make_conninfo("", **{**_PARAMETERS, "application_name": shown, **given})


def _psycopg(location: LakeLocation) -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        raise LakeError(
            "A shared lake needs packages that are not installed.",
            where=location.where,
            hint="install them: python -m pip install 'portfolio-maximizer[shared]'",
        ) from error
    return psycopg


@contextmanager
def translated_shared(location: LakeLocation) -> Iterator[None]:
    """Turn errors of the catalog's database and of the object store into errors with a remedy."""
    import duckdb

    try:
        yield
    except PmError:
        raise
    except Exception as error:
        if not isinstance(error, duckdb.Error) and type(error).__module__.partition(".")[0] != "psycopg":
            raise
        raise (recognised_shared(str(error), location) or unknown_shared(error, location)) from None
