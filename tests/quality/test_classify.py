from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.quality import adjustment_factors, classify
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    Landed = Callable[..., pl.DataFrame]

STAMP = ["run_id", "snapshot_id", "cutoff"]
COMPARED = ("open", "high", "low", "close", "volume", "adj_factor")
RESTATED = COMPARED[:-1]
DELIVERED = datetime(2020, 6, 1)  # noqa: DTZ001 - the lake's times are UTC without a zone


def nothing() -> pl.DataFrame:
    return BARS.polars_schema.to_frame()


def factored(raw: pl.DataFrame) -> pl.DataFrame:
    return adjustment_factors(raw, RAW_ACTIONS.polars_schema.to_frame())


def delivery(number: int, **change: object) -> dict[str, object]:
    return {"batch_id": f"b{number}", "fetched_at": DELIVERED + timedelta(days=number)} | change


def apply(current: pl.DataFrame, good: pl.DataFrame) -> pl.DataFrame:
    """Write what changed, as the lake does."""
    changed = classify(good, current)
    kept = current.drop(STAMP, strict=False).join(changed.updated, on=["ticker", "date"], how="anti")
    return pl.concat([kept, changed.updated, changed.inserted])


def test_new_bars_are_inserted(landed: Landed) -> None:
    good = factored(landed({}, {"ticker": "B"}))
    changed = classify(good, nothing())
    assert changed.inserted.equals(good.drop("adj_close").select(changed.inserted.columns))
    assert changed.updated.is_empty()
    assert changed.restatements.is_empty()
    assert changed.counts.rows() == [("b1", 2, 0, 0)]


def test_columns_are_those_of_the_tables_except_their_stamp(landed: Landed) -> None:
    changed = classify(factored(landed({}, delivery(2, close=11.5))), nothing())
    for frame, name in (
        (changed.inserted, "bars"),
        (changed.updated, "bars"),
        (changed.restatements, "restatements"),
    ):
        expected = {column: dtype for column, dtype in TABLES[name].polars_schema.items() if column not in STAMP}
        assert dict(frame.schema) == expected


def test_an_equal_bar_is_unchanged_and_keeps_its_first_batch(landed: Landed) -> None:
    current = classify(factored(landed({})), nothing()).inserted
    # as near as rounding in the seventh digit
    changed = classify(factored(landed(delivery(2, close=11.0 * (1 + 6e-8)))), current)
    assert changed.counts.rows() == [("b2", 0, 0, 1)]
    assert changed.inserted.is_empty()
    assert changed.updated.is_empty()


@pytest.mark.parametrize(("field", "value"), [("open", 10.5), ("high", 13.0), ("low", 8.0), ("volume", 7.0)])
def test_a_changed_price_or_volume_is_a_restatement(landed: Landed, field: str, value: float) -> None:
    raw = landed({}, delivery(2) | {field: value})
    current = classify(factored(raw.head(1)), nothing()).inserted
    changed = classify(factored(raw.tail(1)), current)
    assert changed.counts.rows() == [("b2", 0, 1, 0)]
    assert changed.updated[field].to_list() == [value]
    assert changed.updated["batch_id"].to_list() == ["b2"]
    assert changed.restatements.rows(named=True) == [
        {
            "ticker": "A",
            "date": date(2020, 1, 2),
            "field": field,
            "kind": "correction",
            "old_value": raw[field][0],
            "new_value": value,
            "first_seen": DELIVERED,
            "seen_at": DELIVERED + timedelta(days=2),
            "old_batch_id": "b1",
            "new_batch_id": "b2",
        }
    ]


def test_a_changed_factor_is_an_update_and_not_a_restatement(landed: Landed) -> None:
    current = classify(factored(landed({})), nothing()).inserted
    changed = classify(factored(landed(delivery(2, adj_close=5.0))), current)
    assert changed.counts.rows() == [("b2", 0, 1, 0)]
    assert changed.restatements.is_empty()


def test_of_several_batches_the_one_fetched_last_is_used(landed: Landed) -> None:
    good = factored(landed(delivery(3, close=11.7), delivery(1, close=11.5), delivery(2, close=11.5)))
    changed = classify(good, nothing())
    assert changed.inserted.select("close", "batch_id").rows() == [(11.7, "b3")]
    assert sorted(changed.counts.rows()) == [("b1", 1, 0, 0), ("b2", 0, 0, 1), ("b3", 0, 1, 0)]
    # the old value is as old as the batch that first said it
    restated = changed.restatements.select("old_value", "new_value", "old_batch_id", "new_batch_id", "first_seen")
    assert restated.rows() == [(11.5, 11.7, "b1", "b3", DELIVERED + timedelta(days=1))]


