"""Read the settings: packaged files, a workspace's own files over them, and environment variables over both.

The files of config/ hold every default, with its comment; a file's name is its section. A workspace's own files are
laid over the packaged ones key by key, and `PM_SECTION__KEY` variables over both. Nothing else reads the environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from pm.errors import SettingsError, did_you_mean
from pm.resources import config_dir
from pm.settings.root import DELIMITER, PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["RETIRED", "load_settings"]

RETIRED = {
    "volatility.window": "volatility.windows is a list of them now",
    "forecast.naive_share": "the share is earned by evidence now",
}
"""Keys of earlier versions, and what became of them."""


def load_settings(config: Path | None = None) -> Settings:
    """Read the packaged settings, a workspace's own over them, and the environment over both.

    Parameters
    ----------
    config
        A workspace's config folder, or None for the packaged settings alone.

    Raises
    ------
    SettingsError
        A file that is not YAML, an unknown section or key (the nearest known one is named), or a value out of range.
    """
    known = sorted(Settings.model_fields)
    values = {name: _read_yaml(config_dir() / f"{name}.yml") for name in known}
    origin: dict[str, str] = {name: str(config_dir() / f"{name}.yml") for name in known}
    for file in sorted(config.glob("*.y*ml")) if config and config.is_dir() else []:
        if file.stem not in known:
            raise SettingsError(
                f"Unknown settings file {file.name!r}.{did_you_mean(file.stem, known)}",
                where=str(file),
                hint=f"name it after a section: {', '.join(known)}",
            )
        values[file.stem] = _overlay(values[file.stem], _read_yaml(file))
        origin[file.stem] = str(file)
    _refuse_unknown_variables(known)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, origin) from None


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_SafeLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SettingsError(f"Not YAML: {problem}.", where=f"{file}{line}", hint="mend the file") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError("A settings file holds `key: value` lines.", where=str(file), hint="mend the file")
    return content


_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key, all the way down."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _refuse_unknown_variables(sections: list[str]) -> None:
    for variable in os.environ:
        name = variable.upper()
        if not name.startswith(PREFIX):
            continue
        if DELIMITER not in name:
            _refuse_near_miss(variable, sections)
            continue
        section, _, rest = name.removeprefix(PREFIX).partition(DELIMITER)
        if section.lower() not in sections:
            raise SettingsError(
                f"Unknown section {section.lower()!r}.{did_you_mean(section.lower(), sections)}",
                where=f"environment variable {variable}",
                hint=f"use one of: {', '.join(sections)}",
            )
        annotation = Settings.model_fields[section.lower()].annotation
        keys = list(annotation.model_fields) if isinstance(annotation, type) else []
        key = rest.split(DELIMITER)[0].lower()
        if key not in keys:
            raise SettingsError(
                f"Unknown key {key!r}.{did_you_mean(key, keys)}",
                where=f"environment variable {variable}",
                hint=f"use one of: {', '.join(keys)}",
            )


def _refuse_near_miss(variable: str, sections: list[str]) -> None:
    """Refuse `PM_RUN_JOBS`, which means `PM_RUN__JOBS`; other programs' variables may begin with PM_ too."""
    name = variable.upper().removeprefix(PREFIX).lower()
    section, _, key = name.partition("_")
    if section in sections and key:
        raise SettingsError(
            f"{variable} has one underscore between section and key.",
            where=f"environment variable {variable}",
            hint=f"write two: {PREFIX}{section.upper()}{DELIMITER}{key.upper()}",
        )
    guess = did_you_mean(name, sections)
    if guess and name not in sections:
        raise SettingsError(
            f"Unknown section {name!r}.{guess}",
            where=f"environment variable {variable}",
            hint=f"use one of: {', '.join(sections)}",
        )


def _explain(error: ValidationError, origin: Mapping[str, str]) -> SettingsError:
    """Turn the first of pydantic's complaints into a message of three parts."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    if not path:  # a variable that is not JSON where its key is a list or a mapping
        named = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and DELIMITER in name)
        return SettingsError(
            f"A list or a mapping is written as JSON in a variable ({problem['msg']}).",
            where=f"environment variable {' or '.join(named)}",
            hint="""write, say, PM_FORECAST__MODELS='["naive", "drift"]'""",
        )
    variable = next(
        (name for name in os.environ if name.upper() == PREFIX + DELIMITER.join(path[:2]).upper()),
        None,
    )
    where = f"environment variable {variable}" if variable else origin.get(path[0], "settings")
    dotted = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        if dotted in RETIRED:
            said = f"Key {dotted!r} is no more: {RETIRED[dotted]}."
            return SettingsError(said, where=where, hint="delete the line; see CHANGELOG.md")
        return SettingsError(
            f"Unknown key {dotted!r}.{did_you_mean(path[-1], known)}",
            where=where,
            hint=f"use one of: {', '.join(known)}",
        )
    shown = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    return SettingsError(f"{dotted}: {problem['msg']}{shown}.", where=where, hint="mend the value")


def _known_keys(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)
