from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.quality import check_bars, flag_odd_bars
from pm.settings import load_settings
from pm.tables.quality import QUARANTINE
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.settings import QualitySettings

    Landed = Callable[..., pl.DataFrame]

TODAY = date(2020, 6, 1)
NAN, INF = math.nan, math.inf
NUMBERS = ("open", "high", "low", "close", "adj_close", "volume")


def test_a_row_that_breaks_rules_is_refused_with_their_names(landed: Landed, settings: QualitySettings) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ticker": None}, "missing_ticker"),
        ({"ticker": ""}, "missing_ticker"),
        ({"date": None}, "missing_date"),
        ({"close": None}, "missing_close"),
        ({"volume": NAN}, "not_finite"),
        ({"volume": INF}, "not_finite"),
        ({"high": INF}, "not_finite"),
        ({"close": 0.0, "low": 0.0, "adj_close": None}, "non_positive_price"),
        ({"low": -9.0}, "non_positive_price"),
        ({"open": 0.0, "close": 14.0}, "high_too_low"),
        ({"open": 9.5, "high": 9.6}, "high_too_low"),
        ({"open": 13.0, "low": 12.5, "high": 13.5}, "low_too_high"),
        ({"open": 4.0, "high": 3.0}, "high_too_low,low_too_high"),
        ({"adj_close": 0.0}, "bad_adj_close"),
        ({"adj_close": -1.0}, "bad_adj_close"),
        ({"adj_close": 1e11}, "bad_adj_close"),
        ({"adj_close": 1e-9}, "bad_adj_close"),
        ({"volume": -1.0}, "negative_volume"),
        ({"date": date(2020, 6, 2)}, "future_date"),
        ({"ticker": None, "date": None, "close": None}, "missing_ticker,missing_date,missing_close"),
        ({"close": -1.0, "volume": -1.0}, "non_positive_price,low_too_high,bad_adj_close,negative_volume"),
    ]
    for change, rules in cases:
        raw = landed({"ticker": "B"}, change, {"ticker": "C"})
        checked = check_bars(raw, today=TODAY, settings=settings)
        assert checked.good["row"].to_list() == [1, 3], change
        assert checked.refused.select("batch_id", "row", "rule").rows() == [("b1", 2, rules)], change


def test_a_row_that_breaks_no_rule_is_good(landed: Landed, settings: QualitySettings) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"open": None, "high": None, "low": None},
        {"adj_close": None},
        {"volume": None},
        {"volume": 0.0},
        {"date": TODAY},
        # rounded by the vendor: within a ten-thousandth
        {"high": 11.0 * (1 - 0.9e-4), "open": 10.0},
        {"low": 10.0 * (1 + 0.9e-4)},
        {"open": 11.0, "high": 11.0, "low": 11.0},
        # a reverse split of a million to one
        {"adj_close": 1.1e7},
    ]
    for change in changes:
        raw = landed(change)
        checked = check_bars(raw, today=TODAY, settings=settings)
        assert checked.refused.is_empty(), change
        assert checked.good.equals(raw), change


def test_a_close_is_kept_without_a_range_that_lacks_a_price(landed: Landed, settings: QualitySettings) -> None:
    cases: list[dict[str, Any]] = [
        {"open": 0.0},
        {"open": None},
        {"high": None, "low": None},
        {"high": 0.0, "low": 0.0},
        {"open": 0.0, "high": 0.0, "low": 0.0},
        {"open": None, "low": 0.0},
    ]
    for change in cases:
        raw = landed(change)
        checked = check_bars(raw, today=TODAY, settings=settings)
        assert checked.good.equals(landed(change | {"open": None, "high": None, "low": None})), change
        flags = flag_odd_bars(checked.good.with_columns(adj_factor=pl.lit(1.0)), unusable=raw, exchanges={})
        assert flags.select("rule", "value").rows() == [("range_dropped", 0.0)], change
        assert flags["detail"][0].endswith("lack a price: only the close 11.0 is used.")


def test_of_equal_rows_the_first_is_kept(landed: Landed, settings: QualitySettings) -> None:
    checked = check_bars(landed({}, {}, {"ticker": "B"}, {}), today=TODAY, settings=settings)
    assert sorted(checked.good["row"]) == [1, 3]
    assert checked.refused.select("row", "rule").sort("row").rows() == [(2, "duplicate"), (4, "duplicate")]


