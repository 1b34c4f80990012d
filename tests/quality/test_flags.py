from __future__ import annotations

import math
import statistics
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.errors import SettingsError
from pm.quality import adjustment_factors, classify, flag_bars
from pm.sessions import sessions_between
from pm.settings import load_settings
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE, REBASINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pm.settings import QualitySettings

    Acted = Callable[..., pl.DataFrame]

SESSIONS = sessions_between("XNYS", date(2019, 1, 1), date(2020, 12, 31))


def bars_of(closes: Mapping[str, list[float]], days: list[date] = SESSIONS, factor: float = 1.0) -> pl.DataFrame:
    """Return close-only bars of each ticker, from the first of the days on."""
    rows = [
        {"ticker": ticker, "date": day, "close": close, "adj_factor": factor}
        for ticker, values in closes.items()
        for day, close in zip(days, values, strict=False)
    ]
    return pl.DataFrame(rows, schema=BARS.polars_schema)


def wandering(length: int, sigma: float = 0.01, seed: int = 0) -> list[float]:
    steps = np.random.default_rng(seed).normal(0, sigma, length)
    return [float(value) for value in 50 * np.exp(np.cumsum(steps))]


def flagged(
    bars: pl.DataFrame,
    settings: QualitySettings,
    actions: pl.DataFrame,
    **exchanges: str,
) -> list[tuple[str, date, str, float]]:
    flags = flag_bars(
        bars,
        actions=actions,
        rebasings=REBASINGS.polars_schema.to_frame(),
        refused=QUARANTINE.polars_schema.to_frame(),
        exchanges=exchanges,
        settings=settings,
    )
    assert list(flags.schema.items()) == list(BAR_FLAGS.polars_schema.items())[:5]
    assert flags["detail"].null_count() == 0
    # A closes-only jump near a whole ratio is a likely split too: see test_splits.py.
    return flags.filter(pl.col("rule") != "split").select("ticker", "date", "rule", "value").rows()


def test_the_sample_data_have_one_flag_on_apples_worst_day(
    sample: pl.DataFrame, settings: QualitySettings, acted: Acted
) -> None:
    bars = classify(adjustment_factors(sample, acted()), BARS.polars_schema.to_frame()).inserted
    assert bars.height == sample.height
    exchanges = dict.fromkeys(sample["ticker"].unique(), "XNYS")
    (flag,) = flagged(bars, settings, acted(), **exchanges)
    assert flag[:3] == ("AAPL", date(2000, 9, 29), "jump")
    # as traded, from 53.50 to 25.75
    assert flag[3] == pytest.approx(25.75 / 53.50 - 1, abs=1e-3)


@pytest.mark.parametrize("factor", [1.5, 1 / 2, 100.0, 0.01])
def test_a_jump_up_or_down_is_flagged(settings: QualitySettings, acted: Acted, factor: float) -> None:
    closes = wandering(300)
    jumped = closes[:200] + [close * factor for close in closes[200:]]
    (flag,) = flagged(bars_of({"A": jumped, "B": closes}), settings, acted())
    assert flag[:3] == ("A", SESSIONS[200], "jump")
    assert flag[3] == pytest.approx(jumped[200] / jumped[199] - 1)


def test_a_large_move_of_a_volatile_ticker_is_not_flagged(settings: QualitySettings, acted: Acted) -> None:
    closes = wandering(300, sigma=0.2)
    moves = [abs(new / old - 1) for old, new in pairwise(closes)]
    assert max(moves) > settings.jump_return
    assert flagged(bars_of({"A": closes}), settings, acted()) == []


def test_an_unusual_move_that_is_small_in_percent_is_not_flagged(settings: QualitySettings, acted: Acted) -> None:
    closes = wandering(300, sigma=0.0001)
    jumped = closes[:200] + [close * 1.3 for close in closes[200:]]
    assert flagged(bars_of({"A": jumped}), settings, acted()) == []


