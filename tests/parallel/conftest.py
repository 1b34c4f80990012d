"""Leave out under Wine what it cannot run: the start of a cluster of Dask waits there forever; Ray was not tried."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _is_wine() -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def _starts_a_cluster(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    engine = parameters.params.get("engine") if parameters else None
    fixtures = {"dask_address", "bare_cluster"} & set(getattr(item, "fixturenames", ()))
    named = item.path.name == "test_dask.py" or any(part in item.name for part in ("dask_cluster", "ray_cluster"))
    return engine in {"dask", "ray"} or bool(fixtures) or named


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that start a cluster under Wine; on Windows itself they run."""
    if not _is_wine():
        return
    for item in items:
        if item.path.is_relative_to(HERE) and _starts_a_cluster(item):
            item.add_marker(pytest.mark.skip(reason="a cluster of Dask or Ray does not start under Wine"))