def test_of_rows_that_contradict_each_other_none_is_kept(landed: Landed, settings: QualitySettings) -> None:
    cases = [
        ("open", 10.5),
        ("high", 13.0),
        ("low", 8.0),
        ("close", 11.5),
        ("adj_close", 6.0),
        ("adj_close", None),
    ]
    for name, other in cases:
        checked = check_bars(landed({}, {name: other}, {}), today=TODAY, settings=settings)
        assert checked.good.is_empty(), (name, other)
        assert checked.refused["rule"].to_list() == ["conflicting_duplicate"] * 3, (name, other)


def test_of_rows_with_equal_prices_the_latest_volume_is_kept(landed: Landed, settings: QualitySettings) -> None:
    day = {"date": date(2020, 1, 3)}
    for rows, kept in (
        ([{}, {**day, "volume": 5.0}, {**day, "volume": 6.0}], 3),
        ([{}, {**day, "volume": 5.0}, {**day, "volume": 6.0}, {**day, "volume": 5.0}], 4),
        ([{}, {**day, "volume": 5.0}, {**day, "volume": None}], 2),
        # newest first: the row of the day that goes on stands above
        ([{**day, "volume": 6.0}, {**day, "volume": 5.0}, {}], 1),
    ):
        checked = check_bars(landed(*rows), today=TODAY, settings=settings)
        assert checked.good.filter(**day)["row"].to_list() == [kept]
        assert set(checked.refused["rule"]) == {"earlier_volume"}
        assert checked.good.height + checked.refused.height == len(rows)


def test_a_refused_row_is_not_compared_with_other_rows(landed: Landed, settings: QualitySettings) -> None:
    checked = check_bars(landed({"close": -1.0}, {}), today=TODAY, settings=settings)
    assert checked.good["row"].to_list() == [2]


def test_a_bar_of_a_later_batch_is_not_a_duplicate(landed: Landed, settings: QualitySettings) -> None:
    raw = landed({}, {"batch_id": "b2"}, {"batch_id": "b3", "close": 10.5})
    assert check_bars(raw, today=TODAY, settings=settings).good.equals(raw)


def test_nothing_landed(landed: Landed, settings: QualitySettings) -> None:
    checked = check_bars(landed(), today=TODAY, settings=settings)
    assert checked.good.schema == RAW_BARS.polars_schema
    quarantine = QUARANTINE.polars_schema
    assert list(checked.refused.schema.items()) == list(quarantine.items())[:6]
    assert checked.good.is_empty()
    assert checked.refused.is_empty()


def test_all_rows_of_the_sample_data_are_good(sample: pl.DataFrame, settings: QualitySettings) -> None:
    checked = check_bars(sample, today=TODAY, settings=settings)
    assert checked.good.equals(sample)


def test_a_close_near_a_range_that_contradicts_it_is_kept_without_the_range(
    landed: Landed, settings: QualitySettings
) -> None:
    # A settlement outside the range, a high or a low that is wrong by a cent, columns that were swapped.
    changes = [{"close": 12.5}, {"close": 8.9}, {"high": 10.99}, {"low": 10.01}, {"high": 9.0, "low": 12.0}]
    rows = [change | {"ticker": str(place)} for place, change in enumerate([*changes, {}])]
    checked = check_bars(landed(*rows), today=TODAY, settings=settings)
    assert checked.refused.is_empty()
    ranges = checked.good.select("open", "high", "low").rows()
    assert ranges == [(None, None, None)] * len(changes) + [(10.0, 12.0, 9.0)]
    assert checked.good["close"].to_list() == [12.5, 8.9, 11.0, 11.0, 11.0, 11.0]


def test_without_tolerance_the_range_of_rounded_prices_is_dropped(landed: Landed, settings: QualitySettings) -> None:
    raw = landed({"high": 11.0 * (1 - 1e-9)})
    strict = settings.model_copy(update={"price_tolerance": 0.0})
    assert check_bars(raw, today=TODAY, settings=strict).good["high"].to_list() == [None]
    assert check_bars(raw, today=TODAY, settings=settings).good["high"].to_list() == [11.0 * (1 - 1e-9)]


price = st.sampled_from([1.0, 2.0, 0.1 + 0.2, 1e300, 5e-324, 0.0, -1.0, NAN, INF, -INF, None])
row = st.fixed_dictionaries(
    dict.fromkeys(NUMBERS, price)
    | {
        "ticker": st.sampled_from(["A", "B", "", None, '"open":null', 'q"\\\n\u20ac']),
        "date": st.sampled_from([date(2020, 1, 2), date(2020, 1, 3), date(2021, 1, 1), None]),
        "batch_id": st.sampled_from(["b1", "b2"]),
    }
) | st.fixed_dictionaries({"ticker": st.sampled_from(["A", "B"]), "close": st.sampled_from([10.0, 11.0])})


