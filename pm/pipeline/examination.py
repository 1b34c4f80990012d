"""Read what `pm doctor` judges: the installation, the machine, and the files of the workspace."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.export.pdf import CHROMIUM_NAMES
from pm.monitor.finding import Finding
from pm.monitor.machine import (
    check_extras,
    check_files,
    check_keys,
    check_lock,
    check_packages,
    check_programs,
    check_python,
    check_resources,
)
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.workspace import Workspace

__all__ = ["examine"]

_DISTRIBUTION = "portfolio-maximizer"
_SUPPORTED = ((3, 11), (3, 14))
_PROGRAMS = {
    "chromium": CHROMIUM_NAMES,
    "compiler": ("cc", "gcc", "clang", "cl"),
}
_USES = {"chromium": "a tearsheet as PDF", "compiler": "installing llama-cpp-python from source"}
_DEVELOPMENT = frozenset({"bench", "dev", "docs", "lint", "test", "unseen"})
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;(.*))?$")


def examine(
    workspace: Workspace | None, *, whole: bool, on_progress: Callable[[int], object] = lambda _: None
) -> list[Finding]:
    """Return what an examination of the installation and the workspace finds.

    Parameters
    ----------
    workspace
        The workspace; None to look at the installation only.
    whole
        Read every data file, and compare its checksum; otherwise its presence and its size.
    on_progress
        Function that is called with the number of bytes of each data file.
    """
    found = [check_python((sys.version_info.major, sys.version_info.minor), _SUPPORTED), *_packages(), _programs()]
    found.append(_resources(workspace))
    if workspace is not None:
        found += [*_settings(workspace), _keys(workspace), *_lake(workspace, whole=whole, on_progress=on_progress)]
    return found


def _packages() -> list[Finding]:
    from packaging.specifiers import SpecifierSet

    installed: dict[str, str | None] = {}
    allowed: dict[str, bool] = {}
    extras: dict[str, bool] = {}
    for requirement in requires(_DISTRIBUTION) or []:
        parts = _REQUIREMENT.match(requirement)
        if parts is None:
            continue
        name, bounds, marker = parts[1], parts[2], parts[3] or ""
        here = _version(name)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        if extra is not None:
            if extra[1] not in _DEVELOPMENT and name != _DISTRIBUTION:
                extras[extra[1]] = extras.get(extra[1], True) and here is not None
            continue
        installed[name] = here
        allowed[name] = here is None or SpecifierSet(bounds).contains(here, prereleases=True)
    return [check_packages(installed, allowed), check_extras(extras)]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _programs() -> Finding:
    found = {
        name: next((place for place in map(shutil.which, names) if place), None) for name, names in _PROGRAMS.items()
    }
    return check_programs(found, _USES)


def _resources(workspace: Workspace | None) -> Finding:
    import psutil

    free = int(psutil.disk_usage(str(workspace.root)).free) if workspace is not None else None
    return check_resources(cores=os.cpu_count() or 1, memory=int(psutil.virtual_memory().available), free=free)


def _settings(workspace: Workspace) -> list[Finding]:
    from pm.settings import load_settings

    rule = "failing if a file of config/ or a PM_… variable is wrong."
    try:
        load_settings(workspace.config)
    except PmError as error:
        return [Finding("settings", HealthStatus.FAILING, error.what, rule, error.hint)]
    return [Finding("settings", HealthStatus.HEALTHY, "Every section can be read.", rule)]


def _keys(workspace: Workspace) -> Finding:
    from pm.settings import load_keys

    try:
        keys = load_keys(workspace.root)
    except PmError as error:
        return check_keys([], error.what)
    return check_keys([name for name in type(keys).model_fields if getattr(keys, name) is not None], None)


def _lake(workspace: Workspace, *, whole: bool, on_progress: Callable[[int], object]) -> list[Finding]:
    from pm.lake.integrity import Fault, FileFault
    from pm.pipeline.opening import read_lake
    from pm.pipeline.right_to_write import is_being_written
    from pm.settings import load_settings

    rule = "failing if the catalog cannot be read, or is of another version."
    try:
        settings = load_settings(workspace.config)
    except PmError:  # told already
        settings = load_settings()
    try:
        with read_lake(workspace, settings) as lake:
            files = lake.files()
            if whole:
                faults = lake.verify(files, on_progress=on_progress)
            else:
                sizes = lake.stored_files()
                faults = [
                    FileFault(file, Fault.CHANGED if file.path in sizes else Fault.MISSING)
                    for file in files
                    if sizes.get(file.path) != file.bytes
                ]
            tables = len(lake.catalog_tables())
            busy = is_being_written(lake.location)
    except PmError as error:
        return [Finding("catalog", HealthStatus.FAILING, error.what, rule, error.hint)]
    damaged = [found.file.path for found in faults if found.fault is not Fault.UNRECORDED]
    return [
        Finding("catalog", HealthStatus.HEALTHY, f"It can be read: {tables} tables of its own.", rule),
        check_files(files=len(files), damaged=damaged, unrecorded=len(faults) - len(damaged), quick=not whole),
        check_lock("A command is writing to the lake." if busy else None),
    ]