def test_a_value_that_changes_and_changes_back_is_restated_twice(landed: Landed) -> None:
    current = classify(factored(landed({})), nothing()).inserted
    changed = classify(factored(landed(delivery(1, close=11.5, adj_close=5.75), delivery(2))), current)
    assert changed.updated["close"].to_list() == [11.0]
    assert changed.restatements.select("old_value", "new_value").rows() == [(11.0, 11.5), (11.5, 11.0)]
    assert changed.counts["updated"].sum() == 2


def test_a_bar_of_a_close_alone_takes_nothing_back_unless_the_close_differs(landed: Landed) -> None:
    current = classify(factored(landed({})), nothing()).inserted
    alone = dict.fromkeys(("open", "high", "low", "volume"))
    assert classify(factored(landed(delivery(2) | alone)), current).counts.rows() == [("b2", 0, 0, 1)]
    changed = classify(factored(landed(delivery(2, close=11.5, adj_close=5.75) | alone)), current)
    assert changed.updated.select("volume", "close").rows() == [(None, 11.5)]
    assert set(changed.restatements["field"]) == {"open", "high", "low", "close", "volume"}


def test_nothing_landed(landed: Landed) -> None:
    current = classify(factored(landed({})), nothing()).inserted
    changed = classify(factored(landed()), current)
    assert changed.counts.is_empty()
    assert changed.inserted.is_empty()
    assert changed.updated.is_empty()


def test_the_sample_data_are_inserted_once(sample: pl.DataFrame) -> None:
    good = factored(sample)
    bars = apply(nothing(), good)
    assert bars.height == sample.height
    again = classify(good.with_columns(batch_id=pl.lit("again")).sample(fraction=1, shuffle=True, seed=1), bars)
    assert again.counts.rows() == [("again", 0, 0, sample.height)]


def written(bars: pl.DataFrame, decimals: int | None, adj_decimals: int | None = None) -> pl.DataFrame:
    """Return the precision of the batches of some rows."""
    return (
        bars.select("batch_id")
        .unique()
        .with_columns(decimals=pl.lit(decimals, pl.Int64), adj_decimals=pl.lit(adj_decimals, pl.Int64))
    )


def test_closes_written_with_fewer_decimals_are_unchanged(landed: Landed) -> None:
    long, short = landed({"close": 11.0049, "adj_close": 5.50245}), landed(delivery(2, close=11.0, adj_close=5.5))
    precision = pl.concat([written(long, 4, 6), written(short, 2, 2)])
    changed = classify(factored(short), classify(factored(long), nothing()).inserted, batches=precision)
    assert changed.counts["unchanged"].to_list() == [1]
    # more decimals than before are more knowledge
    changed = classify(factored(long), classify(factored(short), nothing()).inserted, batches=precision)
    assert changed.updated["close"].to_list() == [11.0049]
    # a cent more is a restatement, and so is the same difference between files of four decimals
    further = landed(delivery(4, close=11.01, adj_close=5.51))
    precision = pl.concat([written(long, 4, 6), written(further, 2, 2)])
    current = classify(factored(long), nothing()).inserted
    assert classify(factored(further), current, batches=precision).counts["updated"].to_list() == [1]
    assert classify(factored(short), current).restatements["field"].to_list() == ["close"]


def test_changes_too_small_to_count_add_up(landed: Landed) -> None:
    drift = [11.0 * (1 + 6e-7) ** night for night in range(100)]
    rows = [
        delivery(night, batch_id=f"b{night:03}", row=1, close=close, adj_close=None)
        for night, close in enumerate(drift)
    ]
    current = nothing()
    for row in rows:
        current = apply(current, factored(landed(row)))
        assert current["close"][0] == pytest.approx(row["close"], rel=1.01e-6)
    assert_frame_equal(classify(factored(landed(*rows)), nothing()).inserted, current)


noisy_row = st.tuples(st.integers(0, 3), st.integers(-30, 30), st.integers(0, 1))
noisy = st.lists(st.lists(noisy_row, max_size=6, unique_by=lambda row: row[0]), max_size=7)