def test_a_jump_that_an_action_makes_is_flagged(settings: QualitySettings, acted: Acted) -> None:
    """A split was told, and then the vendor sent all closes anew, adjusted for it: it counts twice."""
    bars = bars_of({"A": wandering(300)}).with_columns(
        adj_factor=pl.when(pl.col("date") < SESSIONS[200]).then(0.25).otherwise(1.0)
    )
    (flag,) = flagged(bars, settings, acted(("A", SESSIONS[200], "split", 4.0)))
    assert flag[:3] == ("A", SESSIONS[200], "jump")
    assert flag[3] == pytest.approx(3.0, rel=0.05)


def test_dividends_that_the_closes_do_not_show_are_flagged_once(settings: QualitySettings, acted: Acted) -> None:
    dates = [SESSIONS[place] for place in (50, 100, 150)]
    of_file = acted(*(("A", day, "dividend", 0.3) for day in dates), ("B", dates[0], "dividend", 0.3))
    bars = bars_of({"A": wandering(300), "B": wandering(300)})
    factored = bars.with_columns(
        adj_factor=pl.when(pl.col("ticker") == "B", pl.col("date") < dates[0]).then(0.994).otherwise(1.0)
    )
    assert flagged(factored, settings, of_file) == [("A", dates[-1], "dividends_left_out", 3.0)]
    assert flagged(factored, settings, of_file.with_columns(source=pl.lit("user"))) == []


def test_jumps_are_those_of_adjusted_closes(settings: QualitySettings, acted: Acted) -> None:
    closes = wandering(300)
    split = bars_of({"A": closes[:200] + [close / 2 for close in closes[200:]]})
    adjusted = split.with_columns(adj_factor=pl.when(pl.col("date") < SESSIONS[200]).then(0.5).otherwise(1.0))
    assert flagged(adjusted, settings, acted()) == []


def test_the_first_bar_of_a_ticker_is_not_compared_with_another_ticker(settings: QualitySettings, acted: Acted) -> None:
    assert (
        flagged(bars_of({"A": wandering(100), "B": [1000 * close for close in wandering(100)]}), settings, acted())
        == []
    )


@pytest.mark.parametrize(("still", "flags"), [(4, 0), (5, 1), (9, 1)])
def test_enough_unchanged_closes_are_flagged(settings: QualitySettings, acted: Acted, still: int, flags: int) -> None:
    closes = wandering(100)
    stale = closes[:50] + [closes[49]] * still + closes[50:]
    assert settings.stale_sessions == 5
    assert flagged(bars_of({"A": stale}), settings, acted()) == [("A", SESSIONS[50], "stale", still)] * flags


def test_unchanged_closes_of_two_tickers_are_not_one_run(settings: QualitySettings, acted: Acted) -> None:
    assert flagged(bars_of({"A": [2.8, 2.9, 3, 3, 3, 3], "B": [3, 3, 3, 3, 3.1]}), settings, acted()) == []


def test_a_gap_is_counted_in_sessions_and_dated_by_the_bar_after_it(settings: QualitySettings, acted: Acted) -> None:
    bars = bars_of({"A": wandering(60), "B": wandering(60)})
    gone = [SESSIONS[10], SESSIONS[20], SESSIONS[21], SESSIONS[22]]
    bars = bars.filter((pl.col("ticker") == "B") | ~pl.col("date").is_in(gone))
    expected = [("A", SESSIONS[11], "gap", 1), ("A", SESSIONS[23], "gap", 3)]
    assert flagged(bars, settings, acted(), A="XNYS", B="XNYS") == expected
    patient = settings.model_copy(update={"gap_sessions": 2})
    assert flagged(bars, patient, acted(), A="XNYS", B="XNYS") == expected[1:]
    assert flagged(bars, settings, acted(), B="XNYS") == []