def _same(value: object, written: object) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return isinstance(written, str) and (
            math.isnan(float(written)) if math.isnan(value) else float(written) == value
        )
    if isinstance(value, datetime):
        return datetime.fromisoformat(str(written)) == value
    if isinstance(value, date):
        return date.fromisoformat(str(written)) == value
    return value == written


@given(st.lists(row, max_size=12))
@hypothesis_settings(max_examples=200, deadline=None)
def test_every_row_is_good_or_refused_and_its_json_has_its_values(landed: Landed, rows: list[dict[str, Any]]) -> None:
    raw = landed(*rows)
    checked = check_bars(raw, today=TODAY, settings=load_settings().quality)
    accounted = [*checked.good["row"], *checked.refused["row"]]
    assert sorted(accounted) == raw["row"].to_list()
    assert set(checked.good["row"]) == _good_rows(raw)
    by_row = {line["row"]: line for line in raw.iter_rows(named=True)}
    tolerance = load_settings().quality.price_tolerance
    for line in checked.good.iter_rows(named=True):
        sent = by_row[line["row"]]
        dropped = dict.fromkeys(("open", "high", "low")) if _lacks_range(sent, tolerance) else {}
        assert line == sent | dropped
    for refused in checked.refused.iter_rows(named=True):
        assert refused["rule"]
        original = json.loads(refused["original"], parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        assert original.keys() == raw.schema.keys()
        assert all(_same(value, original[name]) for name, value in by_row[refused["row"]].items())


def _contradicts(bar: dict[str, Any], tolerance: float) -> bool:
    """Return whether a known high or low contradicts the prices of its bar that are known."""
    prices = [bar[name] for name in ("open", "high", "low", "close") if bar[name]]
    high, low = bar["high"], bar["low"]
    return bool((high and high < max(prices) * (1 - tolerance)) or (low and low > min(prices) * (1 + tolerance)))


def _lacks_range(bar: dict[str, Any], tolerance: float) -> bool:
    """Return whether some of open, high and low are sent, and they cannot be used."""
    sent = [bar[name] for name in ("open", "high", "low")]
    return _contradicts(bar, tolerance) or (any(price is not None for price in sent) and not all(sent))


def _good_rows(raw: pl.DataFrame) -> set[int]:
    """Return which rows are good, by a plain loop."""
    tolerance = load_settings().quality.price_tolerance
    passed: dict[tuple[str, str, date], list[dict[str, Any]]] = {}
    for bar in raw.iter_rows(named=True):
        if not bar["ticker"] or bar["date"] is None or bar["date"] > TODAY or bar["close"] is None:
            continue
        if any(bar[name] is not None and not math.isfinite(bar[name]) for name in NUMBERS):
            continue
        known = [bar[name] for name in ("open", "high", "low") if bar[name]]
        if bar["close"] <= 0 or any(price < 0 for price in known):
            continue
        if _contradicts(bar, tolerance) and not min(known) * 0.9 <= bar["close"] <= max(known) * 1.1:
            continue
        if bar["volume"] is not None and bar["volume"] < 0:
            continue
        factor = 1.0 if bar["adj_close"] is None else bar["adj_close"] / bar["close"]
        if not 1e-9 <= factor <= 1e9:
            continue
        passed.setdefault((bar["batch_id"], bar["ticker"], bar["date"]), []).append(bar)
    return {row for group in passed.values() if (row := _kept(group, passed)) is not None}


def _kept(group: list[dict[str, Any]], passed: dict[tuple[str, str, date], list[dict[str, Any]]]) -> int | None:
    """Return which of a batch's rows of a ticker and date is good: one of those that are equal but for the volume."""
    if len({tuple(bar[name] for name in NUMBERS if name != "volume") for bar in group}) > 1:
        return None
    if len({bar["volume"] for bar in group}) == 1:
        return int(group[0]["row"])
    key = (group[0]["batch_id"], group[0]["ticker"])
    rows = sorted((bar["row"], bar["date"]) for name, bars in passed.items() if name[:2] == key for bar in bars)
    newest_first = rows[0][1] > rows[-1][1]
    return int([bar for bar in group if bar["volume"] is not None][0 if newest_first else -1]["row"])
