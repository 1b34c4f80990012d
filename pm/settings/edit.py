"""Change the value of a key in a settings file, and leave its comments as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from pm.errors import SettingsError, StorageError
from pm.open_files import write_whole
from pm.settings.yaml_file import parse_mapping, read_mapping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["write_list"]

_MEANT = {"null", "true", "false"}
"""Words that are no text unless they are quoted."""


def write_list(file: Path, key: str, values: Sequence[str]) -> None:
    """Write a list of texts as the value of a key, in one line; the key is added if the file lacks it.

    Comments stay as they are, except those between the items of a list that is replaced.

    Raises
    ------
    SettingsError
        The file is not one of settings as it is, or is written so that this key cannot be changed without the others.
    StorageError
        The file cannot be read or written.
    """
    exists = file.exists()
    expected = (read_mapping(file) if exists else {}) | {key: list(values)}
    try:
        text = file.read_text(encoding="utf-8-sig") if exists else ""
        new = _with_value(text, key, f"[{', '.join(_written(value) for value in values)}]")
        if not _says(new, file, expected):
            raise SettingsError(
                f"{key} cannot be changed in this file without changing other settings.",
                where=str(file),
                hint=f"write it by hand, in a line of its own: {key}: [...]",
            )
        write_whole(file, new)
    except OSError as error:
        raise StorageError(
            f"The settings cannot be written: {error.strerror}.", where=str(file), hint="correct its permissions"
        ) from None


def _with_value(text: str, key: str, value: str) -> str:
    """Return the text of a settings file with another value of a key."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)  # its marks count characters
    except yaml.YAMLError:
        root = None
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    for name, old in pairs:
        if name.value == key:
            begin = text.index(":", name.end_mark.index) + 1
            # Comments between the key and a value in the lines below it follow the new value.
            comments = text[begin : old.start_mark.index].strip()
            kept = f"  {comments}" if comments else ""
            return f"{text[:begin]} {value}{kept}{text[_end(old, text) :]}"
    return f"{text.rstrip()}\n\n{key}: {value}\n".lstrip()


def _end(node: yaml.Node, text: str) -> int:
    """Return where a value ends. The mark of one of several lines stands behind the comments after it."""
    is_lines = isinstance(node, yaml.CollectionNode) and not node.flow_style
    if is_lines and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last, text)
    begin, end = node.start_mark.index, int(node.end_mark.index)
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return begin + len(re.sub(r"(\n[ \t]*|\n#.*)+\Z", "", text[begin:end]))
    return end


def _says(text: str, file: Path, expected: dict[str, object]) -> bool:
    """Return whether a text will be read as settings with these values."""
    try:
        found = parse_mapping(text, file)
    except SettingsError:
        return False
    return repr(sorted(found.items())) == repr(sorted(expected.items()))  # a NaN equals none


def _written(value: str) -> str:
    """Return a text as an item of a YAML list: plain if nothing in it has a meaning, else in double quotes."""
    if re.fullmatch(r"[A-Za-z][\w./-]*(?::[\w.-]+)?", value) and value.lower() not in _MEANT:
        return value
    letters = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value)
    return f'"{"".join(letters)}"'
