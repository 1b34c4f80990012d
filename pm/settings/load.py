"""Read the settings from the packaged files, a workspace's own files and environment variables.

The files of the packaged config/ hold every default, with a comment; a file's name is its section. A key of a
workspace's own files replaces the packaged one, and a variable `PM_SECTION__KEY` replaces both. No other module reads
the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from pm.errors import SettingsError, did_you_mean
from pm.resources import config_dir
from pm.settings.base import Section, is_share
from pm.settings.recorded import is_secret_at, redact_credentials
from pm.settings.root import Settings
from pm.settings.variables import check_variables, variable_at
from pm.settings.yaml_file import read_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

__all__ = ["RETIRED", "load_settings", "with_values"]

RETIRED = {
    "volatility.window": "volatility.windows, a list, replaces it",
    "forecast.naive_share": "the weight of naive now follows from cross-validation",
    "broker.halt_drawdown": "limit drawdown of config/risk.yml, with action halt, replaces it",
    "broker.cash_buffer": "portfolio.cash_buffer replaces it",
    "broker.minimum_order": "portfolio.minimum_order replaces it",
    "broker.lot_size": "portfolio.lot replaces it",
}
"""Keys of earlier versions, and what replaces them."""

_ENDINGS = (".yml", ".yaml")
"""Endings of the names of settings files."""
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
"""Words for the bounds of a value, by pydantic's names for them."""
_SHOWN = 60
"""Maximum number of characters of a key or a value in a message."""


def load_settings(config: Path | None = None) -> Settings:
    """Read the settings of a workspace.

    Parameters
    ----------
    config
        The workspace's config folder, or None to read only the packaged settings and the environment.

    Raises
    ------
    SettingsError
        A file cannot be read or is not YAML, a section or a key is unknown (the message suggests the nearest known
        one), a section has two files, or a value is not allowed. The message never contains the value of a secret.
    """
    known = sorted(Settings.model_fields)
    values = {name: read_mapping(config_dir() / f"{name}.yml") for name in known}
    origin: dict[str, str] = {name: str(config_dir() / f"{name}.yml") for name in known}
    for section, file in _own_files(config, known).items():
        values[section] = _overlay(values[section], _renamed(section, read_mapping(file), file))
        origin[section] = str(file)
    check_variables(Settings)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, origin) from None


def with_values(settings: Settings, section: str, values: Mapping[str, object], *, where: str) -> Settings:
    """Return settings in which some keys of a section have other values.

    Parameters
    ----------
    where
        Where the values come from, for an error message.

    Raises
    ------
    SettingsError
        A value is not allowed.
    """
    old = settings.section(section)
    try:
        new = type(old).model_validate({**old.model_dump(), **values})
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{message[:1].upper()}{message[1:]}.", where=where, hint="change the value") from None
    return settings.model_copy(update={section: new})


def _own_files(config: Path | None, known: Sequence[str]) -> dict[str, Path]:
    """Return the workspace's own settings files by section. Hidden files, such as those of editors, are ignored."""
    found: dict[str, Path] = {}
    try:
        entries = sorted(config.iterdir()) if config and config.is_dir() else []
    except OSError as error:
        raise SettingsError(
            f"The folder of the settings cannot be read: {error.strerror}.",
            where=str(config),
            hint="correct its permissions",
        ) from None
    for file in entries:
        if file.suffix.lower() not in _ENDINGS or file.name.startswith("."):
            continue
        if file.stem not in known:
            raise SettingsError(
                f"Unknown settings file {_shortened(file.name)!r}.{did_you_mean(file.stem, known)}",
                where=str(file),
                hint=f"name it after a section: {', '.join(known)}",
            )
        if file.stem in found:
            raise SettingsError(
                f"Section {file.stem!r} has two files, {found[file.stem].name} and {file.name}.",
                where=str(config),
                hint="move the settings into one of them and delete the other",
            )
        found[file.stem] = file
    return found


def _renamed(section: str, values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return the values of a file with former spellings of keys replaced by the present ones."""
    kind = Settings.model_fields[section].annotation
    assert isinstance(kind, type) and issubclass(kind, Section)  # noqa: S101, PT018 - every field of Settings is a section
    for old in kind.former.keys() & values.keys():
        new = kind.former[old][0]
        if new in values:
            raise SettingsError(
                f"{section}.{old} is the former spelling of {section}.{new}, and both are set.",
                where=str(file),
                hint=f"delete the line of {old}",
            )
    try:
        return kind.renamed(values)
    except ValueError as error:
        raise SettingsError(f"{section}: {error}.", where=str(file), hint="change the value") from None


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the values of another replacing its own, key by key at every depth."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(error: ValidationError, origin: Mapping[str, str]) -> SettingsError:
    """Return the first of pydantic's errors as an error of ours."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    variable = variable_at(path)
    where = f"environment variable {variable}" if variable else origin.get(path[0] if path else "", "settings")
    dotted = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        if dotted in RETIRED:
            removed = f"Key {dotted!r} was removed: {RETIRED[dotted]}."
            return SettingsError(removed, where=where, hint="delete the line; CHANGELOG.md has the change")
        return SettingsError(
            f"Unknown key {_shortened(dotted)!r}.{did_you_mean(path[-1], known)}",
            where=where,
            hint=f"use one of: {', '.join(known)}",
        )
    hint = "change the value"
    if (field := _field_at(problem["loc"])) is not None and is_share(field):
        hint = "write it in percent, such as 60%, or as a fraction, such as 0.6"
        for bound, words in _BOUNDS.items():
            if bound in problem.get("ctx", {}):
                message = f"Input should be {words} {problem['ctx'][bound] * 100:.6g}%"
    shown = ""
    if not is_secret_at(Settings, problem["loc"]) and (text := _shown(problem["input"])):
        shown = f", got {text}"
    end = "" if message.endswith("?") else "."
    return SettingsError(f"{_shortened(dotted)}: {message}{shown}{end}", where=where, hint=hint)


def _field_at(path: Sequence[int | str]) -> FieldInfo | None:
    """Return the field of a section at a path, which names the section and the key; None if there is none."""
    if len(path) != 2:
        return None
    section, key = path
    kind = Settings.model_fields[section].annotation if section in Settings.model_fields else None
    return kind.model_fields.get(str(key)) if isinstance(kind, type) and issubclass(kind, Section) else None


def _shown(value: object) -> str:
    """Return a value for a message: short, and without credentials; nothing of a list or a mapping."""
    if isinstance(value, str):
        return repr(_shortened(redact_credentials(value)))
    return _shortened(repr(value)) if value is None or isinstance(value, (bool, int, float)) else ""


def _shortened(text: str) -> str:
    """Return the beginning of a text that is too long for a message."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _known_keys(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)
