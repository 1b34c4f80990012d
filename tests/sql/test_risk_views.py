"""Views of risk against twins made of scipy and plain loops, on made-up forecasts of two tickers."""

from __future__ import annotations

import itertools
import math
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom, chi2, ttest_1samp

from pm.lake import Lake
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.ledger import ACCOUNTS
from pm.tables.pipeline import RUNS
from pm.tables.quality import BARS
from pm.tables.risk import LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS
from pm.tables.sources import UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def fz0(losses: Any, var: Any, es: Any) -> Any:  # noqa: ANN401 - arrays
    """Return the loss FZ0 of each forecast, with equation (6) of the paper in the signs of returns."""
    found = []
    for loss, limit, tail in zip(losses, var, es, strict=True):
        y, v, e = -loss, -limit, -tail
        found.append(-float(y <= v) * (v - y) / ((1 - LEVEL) * e) + v / e + math.log(-e) - 1)
    return np.array(found)


@pytest.mark.parametrize(("count", "zone"), [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")])
def test_zones_of_250_days_are_those_of_the_basel_committee(lake: Lake, count: int, zone: str) -> None:
    """Run the view's SQL over outcomes of 250 days of which some are exceptions."""
    select = (sql_dir() / "62_risk_backtest.sql").read_text("utf-8")
    outcomes = (
        "SELECT 'b' AS basis, 'p' AS portfolio, 'joint' AS method, 1 AS horizon, 0.99 AS level, "
        f"DATE '2020-01-01' + n::INTEGER AS origin_date, DATE '2020-01-02' + n::INTEGER AS outcome_date, "
        f"n % 25 = 3 AND n < {25 * count} AS exceeded FROM range(250) AS days (n)"
    )
    statement = select[select.index("WITH outcomes") :].replace("FROM risk_outcomes", f"FROM ({outcomes})", 1)
    (row,) = lake.query(statement).to_dicts()
    assert (row["forecasts"], row["exceptions"], row["zone"]) == (250, count, zone)


def test_the_first_run_of_a_day_counts_and_its_loss_is_that_of_the_weights(lake: Lake, prices: dict[str, Any]) -> None:
    losses, var, es = outcomes(prices, 1)
    found = lake.query("FROM risk_outcomes WHERE method = 'joint' AND horizon = 1 ORDER BY origin_date")
    assert found["run_id"].to_list() == [f"run{place:03d}" for place in range(DAYS - 1)]
    assert found["loss"].to_numpy() == pytest.approx(losses)
    assert found["exceeded"].to_list() == (losses > var).tolist()
    assert found["fz0"].to_numpy() == pytest.approx(fz0(losses, var, es))
    assert found["basis"].unique().to_list() == ["runs"]


@pytest.mark.parametrize("horizon", [1, 5])
def test_value_at_risk_is_tested_as_twins_do(lake: Lake, prices: dict[str, Any], horizon: int) -> None:
    losses, var, _ = outcomes(prices, horizon)
    hits = (losses > var).tolist()
    days, count, p = len(hits), sum(hits), 1 - LEVEL
    (row,) = lake.rows(f"FROM risk_backtest WHERE method = 'joint' AND horizon = {horizon}")
    assert (row["forecasts"], row["exceptions"]) == (days, count)
    assert 0 < count < days
    # Ratios of likelihoods do not change with the number of orders in which hits can come: binomial ones will do.
    kupiec = 2 * (binom.logpmf(count, days, count / days) - binom.logpmf(count, days, p))
    pairs = list(itertools.pairwise(hits))
    after = {before: [later for first, later in pairs if first == before] for before in (False, True)}
    shared = sum(later for _, later in pairs) / len(pairs)
    independence = 2 * sum(
        binom.logpmf(sum(own), len(own), sum(own) / len(own)) - binom.logpmf(sum(own), len(own), shared)
        for own in after.values()
    )
    assert row["kupiec"] == pytest.approx(kupiec)
    assert row["kupiec_p"] == pytest.approx(chi2.sf(kupiec, 1), abs=2e-7)
    assert row["independence"] == pytest.approx(independence, abs=1e-9)
    assert row["independence_p"] == pytest.approx(chi2.sf(independence, 1), abs=2e-7)
    assert row["conditional_p"] == pytest.approx(chi2.sf(kupiec + independence, 2))
    cumulated = binom.cdf(count, days, p)
    is_green = cumulated < 0.95 or count <= days * p
    assert row["zone"] == ("green" if is_green else "yellow" if cumulated < 0.9999 else "red")


@pytest.mark.parametrize("horizon", [1, 5])
def test_expected_shortfall_is_tested_as_twins_do(lake: Lake, prices: dict[str, Any], horizon: int) -> None:
    losses, var, es = outcomes(prices, horizon)
    hits = losses > var
    (row,) = lake.rows(f"FROM es_backtest WHERE method = 'joint' AND horizon = {horizon}")
    excess = losses[hits] / es[hits] - 1
    beyond = sum(loss / tail for loss, limit, tail in zip(losses, var, es, strict=True) if loss > limit)
    assert row["z2"] == pytest.approx(1 - beyond / (len(losses) * (1 - LEVEL)))
    assert row["excess"] == pytest.approx(excess.mean())
    assert row["excess_t"] == pytest.approx(ttest_1samp(excess, 0).statistic)
    own = fz0(losses, var, es)
    assert row["fz0"] == pytest.approx(own.mean())
    for method, column in (("normal_ewma", "gain_normal_t"), ("historical", "gain_historical_t")):
        other = fz0(losses, METHODS[method] * var, METHODS[method] * es)
        gain = ttest_1samp(other - own, 0).statistic * np.sqrt(len(own) / (len(own) - 1))  # by the variance over n
        assert row[column] == (pytest.approx(gain) if hits.sum() > 4 else None)


def test_limits_have_a_history(lake: Lake) -> None:
    (row,) = lake.rows("FROM limit_history")
    assert (row["limit_name"], row["action"], row["exceeded_by"]) == ("gross", "scale", pytest.approx(0.2))


def test_a_loss_is_in_the_currency_of_the_account(tmp_path: Path, prices: dict[str, Any], days: list[date]) -> None:
    """An account in dollars holds A, in dollars, and B, in euros, against a loop over closes times rates."""
    generator = np.random.default_rng(5)
    rates = 1.1 * np.exp(np.cumsum(generator.normal(0, 0.01, DAYS)))
    closes = prices | {"EURUSD=X": rates}
    bars = pl.concat([
        pl.DataFrame({"ticker": name, "date": days, "close": values, "adj_factor": 1.0, "batch_id": "b"})
        for name, values in closes.items()
    ])  # fmt: skip
    rows: dict[Table, list[dict[str, Any]]] = {PORTFOLIO_RISK: [], RISK_CONTRIBUTIONS: [], RUNS: []}
    for place, day in enumerate(days):
        run = f"run{place:03d}"
        started = datetime.combine(day, time(1))
        rows[RUNS].append({"run_id": run, "kind": "run", "scope": "whole", "status": "done", "started_at": started})
        for portfolio in ("main", "main proposed", "other"):
            common = {"run_id": run, "cutoff": day, "portfolio": portfolio, "origin_date": day, "level": LEVEL}
            rows[PORTFOLIO_RISK].append(common | {"method": "joint", "horizon": 5, "var": 0.01, "es": 0.02})
            rows[RISK_CONTRIBUTIONS] += [
                common | {"ticker": name, "horizon": 5, "weight": weight} for name, weight in WEIGHTS.items()
            ]
    rows[ACCOUNTS] = [{"account": "main", "currency": "USD"}]
    rows[UNIVERSE] = [{"ticker": "A", "currency": "USD"}, {"ticker": "B", "currency": "EUR"}]

    def write(transaction: Transaction) -> None:
        transaction.append(BARS, completed(BARS, bars))
        for table, values in rows.items():
            transaction.append(table, completed(table, pl.DataFrame(values)))

    with Lake(tmp_path / "lake", load_settings().lake, TABLES, views=[sql_dir()]) as lake:
        lake.commit("rows", write)
        found = lake.query("SELECT portfolio, loss FROM risk_outcomes ORDER BY origin_date")
    now, then = np.arange(DAYS - 5), np.arange(5, DAYS)
    for portfolio in ("main", "main proposed", "other"):
        values = {"A": prices["A"], "B": prices["B"] * (1 if portfolio == "other" else rates)}
        losses = -sum(weight * (values[name][then] / values[name][now] - 1) for name, weight in WEIGHTS.items())
        assert found.filter(portfolio=portfolio)["loss"].to_numpy() == pytest.approx(losses, rel=1e-6, abs=1e-9)
