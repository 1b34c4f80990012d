from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pm.workspace import init_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace without a lake."""
    return init_workspace(tmp_path / "workspace").root