@given(noisy, st.lists(st.integers(0, 7), max_size=4))
@hypothesis_settings(deadline=None)
def test_the_outcome_does_not_depend_on_how_deliveries_are_cut(
    landed: Landed, deliveries: list[list[tuple[int, int, int]]], cuts: list[int]
) -> None:
    raw = [
        landed(
            *(
                delivery(night, batch_id=f"b{night:02}", adj_close=None)
                | {"date": date(2020, 1, 2 + day), "close": round(11 * (1 + noise * 1e-7), 2 if coarse else 9)}
                for day, noise, coarse in rows
            )
        )
        for night, rows in enumerate(deliveries)
    ]
    filled = [rows for rows in raw if rows.height]
    precision = pl.concat(
        [written(landed().clear(), None), *(written(rows, 2 if n % 3 else None) for n, rows in enumerate(filled))]
    )
    edges = [0, *sorted(min(cut, len(filled)) for cut in cuts), len(filled)]
    current, counts, restated = nothing(), [], []
    for start, end in pairwise(edges):
        if start < end:
            changed = classify(factored(pl.concat(filled[start:end])), current, batches=precision)
            counts.append(changed.counts)
            restated.append(changed.restatements)
            kept = current.drop(STAMP, strict=False).join(changed.updated, on=["ticker", "date"], how="anti")
            current = pl.concat([kept, changed.updated, changed.inserted])
    if filled:
        whole = classify(factored(pl.concat(filled)), nothing(), batches=precision)
        assert_frame_equal(current, whole.inserted, check_row_order=False)
        assert_frame_equal(pl.concat(counts), whole.counts, check_row_order=False)
        assert_frame_equal(pl.concat(restated), whole.restatements, check_row_order=False)


value = st.sampled_from([10.0, 11.0, None])
bar = st.fixed_dictionaries(
    {
        "ticker": st.sampled_from(["A", "B", "AA"]),
        "date": st.sampled_from([date(2020, 1, 2), date(2020, 1, 3)]),
        "open": value,
        "volume": value,
        "close": st.sampled_from([10.0, 11.0]),
        "adj_close": st.sampled_from([5.0, 10.0]),
        "batch": st.integers(1, 4),
    }
)


@given(st.lists(bar, max_size=15, unique_by=lambda bar: (bar["ticker"], bar["date"], bar["batch"])), st.integers(0, 4))
@hypothesis_settings(deadline=None)
def test_the_classification_is_that_of_a_plain_dictionary(
    landed: Landed, bars: list[dict[str, Any]], split: int
) -> None:
    rows = [delivery(bar["batch"]) | {name: bar[name] for name in bar if name != "batch"} for bar in bars]
    good = factored(landed(*rows)).sort("row")
    earlier, later = (good.filter(pl.col("batch_id") <= f"b{split}"), good.filter(pl.col("batch_id") > f"b{split}"))
    current = apply(nothing(), earlier)
    changed = classify(later, current)
    lake = {(line["ticker"], line["date"]): line for line in current.iter_rows(named=True)}
    known = set(lake)
    counts: dict[str, list[int]] = {}
    restated = set()
    for line in later.sort("fetched_at", "row").iter_rows(named=True):
        key, count = (line["ticker"], line["date"]), counts.setdefault(line["batch_id"], [0, 0, 0])
        before = lake.get(key)
        if before is None:
            count[0] += 1
        elif all(line[name] is None or before[name] == line[name] for name in COMPARED):
            count[2] += 1
            continue
        else:
            count[1] += 1
            restated |= {
                (*key, name, before[name], line[name], before["batch_id"], line["batch_id"])
                for name in RESTATED
                if before[name] != line[name]
            }
        lake[key] = line
    assert {batch: list(count) for batch, *count in changed.counts.rows()} == counts
    assert set(changed.inserted.select("ticker", "date").rows()) == set(lake) - known
    assert set(changed.updated.select("ticker", "date").rows()) <= known
    written = changed.restatements.select(
        "ticker", "date", "field", "old_value", "new_value", "old_batch_id", "new_batch_id"
    ).rows()
    assert len(written) == len(set(written))
    assert set(written) == restated
    for line in apply(current, later).iter_rows(named=True):
        assert line == {name: lake[line["ticker"], line["date"]][name] for name in line}
    assert apply(current, later).height == len(lake)


@pytest.mark.parametrize(
    ("changed", "days", "kinds"),
    [
        ({"volume": 500.0}, 1, {"late_volume"}),
        ({"volume": 500.0}, 10, {"correction"}),
        ({"volume": 500.0, "close": 11.5}, 1, {"correction"}),
    ],
)
def test_a_volume_that_is_completed_soon_is_late(
    landed: Landed, changed: dict[str, float], days: int, kinds: set[str]
) -> None:
    first = datetime(2020, 1, 2, 22) + timedelta(days=days - 1)  # noqa: DTZ001 - UTC without a zone
    raw = landed({"fetched_at": first}, {"batch_id": "b2", "fetched_at": first + timedelta(days=1)} | changed)
    current = classify(factored(raw.head(1)), nothing()).inserted
    restated = classify(factored(raw.tail(1)), current).restatements
    assert set(restated["kind"]) == kinds
