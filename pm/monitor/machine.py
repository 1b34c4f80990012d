"""Check the installation: Python, packages, what else is installed, the machine, and the files of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.monitor.finding import Finding
from pm.plural import first_of, plural
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "check_extras",
    "check_files",
    "check_keys",
    "check_lock",
    "check_packages",
    "check_programs",
    "check_python",
    "check_resources",
]

_GIB = 1024**3
_MEMORY = 2 * _GIB
"""Bytes of memory below which a run of some hundred tickers can fail."""


def check_python(version: tuple[int, int], supported: tuple[tuple[int, int], tuple[int, int]]) -> Finding:
    """Check the version of Python against the first that is supported and the first that is not."""
    first, beyond = supported
    rule = f"failing unless Python is {first[0]}.{first[1]} or newer, and older than {beyond[0]}.{beyond[1]}."
    name = f"Python {version[0]}.{version[1]}"
    if first <= version < beyond:
        return Finding("python", HealthStatus.HEALTHY, f"{name}.", rule)
    return Finding("python", HealthStatus.FAILING, f"{name} is not supported.", rule, "install another Python")


def check_packages(installed: Mapping[str, str | None], allowed: Mapping[str, bool]) -> Finding:
    """Check the versions of the packages that are needed.

    Parameters
    ----------
    installed
        Version of each package; None if it is not installed.
    allowed
        Whether each installed version is within the bounds that were tested.
    """
    rule = "failing if a package that is needed is not installed; degraded if its version is not one that is allowed."
    missing = sorted(name for name, version in installed.items() if version is None)
    outside = sorted(f"{name} {installed[name]}" for name, fits in allowed.items() if not fits)
    hint = "pip install -U portfolio-maximizer"
    if missing:
        return Finding("packages", HealthStatus.FAILING, f"Not installed: {first_of(missing, 8)}.", rule, hint)
    if outside:
        detail = f"Other versions than allowed: {first_of(outside, 8)}."
        return Finding("packages", HealthStatus.DEGRADED, detail, rule, hint)
    detail = f"{plural(len(installed), 'package')} with allowed versions."
    return Finding("packages", HealthStatus.HEALTHY, detail, rule)


def check_extras(present: Mapping[str, bool]) -> Finding:
    """Return which extras are installed, as a finding."""
    rule = "never worse than healthy: extras are a choice."
    here = sorted(name for name, is_there in present.items() if is_there)
    missing = sorted(name for name, is_there in present.items() if not is_there)
    detail = f"Installed: {', '.join(here) or 'none'}. Not installed: {', '.join(missing) or 'none'}."
    return Finding("extras", HealthStatus.HEALTHY, detail, rule)


def check_programs(found: Mapping[str, str | None], uses: Mapping[str, str]) -> Finding:
    """Return which programs beside Python are there, and what each is used for, as a finding."""
    rule = "never worse than healthy: no program but Python is needed to run."
    parts = [f"{name}: {place or f'not found ({uses[name]})'}" for name, place in found.items()]
    return Finding("programs", HealthStatus.HEALTHY, f"{'; '.join(parts)}.", rule)


def check_resources(*, cores: int, memory: int, free: int | None) -> Finding:
    """Check the cores, the memory that is available, and the space on the workspace's disk, in bytes."""
    rule = f"failing with less than 1 GiB of disk; degraded with less than {_MEMORY / _GIB:g} GiB of memory available."
    disk = f", {free / _GIB:,.1f} GiB of disk free" if free is not None else ""
    detail = f"{plural(cores, 'core')}, {memory / _GIB:,.1f} GiB of memory available{disk}."
    if free is not None and free < _GIB:
        return Finding("machine", HealthStatus.FAILING, detail, rule, "free some space")
    if memory < _MEMORY:
        return Finding("machine", HealthStatus.DEGRADED, detail, rule, "end other programs, or use fewer run.jobs")
    return Finding("machine", HealthStatus.HEALTHY, detail, rule)


def check_files(*, files: int, damaged: Sequence[str], unrecorded: int, quick: bool) -> Finding:
    """Check the data files that the catalog names.

    Parameters
    ----------
    files
        Number of files.
    damaged
        Files that are missing or changed.
    unrecorded
        Number of files without a checksum.
    quick
        Only presence and sizes were compared, not the checksums of the bytes.
    """
    how = "by their sizes" if quick else "by their checksums"
    rule = f"failing if a data file of the catalog is missing or changed ({how}); degraded if one has no checksum."
    if damaged:
        detail = f"{plural(len(damaged), 'file')} of {files:,} missing or changed: {first_of(damaged, 3)}."
        return Finding("data files", HealthStatus.FAILING, detail, rule, "pm lake verify; pm lake restore DIR")
    if unrecorded:
        detail = f"{plural(unrecorded, 'file')} of {files:,} without a checksum."
        return Finding("data files", HealthStatus.DEGRADED, detail, rule, "pm lake verify --record")
    return Finding("data files", HealthStatus.HEALTHY, f"{plural(files, 'file')}, all of them whole {how}.", rule)


def check_lock(holder: str | None) -> Finding:
    """Return which command is writing to the lake, as a finding; the command is None if none is."""
    rule = "never worse than healthy: the lock ends with the process that holds it."
    return Finding("lock", HealthStatus.HEALTHY, holder or "No command is writing to the lake.", rule)


def check_keys(present: Sequence[str], problem: str | None) -> Finding:
    """Check the keys of vendors by their names; `problem` is what is wrong with their file, None for nothing."""
    rule = "failing if keys.yml cannot be used; the values of keys are never shown."
    if problem is not None:
        return Finding("keys", HealthStatus.FAILING, problem, rule, "correct keys.yml; docs/vendors.md")
    detail = f"There are keys of: {', '.join(present)}." if present else "There are no keys; Yahoo needs none."
    return Finding("keys", HealthStatus.HEALTHY, detail, rule)
