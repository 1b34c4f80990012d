"""Tell what errors of PostgreSQL, of its client library and of an object store mean for a shared lake.

They are known by phrases of their messages: a connection that fails gives no code. A message in another language than
English is passed on as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import LakeBusyError, LakeError, PmError, SettingsError, StorageError

if TYPE_CHECKING:
    from pm.lake.location import LakeLocation

__all__ = ["recognised_shared", "unknown_shared"]

_LOGIN_HINT = (
    "put the password into the user's password file (~/.pgpass, on Windows %APPDATA%\\postgresql\\pgpass.conf) as "
    "host:port:database:user:password, or into PGPASSWORD; never into lake.catalog"
)
_KEYS_HINT = (
    "put the keys into the AWS profile (~/.aws/credentials) or into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and "
    "let them read, write, list and delete below lake.data"
)

_OF_CATALOG: tuple[tuple[tuple[str, ...], type[PmError], str, str], ...] = (
    (
        ("duplicate key value violates unique constraint", "could not serialize access", "deadlock detected"),
        LakeBusyError,
        "Another writer committed to the lake first.",
        "wait for it to finish, then run this again",
    ),
    (
        (
            "invalid sslmode value",
            "invalid channel_binding value",
            "invalid gssencmode value",
            "invalid target_session_attrs value",
            "invalid port number",
            "for connection option",
            "bad value for connect_timeout",
        ),
        SettingsError,
        "PostgreSQL's client does not accept the value of a parameter at the end of lake.catalog, or the port.",
        "correct it; the parameters are in PostgreSQL's manual under Connection Strings",
    ),
    (
        ("password authentication failed", "no password supplied", "authentication failed"),
        LakeError,
        "The catalog's server refuses the user or the password.",
        _LOGIN_HINT,
    ),
    (
        ("no pg_hba.conf entry",),
        LakeError,
        "The catalog's server does not let this user in from this machine.",
        "ask for a line in the server's pg_hba.conf, or connect with TLS: ?sslmode=require at the end of lake.catalog",
    ),
    (
        ("root certificate file", "certificate verify failed", "ssl error", "server certificate for", "tlsv1 alert"),
        LakeError,
        "The certificate of the catalog's server cannot be verified.",
        "name the certificate of its authority at the end of lake.catalog: ?sslmode=verify-full&sslrootcert=FILE",
    ),
    (
        ("server does not support ssl",),
        LakeError,
        "The catalog's server has no TLS, and lake.catalog asks for it.",
        "turn TLS on in the server, or leave out sslmode where the network is trusted",
    ),
    (
        ('database "', "does not exist"),
        LakeError,
        "The catalog's server has no such database.",
        "make it (createdb NAME), or correct lake.catalog",
    ),
    (
        ('role "', "does not exist"),
        LakeError,
        "The catalog's server has no such user.",
        "make it (createuser NAME), or correct lake.catalog",
    ),
    (
        ("permission denied for",),
        LakeError,
        "The user of lake.catalog has no right to use the lake's catalog.",
        "let it own the schema: CREATE SCHEMA NAME AUTHORIZATION USER, or GRANT CREATE ON DATABASE NAME TO USER",
    ),
    (
        ("too many connections", "too many clients", "remaining connection slots"),
        LakeError,
        "The catalog's server has no connection left.",
        "close other programs, or raise max_connections of the server: a command of pm takes up to ten",
    ),
    (
        (
            "could not translate host name",
            "failed to resolve host",
            "connection refused",
            "connection timed out",
            "connection timeout",
            "timeout expired",
            "no route to host",
            "network is unreachable",
            "is the server running",
            "the database system is",
        ),
        LakeError,
        "The catalog's server cannot be reached.",
        "look whether PostgreSQL runs there (pg_isready -h HOST -p PORT), or correct lake.catalog",
    ),
    (
        (
            "server closed the connection",
            "connection is closed",
            "connection not open",
            "no connection to the server",
            "terminating connection",
            "consuming input failed",
            "connection to server was lost",
            "ssl syscall error",
        ),
        LakeError,
        "The connection to the catalog's server was lost; what was not committed was not written.",
        "run this again when the server answers: it goes on where it stopped",
    ),
    (
        ("no space left", "could not extend file"),
        StorageError,
        "The catalog's server has no space left.",
        "free some space there; what was committed before is safe",
    ),
    (
        ("does not match existing data path",),
        LakeError,
        "The lake of this catalog has its data elsewhere than lake.data says.",
        "correct lake.data in config/lake.yml to: {}",
    ),
    (
        ("creating a new ducklake is explicitly disabled",),
        LakeError,
        "The catalog holds no lake yet.",
        "create the lake with `pm run` or `pm import`",
    ),
    (
        ("exceeded the maximum retry count",),  # of every commit that fails: the phrases before this one say why
        LakeBusyError,
        "The catalog refused the commit, most likely because another writer was first.",
        "run this again; if it happens again, run it with --debug",
    ),
)
"""Phrases of messages in lower case, of which one must be there (all, in the entries of `_WHOLE`); and the error raised
for them, its message, and its hint."""
_WHOLE = frozenset({'database "', 'role "'})
"""First phrases of the entries whose phrases must all be there."""

_OF_STORE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("secret validation failure", "credential chain"),
        "No credentials for the object store are found.",
        _KEYS_HINT,
    ),
    (
        ("nosuchbucket", "the specified bucket does not exist"),
        "The object store has no such bucket.",
        "make the bucket, or correct lake.data",
    ),
    (
        ("invalidaccesskeyid", "signaturedoesnotmatch", "accessdenied", "http 403", "code 403", "forbidden"),
        "The object store refuses the credentials.",
        _KEYS_HINT,
    ),
    (
        ("http 301", "code 301", "authorizationheadermalformed", "permanentredirect", "http 400", "code 400"),
        "The object store does not find the bucket in this region.",
        "correct lake.s3_region",
    ),
    (
        (
            "could not connect to server",
            "could not establish connection",
            "could not resolve hostname",
            "ssl connect error",
            "ssl peer certificate",
            "problem with the ssl",
            "http 500",
            "code 500",
            "http 503",
            "code 503",
            "timeout was reached",
        ),
        "The object store cannot be reached.",
        "look whether it answers from this machine, or correct lake.s3_endpoint; what was committed before is safe",
    ),
)
"""As `_OF_CATALOG`, of an object store."""


def recognised_shared(message: str, location: LakeLocation) -> PmError | None:
    """Return the error with a remedy for a message about a shared lake; None if it is of no known kind.

    Parameters
    ----------
    message
        Message of an error of DuckDB or of PostgreSQL's client library. It is not quoted.
    """
    text = message.lower()
    if location.is_in_object_store:
        for phrases, what, hint in _OF_STORE:
            if any(phrase in text for phrase in phrases):
                return StorageError(what, where=_store_of(location), hint=hint)
        if "404" in text and ".parquet" in text:
            return LakeError(
                "The lake is damaged: a data file is missing.",
                where=_store_of(location),
                hint="list the damage with `pm lake verify`; with a backup, `pm lake restore DIR` repairs it",
            )
    for phrases, kind, what, hint in _OF_CATALOG:
        matches = (phrase in text for phrase in phrases)
        if all(matches) if phrases[0] in _WHOLE else any(matches):
            return kind(what, where=location.where, hint=hint.format(_existing_path(message)))
    return None


def unknown_shared(error: BaseException, location: LakeLocation) -> LakeError:
    """Return the error for a message that is of no known kind: its first line."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return LakeError(
        f"The shared lake cannot be used: {first}", where=location.where, hint="run again with --debug and report it"
    )


def _store_of(location: LakeLocation) -> str:
    return f"{location.data_path} at {location.endpoint}" if location.endpoint else location.data_path


def _existing_path(message: str) -> str:
    """Return the folder of the data that DuckLake says that the catalog has."""
    return message.partition('in the catalog "')[2].partition('"')[0].rstrip("/")
