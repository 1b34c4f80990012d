"""Describe the settings: the value of each key, where that comes from, and the comment of its file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pm.errors import SettingsError, did_you_mean
from pm.resources import config_dir
from pm.settings.base import Section, is_share
from pm.settings.recorded import recorded_values
from pm.settings.root import DELIMITER, PREFIX, Settings
from pm.settings.variables import variable_at
from pm.settings.yaml_file import read_mapping

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DescribedSetting", "described_settings", "setting_names", "variable_of"]

_KEY = re.compile(r"(\w+):")
"""A line that sets a key of a section."""


@dataclass(frozen=True)
class DescribedSetting:
    """A key of the settings.

    Attributes
    ----------
    name
        Section and key: run.jobs.
    value
        Its value, as a file of settings would have it.
    origin
        Where it comes from: 'default', a file, or an environment variable.
    comment
        What it is, as the packaged file says.
    """

    name: str
    value: str
    origin: str
    comment: str


def setting_names() -> list[str]:
    """Return the sections, and the section and key of each setting, in the order of the files."""
    return [
        name
        for section, field in Settings.model_fields.items()
        for name in (section, *(f"{section}.{key}" for key in _kind(field.annotation).model_fields))
    ]


def variable_of(name: str) -> str:
    """Return the environment variable that sets a key: PM_RUN__JOBS for run.jobs."""
    return f"{PREFIX}{name.replace('.', DELIMITER)}".upper()


def described_settings(settings: Settings, config: Path | None, name: str | None = None) -> list[DescribedSetting]:
    """Return the settings, those of a section, or one; secrets are left out.

    Parameters
    ----------
    settings
        Settings, as they were read.
    config
        The workspace's config folder; None where there is no workspace.
    name
        A section ("run"), or a key of one ("run.jobs"); None for all.

    Raises
    ------
    SettingsError
        There is no section and no key of this name.
    """
    known = setting_names()
    if name is not None and name not in known:
        same_key = [other for other in known if other.endswith(f".{name}")]
        guess = f" Did you mean {same_key[0]!r}?" if same_key else did_you_mean(name, known)
        raise SettingsError(
            f"There is no setting {name!r}.{guess}", where="the settings", hint="list the settings: pm config"
        )
    return [
        found
        for section in Settings.model_fields
        if name is None or name.partition(".")[0] == section
        for found in _described(settings, config, section)
        if name is None or name in {section, found.name}
    ]


def _described(settings: Settings, config: Path | None, section: str) -> list[DescribedSetting]:
    kind = _kind(Settings.model_fields[section].annotation)
    files = [config / f"{section}.{ending}" for ending in ("yml", "yaml")] if config is not None else []
    file = next((path for path in files if path.is_file()), None)
    own = kind.renamed(read_mapping(file)) if file is not None else {}
    packaged = config_dir() / f"{section}.yml"
    defaults, comments = kind.renamed(read_mapping(packaged)), _comments(packaged.read_text(encoding="utf-8"))
    found = []
    for key, value in recorded_values(settings.section(section)).items():
        origin = variable_at([section, key])
        if origin is None:
            # `pm init` copies every file: a value that is that of the package is no choice of the user's.
            is_own = file is not None and key in own and own[key] != defaults.get(key)
            origin = f"config/{file.name}" if is_own and file is not None else "default"
        share = is_share(kind.model_fields[key]) and isinstance(value, float)
        written = f"{value * 100:.6g}%" if share else _written(value)
        found.append(DescribedSetting(f"{section}.{key}", written, origin, comments.get(key, "")))
    return found


def _kind(annotation: Any) -> type[Section]:  # noqa: ANN401 - a type
    assert isinstance(annotation, type) and issubclass(annotation, Section)  # noqa: S101, PT018 - so is every field
    return annotation


def _written(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Return a value as YAML reads it: texts plain, lists and mappings in one line."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _comments(text: str) -> dict[str, str]:
    """Return the comment above each key of a file; keys in one paragraph have the comment above the first of them."""
    comments: dict[str, str] = {}
    pending: list[str] = []
    done = False
    for line in text.splitlines():
        if line.startswith("#"):
            pending = [*([] if done else pending), line.lstrip("# ")]
            done = False
        elif not line.strip():
            pending, done = [], False
        elif (key := _KEY.match(line)) is not None:
            comments[key[1]] = " ".join(pending)
            done = True
    return comments
