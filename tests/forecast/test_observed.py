"""Observations as regressors: seen only when known, worth something only where they tell of later returns."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.forecast.base import Panel
from pm.forecast.edge_test import observation_edge
from pm.forecast.models.observed import ObservedForecaster
from pm.forecast.observed import accepted_observations, known_at_bars
from pm.settings import load_settings
from pm.statistics.discoveries import q_values
from pm.tables.observations import OBSERVATION_TESTS

if TYPE_CHECKING:
    from pm.typing import FloatArray

FIRST = date(2020, 1, 1)
SETTINGS = load_settings().forecast.model_copy(update={"horizon": 5, "origin_step": 5, "origins": 16})
BARS = 700


def day(place: int) -> date:
    return FIRST + timedelta(days=place)


def moment(place: int, hour: int = 12) -> datetime:
    return datetime.combine(day(place), time(hour))


SCHEMA: dict[str, Any] = {
    "ticker": pl.String,
    "date": pl.Date,
    "known_at": pl.Datetime("us"),
    "name": pl.String,
    "value": pl.Float64,
}

told = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 15), st.integers(0, 20), st.integers(0, 23), st.integers(0, 99)),
    max_size=25, unique_by=lambda row: (row[0], row[1], row[2], row[3]),
)  # fmt: skip
"""Ticker, day that the number is about, day and hour at which it was known, and the number."""


@given(rows=told, cutoff=st.integers(0, 20))
def test_each_bar_sees_the_newest_number_that_was_known_by_the_end_of_its_day(rows: list[Any], cutoff: int) -> None:
    bars = pl.DataFrame({"ticker": list("AB")}).join(
        pl.DataFrame({"date": [day(place) for place in range(21)], "bar": range(21)}), how="cross"
    )
    observations = pl.DataFrame(
        [(ticker, day(about), moment(known, hour), "n", float(value)) for ticker, about, known, hour, value in rows],
        schema=SCHEMA, orient="row",
    )  # fmt: skip
    found = {(ticker, bar): value for ticker, bar, value in known_at_bars(bars, observations, ["n"]).iter_rows()}
    assert len(found) == 42
    for (ticker, bar), value in found.items():
        known = [row for row in rows if row[0] == ticker and row[2] <= bar]
        newest = max(known, key=lambda row: (row[1], row[2], row[3]), default=None)
        assert value == (None if newest is None else float(newest[4]))
    # What is known later changes nothing: the same without it.
    until = observations.filter(pl.col("known_at") < datetime.combine(day(cutoff + 1), time()))
    before = known_at_bars(bars, until, ["n"]).filter(pl.col("bar") <= cutoff)
    assert before.rows() == [(ticker, bar, value) for (ticker, bar), value in sorted(found.items()) if bar <= cutoff]


def series(seed: int, slope: float) -> tuple[pl.DataFrame, FloatArray, FloatArray]:
    """Return bars of a price whose next returns follow a number, the number, and the returns."""
    rng = np.random.default_rng(seed)
    number = np.zeros(BARS)
    for place in range(1, BARS):
        number[place] = 0.9 * number[place - 1] + rng.standard_normal()
    returns = 0.01 * rng.standard_normal(BARS)
    returns[1:] += slope * number[:-1]
    prices = 100 * np.exp(np.cumsum(returns))
    return pl.DataFrame({"date": [day(place) for place in range(BARS)], "close": prices}), number, returns


def many(count: int, slope: float, delay: int, future: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return bars and observations of tickers; a number is known `delay` days after the day that it is about.

    With `future`, the number is the return over so many days from its day on.
    """
    bars, observations = [], []
    for place in range(count):
        own, number, returns = series(place, slope)
        if future:
            number = np.convolve(returns, np.ones(future))[future:][:BARS]
            number = np.pad(number, (0, BARS - len(number)))
        ticker = pl.lit(f"T{place}")
        bars.append(own.with_columns(ticker=ticker, adj_factor=pl.lit(1.0)))
        observations.append(
            pl.DataFrame(
                {"date": own["date"], "known_at": [moment(at + delay) for at in range(BARS)], "value": number}
            ).with_columns(ticker=ticker, name=pl.lit("n"))
        )
    return pl.concat(bars), pl.concat(observations).select(list(SCHEMA))


def edge(bars: pl.DataFrame, observations: pl.DataFrame) -> Any:  # noqa: ANN401 - an ObservationTest
    return observation_edge(bars, observations, "n", settings=SETTINGS, as_of=day(BARS), rate=0.1)


