from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.lake import Lake
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.settings import LakeSettings


@pytest.fixture(scope="session")
def settings() -> LakeSettings:
    return load_settings().lake.model_copy(
        update={"retry_base_seconds": 0.02, "wait_seconds": 0, "expire_after_days": 30, "threads": 1}
    )


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory, settings: LakeSettings) -> Path:
    """A lake without rows, created once."""
    root = tmp_path_factory.mktemp("pristine") / "lake"
    Lake(root, settings, TABLES, views=[sql_dir()]).close()
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A folder with an empty lake of the test's own. It was moved there, as a user moves a workspace."""
    return shutil.copytree(pristine, tmp_path / "lake")


@pytest.fixture
def lake(root: Path, settings: LakeSettings) -> Iterator[Lake]:
    with Lake(root, settings, TABLES) as opened:
        yield opened


@pytest.fixture(scope="session")
def rows() -> Callable[..., pl.DataFrame]:
    """Function that returns rows as a table's frame, `rows("raw.bars", {"ticker": "A"})`; missing values are null."""

    def frame(name: str, *values: dict[str, Any]) -> pl.DataFrame:
        schema = TABLES[name].polars_schema
        return pl.DataFrame([{column: row.get(column) for column in schema} for row in values], schema=schema)

    return frame
