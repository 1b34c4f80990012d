"""What tests of runs with the real language model share: the settings, a few texts, and a count of its loads."""

from __future__ import annotations

import hashlib
import multiprocessing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.llm import opening
from pm.pipeline.events import StageEnded
from pm.sources.texts import TEXTS_SCHEMA

if TYPE_CHECKING:
    import pytest

    from pm.llm.engine import Engine
    from pm.pipeline.events import Event

__all__ = ["SETTINGS", "TICKERS", "Loads", "ended", "texts"]

TICKERS = ("AAPL", "GOOG", "IBM")
SETTINGS = {
    "enabled": True, "chain": ["default"], "ollama": False, "bound_seconds": 120.0, "context_tokens": 1024,
    "batch_size": 16,
}  # fmt: skip


class Loads:
    """Counts how often the model is really loaded, and ends the process of a load at once if it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self.killed: set[int] = set()
        load = opening.load

        def counted(*arguments: Any) -> Engine:  # noqa: ANN401 - what load is given
            engine = load(*arguments)
            self.times += 1
            if self.times in self.killed:
                for process in multiprocessing.active_children():
                    if process.name == "pm-llm":
                        process.kill()
                        process.join()
            return engine

        patch.setattr(opening, "load", counted)


def texts() -> pl.DataFrame:
    rows = [
        ("AAPL", "Apple raises its dividend, and beats all forecasts", 27),
        ("AAPL", "Apple files for bankruptcy after fraud", 26),
        ("IBM", "IBM wins a large order", 25),
    ]
    frame = pl.DataFrame(
        {
            "ticker": [ticker for ticker, *_ in rows],
            "source": "files",
            "source_id": [hashlib.sha256(headline.encode()).hexdigest() for _, headline, _ in rows],
            "published_at": [datetime(2013, 2, day, 14, tzinfo=UTC) for *_, day in rows],
            "headline": [headline for _, headline, _ in rows],
        }
    )
    missing = {name: pl.lit(None, kind) for name, kind in TEXTS_SCHEMA.items() if name not in frame.columns}
    return frame.with_columns(**missing).select(pl.col(name).cast(kind) for name, kind in TEXTS_SCHEMA.items())


def ended(heard: list[Event]) -> dict[str, str]:
    return {event.stage: event.status for event in heard if isinstance(event, StageEnded)}
