"""The versions of the libraries that code imports, read from what the installed distributions say of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

__all__ = ["library_versions"]

_NAMED_OTHERWISE = {
    "alpaca": "alpaca-py",
    "cvxpy": "cvxpy-base",
    "dateutil": "python-dateutil",
    "llama_cpp": "llama-cpp-python",
    "yaml": "PyYAML",
}
"""Distribution that a package is from, where it has another name: to search all distributions for it takes 0.2 s."""


@cache
def library_versions(packages: frozenset[str]) -> dict[str, str]:
    """Return the versions of the distributions that packages come from, and of those that these require.

    Parameters
    ----------
    packages
        Names under which packages are imported. One that is not installed (an optional engine) is left out.
    """
    names = {name for package in packages for name in _distributions(package)}
    wanted = names | {required for name in names for required in _metadata(name).requires}
    versions = {name: _metadata(name).version for name in sorted(wanted)}
    return {name: found for name, found in versions.items() if found is not None}


def _distributions(package: str) -> list[str]:
    name = _NAMED_OTHERWISE.get(package, package)
    if _metadata(name).version is None:
        return packages_distributions().get(package, [])
    return [name]


@dataclass(frozen=True)
class _Metadata:
    """What an installed distribution says of itself.

    Attributes
    ----------
    version
        Version; None for a distribution that is not installed: it is optional, or for another system.
    requires
        Names of the distributions that it requires, extras left out.
    """

    version: str | None = None
    requires: tuple[str, ...] = ()


@cache
def _metadata(name: str) -> _Metadata:
    """Read the metadata of a distribution.

    `importlib.metadata` would parse it as an email, description included, which takes half a second for all.
    """
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return _Metadata()
    headers = (found.read_text("METADATA") or found.read_text("PKG-INFO") or "").split("\n\n", 1)[0]
    number = re.search(r"^Version: *(.+)$", headers, re.MULTILINE)
    requires = []
    for line in re.findall(r"^Requires-Dist: *(.+)$", headers, re.MULTILINE):
        requirement, _, marker = line.partition(";")
        if "extra" not in marker:
            requires.append(re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-"))
    return _Metadata(number[1].strip() if number else None, tuple(requires))
