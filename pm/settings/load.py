"""Read the settings from the packaged files, a workspace's own files and environment variables.

The files of the packaged config/ hold every default, with a comment; a file's name is its section. A key of a
workspace's own files replaces the packaged one, and a variable `PM_SECTION__KEY` replaces both. No other module reads
the environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from pm.errors import SettingsError, did_you_mean
from pm.resources import config_dir
from pm.settings.recorded import is_secret_at, redact_credentials
from pm.settings.root import DELIMITER, PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["RETIRED", "load_settings"]

RETIRED = {
    "volatility.window": "volatility.windows, a list, replaces it",
    "forecast.naive_share": "the weight of naive now follows from cross-validation",
}
"""Keys of earlier versions, and what replaces them."""

_QUOTED_IN_YAML = ("found undefined alias", "could not determine a constructor for the tag")
"""Problems whose message quotes the value, which may be a secret."""


def load_settings(config: Path | None = None) -> Settings:
    """Read the settings of a workspace.

    Parameters
    ----------
    config
        The workspace's config folder, or None to read only the packaged settings and the environment.

    Raises
    ------
    SettingsError
        A file is not YAML, a section or a key is unknown (the message suggests the nearest known one), or a value is
        not allowed. The message never contains the value of a secret.
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
        if problem.startswith(_QUOTED_IN_YAML):
            problem = problem.partition(" '")[0]
        raise SettingsError(f"Not YAML: {problem}.", where=f"{file}{line}", hint="fix the file") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError("A settings file holds `key: value` lines.", where=str(file), hint="fix the file")
    return content


_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the values of another replacing its own, key by key at every depth."""
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
    """Refuse a variable that is nearly one of ours, such as `PM_RUN_JOBS` for `PM_RUN__JOBS`.

    Others are ignored: variables of other programs may begin with PM_ too.
    """
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
    """Return the first of pydantic's errors as an error of ours."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    if not path:  # a variable that is not JSON where its key is a list or a mapping
        named = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and DELIMITER in name)
        return SettingsError(
            f"A list or a mapping must be written as JSON in an environment variable ({message}).",
            where=f"environment variable {' or '.join(named)}",
            hint="""for example PM_FORECAST__MODELS='["naive", "drift"]'""",
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
            removed = f"Key {dotted!r} was removed: {RETIRED[dotted]}."
            return SettingsError(removed, where=where, hint="delete the line; CHANGELOG.md has the change")
        return SettingsError(
            f"Unknown key {dotted!r}.{did_you_mean(path[-1], known)}",
            where=where,
            hint=f"use one of: {', '.join(known)}",
        )
    value = problem["input"]
    shown = ""
    if not isinstance(value, (dict, BaseModel)) and not is_secret_at(Settings, problem["loc"]):
        shown = f", got {redact_credentials(value)!r}" if isinstance(value, str) else f", got {value!r}"
    return SettingsError(f"{dotted}: {message}{shown}.", where=where, hint="change the value")


def _known_keys(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)
