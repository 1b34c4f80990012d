from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.settings import QualitySettings, load_settings
from pm.sources import Answer, Ask, SampleSource
from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD: dict[str, Any] = {
    "ticker": "A",
    "date": date(2020, 1, 2),
    "open": 10.0,
    "high": 12.0,
    "low": 9.0,
    "close": 11.0,
    "adj_close": 5.5,
    "volume": 100.0,
    "source": "test",
    "fetched_at": datetime(2020, 6, 1),  # noqa: DTZ001 - the lake's times are UTC without a zone
    "batch_id": "b1",
}


@pytest.fixture(scope="session")
def settings() -> QualitySettings:
    return load_settings().quality


@pytest.fixture(scope="session")
def landed() -> Callable[..., pl.DataFrame]:
    """Function that returns raw bars: good rows, each with some values changed, numbered in order."""

    def _landed(*changes: dict[str, Any]) -> pl.DataFrame:
        rows = [GOOD | {"row": place} | change for place, change in enumerate(changes, 1)]
        return pl.DataFrame(rows, schema=RAW_BARS.polars_schema)

    return _landed


@pytest.fixture(scope="session")
def acted() -> Callable[..., pl.DataFrame]:
    """Function that returns raw actions of (ticker, date, kind, value), with other columns changed by name."""

    def _acted(*actions: tuple[str, date, str, float | None], **changes: object) -> pl.DataFrame:
        schema = RAW_ACTIONS.polars_schema
        stamp = {name: GOOD[name] for name in ("source", "fetched_at", "batch_id")}
        rows = [
            dict(zip(("ticker", "date", "kind", "value"), action, strict=True)) | stamp | {"row": place} | changes
            for place, action in enumerate(actions, 1)
        ]
        return pl.DataFrame(rows, schema=schema)

    return _acted


@pytest.fixture(scope="session")
def sample() -> pl.DataFrame:
    """The sample data as rows of raw.bars."""
    sample = SampleSource()
    asks = [Ask(ticker, ticker, None, date(2026, 1, 1)) for ticker in sample.tickers()]
    answers = [answer.bars for answer in sample.fetch(asks) if isinstance(answer, Answer)]
    bars = pl.concat(answers).with_row_index("row", 1)
    stamped = bars.with_columns(fetched_at=pl.lit(GOOD["fetched_at"]), batch_id=pl.lit("sample"))
    return RAW_BARS.conform(stamped)
