from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Protocol

import polars as pl
import pytest

from pm.errors import InputError
from pm.sources import BARS_SCHEMA, inspect_file, read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Write(Protocol):
    def __call__(self, name: str, content: str | bytes) -> Path: ...


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Function that writes a file, compressed if its name ends in .gz, and returns its path."""

    def _write(name: str, content: str | bytes) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return _write


@pytest.fixture
def bars_of() -> Callable[[Path], pl.DataFrame]:
    """Function that reads a whole file."""

    def _bars_of(path: Path) -> pl.DataFrame:
        return pl.concat([BARS_SCHEMA.to_frame(), *read_file(inspect_file(path))])

    return _bars_of


@pytest.fixture
def refusal(write: Write, bars_of: Callable[[Path], pl.DataFrame]) -> Callable[[str, str | bytes], InputError]:
    """Function that returns the error of reading a file with this content, which must have its three parts."""

    def _refusal(name: str, content: str | bytes) -> InputError:
        path = write(name, content)
        with pytest.raises(InputError) as caught:
            bars_of(path)
        assert caught.value.what
        assert str(path) in caught.value.where
        assert caught.value.hint
        return caught.value

    return _refusal
