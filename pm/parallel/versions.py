"""Check that workers have the versions of this process: another version of a library can give other last digits."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from pm.errors import EngineError
from pm.settings import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["check_versions", "installed_versions", "unusable_workers"]

_HINT = "install the same versions on every machine: python -m pip install -c constraints.txt portfolio-maximizer"


def installed_versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Return the versions in this process of Python (major and minor), portfolio-maximizer and distributions.

    Parameters
    ----------
    packages
        Names of distributions. The version of one that is not installed is None.
    """
    found: dict[str, str | None] = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("portfolio-maximizer", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def check_versions(workers: Mapping[str, Mapping[str, str | None]], packages: Sequence[str]) -> None:
    """Check that the versions of workers are those of this process.

    Parameters
    ----------
    workers
        Result of `installed_versions` on each worker, by the worker's name.
    packages
        Names of the distributions to check.

    Raises
    ------
    EngineError
        A version differs or a distribution is missing; the message has the first difference.
    """
    expected = installed_versions(packages)
    for worker, found in workers.items():
        for name, here in expected.items():
            if found[name] != here:
                there = f"{name} {found[name]}" if found[name] else f"no {name}"
                raise EngineError(
                    f"Worker {worker} has {there}, but pm runs here with {here or 'none'}.",
                    where="run.address or --address",
                    hint=_HINT,
                )


def unusable_workers(address: str, error: Exception) -> EngineError:
    """Return the error for workers that cannot import what they are to run."""
    what = f"Workers of the cluster at {address} cannot import what pm needs: {error}."
    return EngineError(redact_credentials(what), hint=_HINT)
