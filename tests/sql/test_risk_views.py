"""Views of risk against the functions of pm.risk.backtests, on made-up forecasts of two tickers."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.lake import Lake
from pm.resources import sql_dir
from pm.risk.backtests import christoffersen, fz0_loss, kupiec, z2
from pm.settings import load_settings
from pm.statistics.diebold_mariano import diebold_mariano
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS
from pm.tables.quality import BARS
from pm.tables.risk import LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.lake import Transaction
    from pm.tables.declaration import Table

DAYS = 160
WEIGHTS = {"A": 0.7, "B": -0.3}
LEVEL = 0.9
METHODS = {"joint": 1.0, "normal_ewma": 0.8, "historical": 1.3}
"""Methods, and the multiple of the risk of 'joint' that each forecasts."""


def completed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    given = set(frame.columns)
    return table.conform(
        frame.select(pl.col(name) if name in given else pl.lit(None).alias(name) for name in table.polars_schema)
    )


@pytest.fixture(scope="module")
def prices() -> dict[str, Any]:
    generator = np.random.default_rng(3)
    return {name: 50 * np.exp(np.cumsum(0.01 * generator.standard_t(4, DAYS))) for name in WEIGHTS}


@pytest.fixture(scope="module")
def days() -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=day) for day in range(DAYS)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, prices: dict[str, Any], days: list[date]) -> Iterator[Lake]:
    bars = pl.concat(
        [
            pl.DataFrame({"ticker": name, "date": days, "close": 2 * values, "adj_factor": 0.5, "batch_id": "b"})
            for name, values in prices.items()
        ]
    )
    rows, parts, runs = [], [], []
    for place, day in enumerate(days):
        run, repeated = f"run{place:03d}", f"run{place:03d} again"
        var = 0.006 * (1.2 + np.sin(place / 9))
        for hour, name in enumerate((run, repeated)):
            started = datetime.combine(day, time(hour))
            runs.append({"run_id": name, "kind": "run", "scope": "whole", "status": "done", "started_at": started})
        for name, scale in ((run, 1.0), (repeated, 9.0)):
            common = {"run_id": name, "cutoff": day, "portfolio": "held", "origin_date": day, "level": LEVEL}
            for method, multiple in METHODS.items():
                rows += [
                    common | {"method": method, "horizon": horizon, "var": size, "es": 1.4 * size}
                    for horizon in (1, 5)
                    for size in [scale * multiple * var * np.sqrt(horizon)]
                ]
            parts += [common | {"ticker": ticker, "horizon": 1, "weight": weight} for ticker, weight in WEIGHTS.items()]
    event = {"run_id": "run003", "cutoff": days[3], "portfolio": "held", "limit_name": "gross", "subject": "portfolio"}
    events = [event | {"value": 1.2, "bound": 1.0, "action": "scale", "value_after": 1.0, "detail": "It was."}]

    def write(transaction: Transaction) -> None:
        transaction.append(BARS, completed(BARS, bars))
        for table, values in (
            (PORTFOLIO_RISK, rows), (RISK_CONTRIBUTIONS, parts), (RUNS, runs), (LIMIT_EVENTS, events),
        ):  # fmt: skip
            transaction.append(table, completed(table, pl.DataFrame(values)))

    with Lake(tmp_path_factory.mktemp("risk") / "lake", load_settings().lake, TABLES, views=[sql_dir()]) as opened:
        opened.commit("rows", write)
        yield opened


def outcomes(prices: dict[str, Any], horizon: int) -> tuple[Any, Any, Any]:
    """Return losses, var and es of the forecasts whose windows do not overlap, of method 'joint'."""
    places = np.arange(0, DAYS - horizon, horizon)
    losses = -sum(
        weight * (prices[name][places + horizon] / prices[name][places] - 1) for name, weight in WEIGHTS.items()
    )
    var = 0.006 * (1.2 + np.sin(places / 9)) * np.sqrt(horizon)
    return losses, var, 1.4 * var


def test_the_first_run_of_a_day_counts_and_its_loss_is_that_of_the_weights(lake: Lake, prices: dict[str, Any]) -> None:
    losses, var, es = outcomes(prices, 1)
    found = lake.query("FROM risk_outcomes WHERE method = 'joint' AND horizon = 1 ORDER BY origin_date")
    assert found["run_id"].to_list() == [f"run{place:03d}" for place in range(DAYS - 1)]
    assert found["loss"].to_numpy() == pytest.approx(losses)
    assert found["exceeded"].to_list() == (losses > var).tolist()
    assert found["fz0"].to_numpy() == pytest.approx(fz0_loss(losses, var, es, 1 - LEVEL))
    assert found["basis"].unique().to_list() == ["runs"]


@pytest.mark.parametrize("horizon", [1, 5])
def test_value_at_risk_is_tested_as_the_functions_do(lake: Lake, prices: dict[str, Any], horizon: int) -> None:
    losses, var, _ = outcomes(prices, horizon)
    hits = losses > var
    (row,) = lake.rows(f"FROM risk_backtest WHERE method = 'joint' AND horizon = {horizon}")
    share, both = kupiec(int(hits.sum()), len(hits), 1 - LEVEL), christoffersen(hits, 1 - LEVEL)
    assert (row["forecasts"], row["exceptions"]) == (len(hits), int(hits.sum()))
    assert 0 < row["exceptions"] < row["forecasts"]
    assert row["kupiec"] == pytest.approx(share.statistic)
    assert row["kupiec_p"] == pytest.approx(share.p_value, abs=2e-7)
    assert row["independence"] == pytest.approx(both.independence.statistic, abs=1e-9)
    assert row["independence_p"] == pytest.approx(both.independence.p_value, abs=2e-7)
    assert row["conditional_p"] == pytest.approx(both.conditional.p_value)


@pytest.mark.parametrize("horizon", [1, 5])
def test_expected_shortfall_is_tested_as_the_functions_do(lake: Lake, prices: dict[str, Any], horizon: int) -> None:
    losses, var, es = outcomes(prices, horizon)
    hits = losses > var
    (row,) = lake.rows(f"FROM es_backtest WHERE method = 'joint' AND horizon = {horizon}")
    excess = losses[hits] / es[hits] - 1
    assert row["z2"] == pytest.approx(z2(losses, var, es, 1 - LEVEL))
    assert row["excess"] == pytest.approx(excess.mean())
    assert row["excess_t"] == pytest.approx(excess.mean() / (excess.std(ddof=1) / np.sqrt(len(excess))))
    own = fz0_loss(losses, var, es, 1 - LEVEL)
    assert row["fz0"] == pytest.approx(own.mean())
    for method, column in (("normal_ewma", "gain_normal_t"), ("historical", "gain_historical_t")):
        other = fz0_loss(losses, METHODS[method] * var, METHODS[method] * es, 1 - LEVEL)
        test = diebold_mariano(other - own)
        correction = np.sqrt((len(own) - 1) / len(own))  # of Harvey, Leybourne and Newbold
        assert hits.sum() < 5 or row[column] == pytest.approx(test.statistic / correction)


def test_limits_have_a_history(lake: Lake) -> None:
    (row,) = lake.rows("FROM limit_history")
    assert (row["limit_name"], row["action"], row["exceeded_by"]) == ("gross", "scale", pytest.approx(0.2))
