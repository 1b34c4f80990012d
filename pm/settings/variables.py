"""Check the names of the environment variables that set values, and that lists and mappings are written as JSON."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from pm.errors import SettingsError, did_you_mean
from pm.settings.base import Section
from pm.settings.keys import KEYS_SECTION, check_key_variable
from pm.settings.root import DELIMITER, PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.settings.root import Settings

__all__ = ["check_variables", "variable_at"]

_OPTIONS = ("workspace", "live_account")
"""Options of the command line that a variable can set too (PM_WORKSPACE), and the account for real money."""


def check_variables(settings: type[Settings]) -> None:
    """Refuse variables that mean to set a value and do not.

    Variables whose names are not like one of ours are ignored: those of other programs may begin with PM_ too.

    Raises
    ------
    SettingsError
        The section or the key does not exist, the name is nearly one of ours, or a list or a mapping is not JSON. The
        message names the variable and not its value, which may be a secret.
    """
    sections = sorted(settings.model_fields)
    for variable in sorted(os.environ):
        name = variable.upper()
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX).lower().split(DELIMITER)
        if path[0] == KEYS_SECTION and len(path) > 1:
            check_key_variable(variable)  # its value is read by load_keys, apart from the settings
            continue
        if len(path) == 1 and path[0] not in sections:
            _refuse_near_miss(variable, path[0], settings)
            continue
        annotation = _annotation_at(variable, path, settings)
        if not _is_written_as_text(annotation):
            _refuse_unless_json(variable)


def variable_at(path: Sequence[int | str]) -> str | None:
    """Return the variable that set the value at a path of the settings, or a value around it; None if none did."""
    names = {name.upper(): name for name in os.environ}
    parts = [str(part).upper() for part in path]
    for length in range(len(parts), 0, -1):
        found = names.get(PREFIX + DELIMITER.join(parts[:length]))
        if found is not None:
            return found
    return None


def _annotation_at(variable: str, path: Sequence[str], settings: type[BaseModel]) -> Any:  # noqa: ANN401 - a type
    """Return the type of the value that a variable sets."""
    annotation: Any = settings
    for place, part in enumerate(path):
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            whole = PREFIX + DELIMITER.join(path[:place]).upper()
            raise SettingsError(
                f"{'.'.join(path[:place])} has no keys that a variable can set one by one.",
                where=f"environment variable {variable}",
                hint=f"set {whole}, a list or a mapping as JSON",
            )
        known = list(annotation.model_fields)
        former = annotation.former if issubclass(annotation, Section) else {}
        key = former[part][0] if part in former else part
        if key not in known:
            raise SettingsError(
                f"Unknown {'key' if place else 'section'} {part!r}.{did_you_mean(part, known)}",
                where=f"environment variable {variable}",
                hint=f"use one of: {', '.join(known)}",
            )
        annotation = annotation.model_fields[key].annotation
    return annotation


def _is_written_as_text(annotation: Any) -> bool:  # noqa: ANN401 - a type, or what typing makes of one
    """Return whether a variable holds the value itself, and not JSON."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return False
    if get_origin(annotation) in {list, dict, set, tuple} or annotation in {list, dict, set, tuple}:
        return False
    return all(_is_written_as_text(part) for part in get_args(annotation) if isinstance(part, type) or get_args(part))


def _refuse_unless_json(variable: str) -> None:
    try:
        json.loads(os.environ[variable])
    except (ValueError, RecursionError):
        raise SettingsError(
            "A list or a mapping must be written as JSON in an environment variable.",
            where=f"environment variable {variable}",
            hint='a value such as ["naive", "drift"], quoted as your shell needs it',
        ) from None


def _refuse_near_miss(variable: str, name: str, settings: type[BaseModel]) -> None:
    """Refuse a variable that is nearly one of ours, such as `PM_RUN_JOBS` for `PM_RUN__JOBS`."""
    if name in _OPTIONS:
        return
    where = f"environment variable {variable}"
    keys = {
        section: list(getattr(field.annotation, "model_fields", ())) for section, field in settings.model_fields.items()
    }
    for section in [*keys, KEYS_SECTION]:
        if name.startswith(f"{section}_"):
            right = f"{PREFIX}{section}{DELIMITER}{name.removeprefix(f'{section}_')}".upper()
            raise SettingsError(
                f"{variable} has one underscore between section and key.", where=where, hint=f"write two: {right}"
            )
    for section, known in keys.items():
        if name in known:
            right = f"{PREFIX}{section}{DELIMITER}{name}".upper()
            raise SettingsError(f"{variable} names a key without its section.", where=where, hint=f"write {right}")
    guess = did_you_mean(name, [*keys, *_OPTIONS])
    if guess:
        raise SettingsError(
            f"Unknown section {name!r}.{guess}", where=where, hint=f"use one of: {', '.join([*keys, *_OPTIONS])}"
        )