def test_a_weekend_is_a_gap_only_if_the_exchange_trades_on_it(settings: QualitySettings, acted: Acted) -> None:
    week = [date(2020, 6, day) for day in (1, 2, 3, 4, 5, 8)]
    bars = bars_of({"A": wandering(6), "BTC": wandering(6)}, week)
    assert flagged(bars, settings, acted(), A="XNYS", BTC="24/7") == [("BTC", date(2020, 6, 8), "gap", 2)]


def test_a_bar_on_a_holiday_is_not_flagged(settings: QualitySettings, acted: Acted) -> None:
    # 2020-07-03 was a holiday
    days = [date(2020, 7, 2), date(2020, 7, 3), date(2020, 7, 6)]
    assert flagged(bars_of({"A": wandering(3)}, days), settings, acted(), A="XNYS") == []


def test_an_unknown_exchange_is_an_error(settings: QualitySettings, acted: Acted) -> None:
    with pytest.raises(SettingsError, match="XNYX"):
        flagged(bars_of({"A": wandering(5)}), settings, acted(), A="XNYX")


@pytest.mark.parametrize("closes", [[], [1.0], [1.0, 1.0], [5.0] * 5, [1e-300, 1e300, 1e-300]])
def test_short_and_extreme_histories_do_not_affect_other_tickers(
    settings: QualitySettings, acted: Acted, closes: list[float]
) -> None:
    jumped = wandering(100)
    jumped[50:] = [close * 3 for close in jumped[50:]]
    flags = flagged(bars_of({"A": closes, "B": jumped}), settings, acted(), A="XNYS", B="XNYS")
    assert [flag[:3] for flag in flags if flag[0] == "B"] == [("B", SESSIONS[50], "jump")]


@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(0, 30), st.sampled_from([1.0, 1.01, 1.02, 2.0])),
        unique_by=lambda bar: bar[:2],
    )
)
@hypothesis_settings(deadline=None)
def test_the_flags_are_those_of_a_plain_loop(acted: Acted, found: list[tuple[str, int, float]]) -> None:
    loose = load_settings().quality.model_copy(update={"jump_sigmas": 3.0, "stale_sessions": 2})
    rows: list[dict[str, Any]] = [
        {"ticker": ticker, "date": SESSIONS[place], "close": close, "adj_factor": 1.0} for ticker, place, close in found
    ]
    bars = pl.DataFrame(rows, schema=BARS.polars_schema)
    expected = []
    for ticker in "AB":
        history = sorted((place, close) for name, place, close in found if name == ticker)
        moves = [math.log(new / old) for (_, old), (_, new) in pairwise(history)]
        center = statistics.median(moves) if moves else 0.0
        sigma = 1.4826 * statistics.median([abs(move - center) for move in moves]) if moves else 0.0
        run: list[date] = []
        for ((before, _), (place, _)), move in zip(pairwise(history), moves, strict=True):
            day = SESSIONS[place]
            if abs(math.exp(move) - 1) > loose.jump_return and abs(move) > 3 * sigma:
                expected.append((ticker, day, "jump"))
            if place - before > 1:
                expected.append((ticker, day, "gap"))
            if move == 0:
                run.append(day)
                if len(run) == 2:
                    expected.append((ticker, run[0], "stale"))
            else:
                run = []
    flags = flagged(bars, loose, acted(), A="XNYS", B="XNYS")
    assert [flag[:3] for flag in flags] == sorted(expected)


def test_a_flag_is_on_a_date_with_a_bar(settings: QualitySettings, acted: Acted) -> None:
    bars = bars_of({"A": [5.0] * 8}, [SESSIONS[0] + timedelta(days=7 * week) for week in range(8)])
    days = {flag[1] for flag in flagged(bars, settings, acted(), A="XNYS")}
    assert days <= set(bars["date"])


