from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.quality import check_bars, flag_odd_bars
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.settings import QualitySettings

    Landed = Callable[..., pl.DataFrame]

TODAY = date(2025, 1, 1)
SETTLED = [  # of case settle-outside-range: open, high, low, settlement
    (447.0, 449.25, 443.5, 443.25),
    (443.25, 444.0, 440.5, 443.5),
    (443.5, 446.0, 441.75, 446.25),
    (446.0, 447.0, 442.0, 444.0),
]


def test_a_settlement_outside_the_range_is_kept_and_flagged(landed: Landed, settings: QualitySettings) -> None:
    changes: list[dict[str, Any]] = [
        {"date": date(2024, 1, 15) + timedelta(day), "adj_close": None}
        | dict(zip(("open", "high", "low", "close"), prices, strict=True))
        for day, prices in enumerate(SETTLED)
    ]
    raw = landed(*changes)
    good = check_bars(raw, today=TODAY, settings=settings).good
    assert good["close"].to_list() == [prices[3] for prices in SETTLED]
    bars = good.with_columns(adj_factor=pl.lit(1.0))
    flags = flag_odd_bars(bars, unusable=raw, exchanges={})
    assert flags.select("date", "rule").rows() == [(date(2024, 1, day), "range_dropped") for day in (15, 17)]
    assert flags["value"].to_list() == pytest.approx([0.25 / 443.25, 0.25 / 446.25])
    assert (
        flags["detail"][0]
        == "High 449.25 and low 443.5 contradict open 447.0 and close 443.25: only the close is used."
    )


def test_a_bar_on_a_day_without_a_session_is_flagged() -> None:
    days = [date(2024, 1, day) for day in (8, 9, 10, 11, 12, 14, 15, 21)]  # the 8th is a holiday, 14 and 21 Sundays
    bars = pl.DataFrame(
        [{"ticker": ticker, "date": day, "close": 1.0} for ticker in ("7203.T", "OTHER") for day in days],
        schema=BARS.polars_schema,
    )
    none = RAW_BARS.polars_schema.to_frame()
    flags = flag_odd_bars(bars, unusable=none, exchanges={"7203.T": "XTKS"})
    assert flags.select("ticker", "rule", pl.col("date").dt.day()).rows() == [
        ("7203.T", "no_session", day) for day in (8, 14, 21)
    ]
    assert flags["detail"][1] == "XTKS has no session on 2024-01-14, a Sunday."
    old = bars.with_columns(date=date(1700, 1, 3))  # before the calendar begins
    assert flag_odd_bars(old, unusable=none, exchanges={"7203.T": "XTKS"}).is_empty()


def test_a_file_without_a_column_of_opens_is_no_oddity_of_each_bar(landed: Landed, settings: QualitySettings) -> None:
    days = [date(2024, 1, day) for day in (2, 3, 4, 5, 8)]
    # a file of one bar a ticker, and one whose opens lack once
    rows: list[dict[str, Any]] = [
        {"ticker": f"CLOSED{n}", "date": days[0], "open": None, "batch_id": "b2"} for n in range(5)
    ]
    rows += [{"ticker": "ONCE", "date": day} | ({"open": None} if day == days[1] else {}) for day in days]
    raw = landed(*rows)
    bars = check_bars(raw, today=TODAY, settings=settings).good.with_columns(adj_factor=pl.lit(1.0))
    unusable = raw.filter(pl.col("open").is_null())
    flags = flag_odd_bars(bars, unusable=unusable, exchanges={})
    assert flags.select("ticker", "date", "rule").rows() == [("ONCE", days[1], "range_dropped")]
