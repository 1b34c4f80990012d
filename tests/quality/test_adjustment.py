from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.quality import adjustment_factors, effective_actions

if TYPE_CHECKING:
    from collections.abc import Callable

    Landed = Callable[..., pl.DataFrame]
    Acted = Callable[..., pl.DataFrame]

FIRST = date(2020, 1, 1)


def closes(landed: Landed, *values: float, **changes: object) -> pl.DataFrame:
    """Return close-only bars of consecutive days."""
    return landed(
        *(
            {"date": FIRST + timedelta(days=day), "close": value, "adj_close": None} | changes
            for day, value in enumerate(values)
        )
    )


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_without_adjusted_closes_and_actions_the_factor_is_1(landed: Landed, acted: Acted) -> None:
    assert adjustment_factors(closes(landed, 10, 11), acted())["adj_factor"].to_list() == [1.0, 1.0]


def test_a_split_halves_the_factor_before_its_date(landed: Landed, acted: Acted) -> None:
    bars = adjustment_factors(closes(landed, 100, 50, 51), acted(("A", day(1), "split", 2.0)))
    assert bars["adj_factor"].to_list() == [0.5, 1.0, 1.0]


def test_a_reverse_split_multiplies_the_factor(landed: Landed, acted: Acted) -> None:
    bars = adjustment_factors(closes(landed, 1, 10), acted(("A", day(1), "split", 0.1)))
    assert bars["adj_factor"].to_list() == [10.0, 1.0]


def test_dividends_and_a_split_worked_by_hand(landed: Landed, acted: Acted) -> None:
    # 100 → (dividend 2) 98 → (2 for 1) 49 → 50 → (dividend 1) 49.5
    actions = acted(("A", day(1), "dividend", 2.0), ("A", day(2), "split", 2.0), ("A", day(4), "dividend", 1.0))
    bars = adjustment_factors(closes(landed, 100, 98, 49, 50, 49.5), actions)
    last = 1 - 1 / 50
    assert bars["adj_factor"].to_list() == pytest.approx([(1 - 2 / 100) / 2 * last, last / 2, last, last, 1.0])
    # what a holder gains who buys more shares with each dividend at the close before
    adjusted = (bars["close"] * bars["adj_factor"]).to_list()
    growth = [new / old for old, new in pairwise(adjusted)]
    assert growth == pytest.approx([1.0, 1.0, 50 / 49, 49.5 / (50 - 1)])


def test_an_ex_date_without_a_bar_counts_for_the_bars_before(landed: Landed, acted: Acted) -> None:
    bars = closes(landed, 100, 100, 50).filter(pl.col("date") != day(1))
    assert adjustment_factors(bars, acted(("A", day(1), "split", 2.0)))["adj_factor"].to_list() == [0.5, 1.0]


def test_an_action_after_the_last_bar_adjusts_all_bars(landed: Landed, acted: Acted) -> None:
    actions = acted(("A", day(9), "dividend", 1.0))
    assert adjustment_factors(closes(landed, 20, 10), actions)["adj_factor"].to_list() == [0.9, 0.9]


def test_an_action_before_the_first_bar_adjusts_no_bar(landed: Landed, acted: Acted) -> None:
    actions = acted(("A", FIRST, "dividend", 1.0), ("A", date(2019, 1, 1), "split", 2.0))
    assert adjustment_factors(closes(landed, 20, 10), actions)["adj_factor"].to_list() == [1.0, 1.0]


def test_actions_of_another_ticker_have_no_effect(landed: Landed, acted: Acted) -> None:
    bars = pl.concat([closes(landed, 100, 50), closes(landed, 100, 50, ticker="AA")])
    factors = adjustment_factors(bars, acted(("AA", day(1), "split", 2.0)))
    assert factors.select("ticker", "adj_factor").rows() == [("A", 1.0), ("A", 1.0), ("AA", 0.5), ("AA", 1.0)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("split", 0.0),
        ("split", -2.0),
        ("split", None),
        ("split", float("nan")),
        ("split", float("inf")),
        ("dividend", -1.0),
        ("dividend", 0.0),
        ("dividend", 100.0),
        ("dividend", float("nan")),
        ("dividend", None),
        ("spin-off", 1.0),
    ],
)
def test_an_impossible_action_has_no_effect(landed: Landed, acted: Acted, kind: str, value: float | None) -> None:
    assert adjustment_factors(closes(landed, 100, 50), acted(("A", day(1), kind, value)))["adj_factor"].to_list() == [
        1.0,
        1.0,
    ]


def test_actions_that_are_delivered_again_count_once(landed: Landed, acted: Acted) -> None:
    first, second = acted(("A", day(1), "dividend", 10.0)), acted(("A", day(1), "dividend", 20.0), batch_id="b2")
    repeated = pl.concat([first, first, second])
    assert adjustment_factors(closes(landed, 100, 80), repeated)["adj_factor"].to_list() == [0.8, 1.0]


def test_two_dividends_of_one_day_both_count(landed: Landed, acted: Acted) -> None:
    actions = acted(("A", day(1), "dividend", 10.0), ("A", day(1), "dividend", 20.0))
    factors = adjustment_factors(closes(landed, 100, 70), actions)["adj_factor"].to_list()
    assert factors == pytest.approx([0.9 * 0.8, 1.0])


@pytest.mark.parametrize("ratio", [2.0, 1.25, 0.1, 1.1])
def test_a_split_beside_prices_that_do_not_fall_by_it_has_no_effect(landed: Landed, acted: Acted, ratio: float) -> None:
    for fall, factor in ((ratio, 1 / ratio), (1.0, 1.0)):
        bars = closes(landed, 100, 101, 100 / fall, 102 / fall)
        factors = adjustment_factors(bars, acted(("A", day(2), "split", ratio)))["adj_factor"].to_list()
        assert factors == pytest.approx([factor, factor, 1.0, 1.0])


