"""Versions on which the last bit of a number depends: those of the workers are to be those of this process."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from pm.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_versions", "missing", "versions"]

_PACKAGES = ("portfolio-maximizer", "numpy", "polars", "scipy", "numba", "statsforecast")
_HINT = "install the same everywhere: python -m pip install -c constraints.txt portfolio-maximizer"


def versions() -> dict[str, str]:
    """Give the versions of this process: Python's without its last part, and the packages that make numbers."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python} | {name: version(name) for name in _PACKAGES}


def check_versions(found: Mapping[str, Mapping[str, str]]) -> None:
    """Hold workers' versions to this process's.

    Parameters
    ----------
    found
        For each worker's name what `versions` gave there.

    Raises
    ------
    EngineError
        One differs; the first is named.
    """
    here = versions()
    for worker, there in found.items():
        for name, wanted in here.items():
            if there[name] != wanted:
                raise EngineError(
                    f"Worker {worker} has {name} {there[name]}, and pm runs here with {wanted}.",
                    where="run.address or --address",
                    hint=_HINT,
                )


def missing(address: str, error: ImportError) -> EngineError:
    """Say that workers cannot even import what they are to run."""
    return EngineError(f"Workers of the cluster at {address} lack what pm needs: {error}.", hint=_HINT)
