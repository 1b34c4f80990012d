"""Change the value of a key in a settings file, and leave its comments as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pm.errors import StorageError
from pm.open_files import write_whole
from pm.settings.yaml_file import read_mapping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["write_list"]

_MEANT = {"null", "true", "false"}
"""Words that are no text unless they are quoted."""


def write_list(file: Path, key: str, values: Sequence[str]) -> None:
    """Write a list of texts as the value of a key, in one line; the key is added if the file lacks it.

    Raises
    ------
    SettingsError
        The file is not one of settings as it is.
    StorageError
        The file cannot be written.
    """
    if file.exists():
        read_mapping(file)
    line = f"{key}: [{', '.join(_written(value) for value in values)}]"
    try:
        text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
        # The old value ends where the next line begins that neither is indented nor an item of the list.
        old = re.compile(rf"^{re.escape(key)}[ \t]*:.*(?:\r?\n(?:[ \t]+\S.*|-(?:[ \t].*)?|\].*))*", re.MULTILINE)
        new, found = old.subn(lambda _: line, text, count=1)
        write_whole(file, new if found else f"{text.rstrip()}\n\n{line}\n".lstrip())
    except OSError as error:
        raise StorageError(
            f"The settings cannot be written: {error.strerror}.", where=str(file), hint="correct its permissions"
        ) from None


def _written(value: str) -> str:
    """Return a text as an item of a YAML list: plain if nothing in it has a meaning, else in double quotes."""
    if re.fullmatch(r"[A-Za-z][\w./-]*(?::[\w.-]+)?", value) and value.lower() not in _MEANT:
        return value
    letters = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value)
    return f'"{"".join(letters)}"'
