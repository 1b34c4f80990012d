"""Read the keys of vendors and of messages: from environment variables `PM_KEYS__NAME`, and from keys.yml.

They are no part of `Settings`, which are stored with every run. keys.yml, in the workspace, is for commands that a
scheduler starts, since those see no variables of the user's shell.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from pm.errors import SettingsError, did_you_mean
from pm.settings.file_rights import others_can_read
from pm.settings.yaml_file import read_mapping

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEYS_FILE", "KEYS_SECTION", "Keys", "check_key_variable", "load_keys", "warning_about_keys"]

KEYS_FILE = "keys.yml"
"""Name of the file of keys in a workspace."""
KEYS_SECTION = "keys"
"""What stands for a section in the names of the variables: PM_KEYS__TIINGO."""
_PREFIX = "PM_KEYS__"
_ALLOWED = re.compile(r"[\x21-\x7e]{1,500}")
"""Characters of a key: it is sent in a header or an address, which a space or a line end would break."""


def _key(value: SecretStr) -> SecretStr:
    if not _ALLOWED.fullmatch(value.get_secret_value()):
        raise ValueError("a key has no spaces, line ends or letters beyond ASCII")
    return value


_Key = Annotated[SecretStr, AfterValidator(_key)] | None


class Keys(BaseModel):
    """Keys of vendors and of messages. They are never stored, and `repr` does not show them.

    Attributes
    ----------
    alpha_vantage, finnhub, tiingo
        Key of the vendor; None if there is none.
    alpaca, alpaca_secret
        Identifier and secret of a key of Alpaca.
    mail
        Password of the mail server.
    webhook_url, ntfy_url
        Address that messages are sent to; a secret, since whoever knows it can send to it.
    webhook_token, ntfy_token
        Token that is sent with messages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    alpha_vantage: _Key = None
    finnhub: _Key = None
    alpaca: _Key = None
    alpaca_secret: _Key = None
    tiingo: _Key = None
    mail: _Key = None
    webhook_url: _Key = None
    webhook_token: _Key = None
    ntfy_url: _Key = None
    ntfy_token: _Key = None

    def secrets(self) -> tuple[str, ...]:
        """Return the keys as text, the longest first: what must not be in any message."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(sorted({key.get_secret_value() for key in values if key is not None}, key=len, reverse=True))


def load_keys(workspace: Path | None) -> Keys:
    """Read the keys of a workspace.

    Parameters
    ----------
    workspace
        Folder of the workspace, whose keys.yml is read; None to read only the variables, which come first.

    Raises
    ------
    SettingsError
        The file cannot be read, or others can read it (where POSIX's rights tell), or the name of a key is unknown, or
        a key has characters that cannot be sent. No message contains a key.
    """
    values: dict[str, object] = {}
    where: dict[str, str] = {}
    file = workspace / KEYS_FILE if workspace is not None else None
    if file is not None and os.path.lexists(file):
        if os.name != "nt" and file.is_file() and others_can_read(file):
            raise SettingsError(
                "Others can read the file of keys.", where=str(file), hint=f"keep it to yourself: chmod 600 {file}"
            )
        for name, value in read_mapping(file, known=list(Keys.model_fields)).items():
            if value is None:
                continue
            if not isinstance(value, str):
                raise SettingsError(
                    f"The key of {name} is not text.", where=str(file), hint=f'write it in quotes: {name}: "…"'
                )
            values[name], where[name] = value, str(file)
    for variable in sorted(os.environ):
        if variable.upper().startswith(_PREFIX):
            check_key_variable(variable)
            name = variable.upper().removeprefix(_PREFIX).lower()
            if os.environ[variable]:
                values[name], where[name] = os.environ[variable], f"environment variable {variable}"
    try:
        return Keys.model_validate(values)
    except ValidationError as error:
        name = str(error.errors(include_input=False)[0]["loc"][0])
    raise SettingsError(
        f"The key of {name} has a space, a line end or a letter beyond ASCII, or is longer than 500 characters.",
        where=where.get(name, "keys"),
        hint="copy the key again from the vendor's page",
    )


def warning_about_keys(workspace: Path) -> str | None:
    """Return a warning for the user if, on Windows, others may read keys.yml; None otherwise."""
    file = workspace / KEYS_FILE
    if os.name == "nt" and file.is_file() and others_can_read(file):
        return f"Others on this computer may read {file}: take away their rights in its properties, under Security."
    return None


def check_key_variable(variable: str) -> None:
    """Refuse an environment variable `PM_KEYS__…` that names no key.

    Raises
    ------
    SettingsError
        There is no key of this name; the message has the nearest one, and not the variable's value.
    """
    name, known = variable.upper().removeprefix(_PREFIX).lower(), list(Keys.model_fields)
    if name not in known:
        raise SettingsError(
            f"Unknown key {name[:60]!r}.{did_you_mean(name, known)}",
            where=f"environment variable {variable}",
            hint=f"use one of: {', '.join(known)}",
        )
