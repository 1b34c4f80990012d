"""Read a settings file: a mapping in a small part of YAML, in which no value surprises.

Text stays text unless it is `null`, `true`, `false` or a number as YAML 1.2 writes it: 2020-01-01 is no date, 12:30 no
number of base 60, 010 is ten, and the ticker ON is no boolean. Keys are always text. What a settings file does not need
is refused: keys that occur twice, tags, aliases (a few lines of which can stand for gigabytes), and deep nesting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from pm.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["parse_mapping", "read_mapping"]

_MAX_BYTES = 1_000_000
"""Maximum size of a settings file, in bytes."""
_MAX_DEPTH = 20
"""Maximum number of lists and mappings inside each other."""
_MAX_DIGITS = 300
"""Maximum length of a number; a longer one stays text, which no setting accepts."""
_SHOWN = 60
"""Maximum number of characters of a key in a message."""

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""Words that are no text."""
_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_mapping(file: Path, *, known: Collection[str] | None = None) -> dict[str, Any]:
    """Return the mapping that a settings file holds; an empty one for a file without keys.

    Parameters
    ----------
    file
        The file.
    known
        The only keys that it may have; None for any. Another key is refused by its line and is not shown, since a
        secret can stand in its place.

    Raises
    ------
    SettingsError
        It is not a regular file, cannot be read, is not YAML or not a mapping, or has a key twice, a tag, an alias, or
        more than a few levels. The message never contains a value, which may be a secret.
    """
    return parse_mapping(_text_of(file), file, known=known)


def parse_mapping(text: str, file: Path, *, known: Collection[str] | None = None) -> dict[str, Any]:
    """Return the mapping that the text of a settings file is; see `read_mapping`.

    Parameters
    ----------
    text
        The text.
    file
        The file that it is or will be the text of, for messages.
    known
        See `read_mapping`.

    Raises
    ------
    SettingsError
        See `read_mapping`.
    """
    try:
        events = yaml.parse(text, Loader=_Loader)
        found = _document(file, iter(events), known)
    except yaml.YAMLError as error:
        raise _not_yaml(file, error) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SettingsError("A settings file holds `key: value` lines.", where=str(file), hint="fix the file")
    return found


def _text_of(file: Path) -> str:
    try:
        if file.is_dir() or (file.exists() and not file.is_file()):  # reading a named pipe would wait forever
            raise SettingsError(
                f"{'A folder' if file.is_dir() else 'Something that is no file'} has the name of a settings file.",
                where=str(file),
                hint="move it away",
            )
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        lost = file.is_symlink() and not file.exists()
        problem = "it is a link to a file that does not exist" if lost else error.strerror
        raise SettingsError(
            f"The settings file cannot be read: {problem}.",
            where=str(file),
            hint="delete or correct the link" if lost else "correct its permissions, or delete it to use the defaults",
        ) from None
    if len(content) > _MAX_BYTES:
        raise SettingsError(
            f"The settings file has more than {_MAX_BYTES:,} bytes.", where=str(file), hint="keep only settings in it"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            "Not YAML: the text is not UTF-8.", where=f"{file}, line {line}", hint="save the file as UTF-8"
        ) from None


def _not_yaml(file: Path, error: yaml.YAMLError) -> SettingsError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(getattr(error, "reason", "")) or "it cannot be parsed"
    line = f", line {mark.line + 1}" if mark else ""
    return SettingsError(f"Not YAML: {problem}.", where=f"{file}{line}", hint="fix the file")


def _document(file: Path, events: Iterator[yaml.Event], known: Collection[str] | None) -> object:
    """Return the only document of a file."""
    found: object = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                _refuse(file, event, "The file has two documents.", "keep one, without `---` between them")
            found = _value(file, events, next(events), known, 0)
    return found


def _value(
    file: Path, events: Iterator[yaml.Event], event: yaml.Event, known: Collection[str] | None, depth: int
) -> Any:  # noqa: ANN401 - any YAML value
    if depth > _MAX_DEPTH:
        _refuse(file, event, f"More than {_MAX_DEPTH} lists and mappings are inside each other.", "fix the file")
    if isinstance(event, yaml.AliasEvent):
        _refuse(file, event, "An alias (*name) is not allowed in settings.", "write the value itself")
    if getattr(event, "tag", None) not in {None, "!", "tag:yaml.org,2002:str"}:
        _refuse(file, event, "A tag (!name) is not allowed in settings.", "write the value without it")
    if isinstance(event, yaml.ScalarEvent):
        plain = event.tag is None and event.implicit[0]
        return _scalar(event.value) if plain else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(_value(file, events, inner, known, depth + 1))
        return items
    return _mapping(file, events, known, depth)


def _mapping(file: Path, events: Iterator[yaml.Event], known: Collection[str] | None, depth: int) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            _refuse(file, event, "A key is not text.", "write `key: value`")
        key: str = event.value
        if known is not None and key not in known:
            _refuse(file, event, f"Unknown key.{did_you_mean(key, known)}", f"use one of: {', '.join(known)}")
        if key in pairs:
            shown = repr(key if len(key) <= _SHOWN else f"{key[:_SHOWN]}…")
            _refuse(file, event, f"Key {shown} occurs twice.", "delete one of the two lines")
        pairs[key] = _value(file, events, next(events), known, depth + 1)
    return pairs


def _scalar(text: str) -> str | float | bool | None:
    """Return the value of text without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float("nan" if special[3] else f"{special[1]}inf")
    return text


def _refuse(file: Path, event: yaml.Event, what: str, hint: str) -> NoReturn:
    line = f", line {event.start_mark.line + 1}" if event.start_mark else ""
    raise SettingsError(what, where=f"{file}{line}", hint=hint)