def test_a_break_between_deliveries_is_flagged_where_it_matters(settings: QualitySettings, acted: Acted) -> None:
    closes = wandering(200)
    closes[150:] = [close * 0.9 for close in closes[150:]]
    rows = [
        (ticker, "b", SESSIONS[place], name, evidence)
        for ticker in "AB"
        for name, place, evidence in (
            ("close", 100, "none"), ("close", 150, "none"), ("adj_close", 60, "none"), ("adj_close", 61, "overlap"),
            ("adj_close", 70, "settled"), ("adj_close", 80, "none"),
        )
        if ticker == "A" or name == "close"
    ]  # fmt: skip
    columns = ["ticker", "batch_id", "date", "field", "evidence"]
    rebasings = pl.DataFrame(rows, schema={name: REBASINGS.polars_schema[name] for name in columns}, orient="row")
    bars = bars_of({"A": closes, "B": closes})
    found = flag_bars(
        bars,
        actions=acted(),
        rebasings=rebasings,
        refused=QUARANTINE.polars_schema.to_frame(),
        exchanges={},
        settings=settings,
    )
    # the last of the deliveries with adjusted closes, and the fall of 10%
    days = [("A", SESSIONS[80]), ("A", SESSIONS[150]), ("B", SESSIONS[150])]
    assert found.filter(rule="break").select("ticker", "date").rows() == days


def test_a_likely_split_is_flagged_unless_an_action_explains_it(settings: QualitySettings, acted: Acted) -> None:
    closes = wandering(200)
    closes[150:] = [close / 1.5 for close in closes[150:]]
    factor = pl.when(pl.col("ticker") == "B", pl.col("date") < SESSIONS[150]).then(1 / 1.5).otherwise(1.0)
    bars = bars_of({"A": closes, "B": closes}).with_columns(adj_factor=factor)
    none = {"rebasings": REBASINGS.polars_schema.to_frame(), "refused": QUARANTINE.polars_schema.to_frame()}
    actions = acted(("B", SESSIONS[150], "split", 1.5))
    flags = flag_bars(bars, actions=actions, exchanges={}, settings=settings, **none)
    assert flags.select("ticker", "date", "rule", "value").rows() == [("A", SESSIONS[150], "split", 1.5)]
    assert "is a split not adjusted for?" in flags["detail"].item()


def test_a_bar_after_days_whose_rows_were_refused_has_the_flag_gap(settings: QualitySettings, acted: Acted) -> None:
    missing = {3, 50, 51, 52, 53, 54, 55}
    closes = [close for place, close in enumerate(wandering(100)) if place not in missing]
    days = [day for place, day in enumerate(SESSIONS[:100]) if place not in missing]
    bars = bars_of({"A": closes, "B": closes}).with_columns(date=pl.Series([*days, *days]))
    schema = {name: QUARANTINE.polars_schema[name] for name in ("ticker", "date", "batch_id", "rule")}
    rows = [("A", SESSIONS[place], batch, "missing_close") for place in (0, 3, 53, 60, 101) for batch in ("x", "y")]
    rows += [("B", SESSIONS[place], "x", "missing_close,not_finite") for place in (52, 50)]
    refused = pl.DataFrame([*rows, ("A", None, "x", "missing_date")], schema=schema, orient="row")
    found = flag_bars(
        bars,
        actions=acted(),
        rebasings=REBASINGS.polars_schema.to_frame(),
        refused=refused,
        exchanges={"A": "XNYS"},
        settings=settings.model_copy(update={"gap_sessions": 2}),
    )
    gaps = found.filter(rule="gap")
    # of A the second is found by the sessions of the exchange, and counted once
    expected = [("A", SESSIONS[4], 1.0), ("A", SESSIONS[56], 6.0), ("B", SESSIONS[56], 2.0)]
    assert gaps.select("ticker", "date", "value").rows() == expected
    text = "Days without a bar because their rows were refused: {}; the first is {}."
    assert [gaps["detail"][0], gaps["detail"][2]] == [text.format(1, SESSIONS[3]), text.format(2, SESSIONS[50])]