def test_dividends_beside_prices_count_together_where_the_closes_fall_by_them(landed: Landed, acted: Acted) -> None:
    actions = acted(*(("A", day(place), "dividend", 2.0) for place in (1, 3, 5)))
    noise = [0.0, 0.7, 0.1, -0.9, 0.2, 0.6, 0.3]
    for amount, first in ((2.0, 0.98 * 0.98 * 0.98), (0.0, 1.0)):
        falls = [100 + shift - amount * ((place + 1) // 2) for place, shift in enumerate(noise)]
        factors = adjustment_factors(closes(landed, *falls), actions)["adj_factor"]
        assert factors[0] == pytest.approx(first, rel=2e-3)


def test_dividends_that_do_not_show_in_the_returns_do_not_count(landed: Landed, acted: Acted) -> None:
    """Returns of 1% hide dividends of .6%, and show one of 8%; a dividend that is to come tells nothing."""
    for amount, counts in ((0.006, False), (0.08, True)):
        for seed in range(20):
            path = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 200)))
            path[100:] *= 1 - amount
            ahead = ("A", day(300), "dividend", 0.5)
            actions = acted(("A", day(100), "dividend", float(path[99] * amount)), ahead)
            factors = adjustment_factors(closes(landed, *path), actions)["adj_factor"]
            assert factors[0] / factors[-1] == pytest.approx(1 - amount if counts else 1.0)
            flat = closes(landed, *np.where(np.arange(200) < 100, path * (1 - amount), path))
            adjusted = adjustment_factors(flat, actions)["adj_factor"]
            assert adjusted[0] / adjusted[-1] == pytest.approx(1.0)


def test_a_split_that_is_adjusted_for_takes_nothing_from_a_dividend_of_its_day(landed: Landed, acted: Acted) -> None:
    actions = acted(("A", day(1), "split", 2.0), ("A", day(1), "dividend", 5.0))
    assert adjustment_factors(closes(landed, 100, 95.2), actions)["adj_factor"].to_list() == pytest.approx([0.95, 1.0])
    assert adjustment_factors(closes(landed, 100, 47.4), actions)["adj_factor"].to_list() == pytest.approx([0.475, 1.0])


def test_what_the_user_tells_counts_on_top_and_in_place_of_files(landed: Landed, acted: Acted) -> None:
    told = acted(("A", day(2), "split", 2.0), source="user")
    bars = closes(landed, 100, 101, 101, adj_close=50.0)
    assert adjustment_factors(bars, told)["adj_factor"].to_list() == pytest.approx([0.25, 50 / 101 / 2, 50 / 101])
    both = pl.concat([acted(("A", day(2), "split", 3.0)), told])
    for order in (both, both.reverse()):
        factors = adjustment_factors(closes(landed, 100, 101, 34), order)["adj_factor"].to_list()
        assert factors == pytest.approx([0.5, 0.5, 1.0])
    back = acted(("A", day(2), "split", None), source="user", batch_id="b2")
    factors = adjustment_factors(closes(landed, 100, 101, 34), pl.concat([both, back]))["adj_factor"].to_list()
    assert factors == pytest.approx([1 / 3, 1 / 3, 1.0])
    assert effective_actions(pl.concat([told, back])).is_empty()


def test_adjusted_closes_take_precedence_over_actions(landed: Landed, acted: Acted) -> None:
    bars = closes(landed, 100, 50, adj_close=25.0)
    assert adjustment_factors(bars, acted(("A", day(1), "split", 2.0)))["adj_factor"].to_list() == [0.25, 0.5]


def test_a_bar_without_an_adjusted_close_has_the_factor_of_its_neighbour(landed: Landed, acted: Acted) -> None:
    sent = [None, 5.0, None, 8.0, None]
    bars = landed(*({"date": day(place), "close": 10.0, "adj_close": value} for place, value in enumerate(sent)))
    other = closes(landed, 1, ticker="B")
    factors = adjustment_factors(pl.concat([bars, other]), acted())
    assert factors["adj_factor"].to_list() == [0.5, 0.5, 0.8, 0.8, 0.8, 1.0]


def test_no_bars(landed: Landed, acted: Acted) -> None:
    assert adjustment_factors(landed(), acted(("A", day(1), "split", 2.0)))["adj_factor"].to_list() == []


def test_the_sample_adjusted_closes_of_apple_agree_with_its_dividends_and_splits(
    sample: pl.DataFrame, acted: Acted
) -> None:
    # Apple's own record: two splits, and the three dividends of 2012 and 2013. The vendor's factors also hold what
    # came after the data's end, which is the same for every bar.
    apple = sample.filter(pl.col("ticker") == "AAPL")
    actions = acted(
        ("AAPL", date(2000, 6, 21), "split", 2.0),
        ("AAPL", date(2005, 2, 28), "split", 2.0),
        ("AAPL", date(2012, 8, 9), "dividend", 2.65),
        ("AAPL", date(2012, 11, 7), "dividend", 2.65),
        ("AAPL", date(2013, 2, 7), "dividend", 2.65),
    )
    vendor = adjustment_factors(apple, acted())["adj_factor"]
    ours = adjustment_factors(apple.with_columns(adj_close=pl.lit(None, pl.Float64)), actions)["adj_factor"]
    ratio = ours / (vendor / vendor[-1])
    assert ratio.min() == pytest.approx(1, abs=2e-4)
    assert ratio.max() == pytest.approx(1, abs=2e-4)
    split = apple["date"].index_of(date(2005, 2, 28))
    assert split is not None
    assert vendor[split] / vendor[split - 1] == pytest.approx(2, rel=1e-4)