def test_a_number_that_tells_of_later_returns_is_an_edge() -> None:
    found = edge(*many(4, 0.004, delay=0))
    assert found.p_value < 0.001
    assert found.relative_loss < 0.97
    assert sum(one.discovered for one in found.tickers) >= 3
    assert found.refused == {}
    assert found.origins == 4 * (BARS // 2 // 5)


def test_a_number_that_tells_nothing_is_none() -> None:
    found = edge(*many(8, 0.0, delay=0))
    assert found.p_value > 0.05
    assert sum(one.discovered for one in found.tickers) <= 1  # at a rate of 10%, on one night of ten


def test_a_number_that_is_known_too_late_is_none_though_it_is_the_future_itself() -> None:
    """The return over the five days after a day, known that day: an oracle. Known five days later: nothing."""
    oracle = edge(*many(3, 0.0, delay=0, future=5))
    assert oracle.relative_loss < 0.5
    late = edge(*many(3, 0.0, delay=6, future=5))
    assert late.p_value > 0.05
    assert not any(one.discovered for one in late.tickers)


def test_too_little_is_said_so() -> None:
    bars, observations = many(2, 0.004, delay=0)
    few = observations.filter((pl.col("ticker") == "T0") & (pl.col("date") > day(BARS - 40)))
    found = edge(bars, few)
    assert (found.tickers, found.periods, found.origins) == ((), 0, 0)
    assert "fewer than 60 bars" in found.refused["T0"]
    constant = observations.with_columns(value=pl.lit(1.0))
    assert set(edge(bars, constant).refused) == {"T0", "T1"}
    nothing = edge(bars, observations.clear())
    assert (nothing.tickers, nothing.refused) == ((), {})


def test_a_forecast_depends_on_nothing_after_its_origin() -> None:
    bars, number, _ = series(1, 0.004)
    log_prices = bars["close"].log().to_numpy()
    origin = 400

    def forecast(upto: int) -> FloatArray:
        own = pl.DataFrame({"ticker": "T", "date": bars["date"], "bar": range(BARS), "log_price": log_prices}).head(
            upto
        )
        known = pl.DataFrame({"ticker": "T", "bar": range(BARS), "n": number}).head(upto)
        origins = pl.DataFrame({"ticker": ["T"], "origin_date": [day(origin)]})
        found = ObservedForecaster().forecast(Panel(own, observed=known), origins, 5)
        return found.means["mean"].to_numpy()

    assert forecast(origin + 1).tobytes() == forecast(BARS).tobytes()
    # The slope of a step is that of the textbook: Σxy / Σx², x standardised.
    x = number[: origin - 4]
    x = (x - x.mean()) / x.std()
    y = log_prices[3 : origin - 1] - log_prices[: origin - 4]
    now = (number[origin] - number[: origin - 4].mean()) / number[: origin - 4].std()
    assert forecast(BARS)[2] - log_prices[origin] == pytest.approx(now * (x @ y) / (x @ x))


def test_up_to_the_day_of_the_test_no_change_is_forecast() -> None:
    bars, number, _ = series(2, 0.004)
    panel = Panel(
        pl.DataFrame({"ticker": "T", "date": bars["date"], "bar": range(BARS), "log_price": bars["close"].log()}),
        observed=pl.DataFrame({"ticker": "T", "bar": range(BARS), "n": number}),
    )
    origins = pl.DataFrame({"ticker": "T", "origin_date": [day(400), day(401)]})
    means = ObservedForecaster(since=day(400)).forecast(panel, origins, 2).means
    at = bars["close"].log().to_numpy()[[400, 401]]
    assert means.filter(origin_date=day(400))["mean"].to_list() == [at[0], at[0]]
    assert (means.filter(origin_date=day(401))["mean"] != at[1]).all()


def stored(p_values: dict[str, float], **more: object) -> pl.DataFrame:
    row = {"horizon": 5, "last_target": day(100), "relative_loss": 0.9, "run_id": "r1", **more}
    schema = OBSERVATION_TESTS.polars_schema
    return pl.DataFrame([row | {"name": name, "dm_p_value": p} for name, p in p_values.items()], schema=schema)


def test_of_many_names_that_were_tried_a_few_small_p_values_are_not_enough() -> None:
    p_values = {f"n{place:02d}": 0.03 + place / 25 for place in range(24)}
    assert float(q_values(list(p_values.values())).min()) > 0.1
    asked = {"rate": 0.1, "as_of": day(200), "horizon": 5}
    assert accepted_observations(stored(p_values), **asked) is None  # type: ignore[arg-type]
    found = accepted_observations(stored({"n00": 0.03}), **asked)  # type: ignore[arg-type]
    assert found is not None
    assert (found.names, found.since) == (("n00",), day(100))


@pytest.mark.parametrize(
    "change", [{"last_target": day(300)}, {"horizon": 20}, {"relative_loss": 1.01}, {"last_target": None}]
)
def test_a_test_of_later_days_or_of_another_horizon_does_not_count(change: dict[str, Any]) -> None:
    assert accepted_observations(stored({"n": 0.001}, **change), rate=0.1, as_of=day(200), horizon=5) is None


def test_the_newest_test_of_a_name_counts() -> None:
    both = pl.concat([stored({"n": 0.001}), stored({"n": 0.9}, run_id="r2")])
    assert accepted_observations(both, rate=0.1, as_of=day(200), horizon=5) is None
