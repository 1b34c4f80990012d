from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.lake import Lake
from pm.lake.schema import read_views
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.statistics.accuracy import mae, mase, rmse, smape
from pm.statistics.proportions import wilson
from pm.statistics.scores import crps_quantiles
from pm.tables.catalogue import TABLES
from pm.tables.commentary import COMMENTARY, RISK_ASSESSMENTS
from pm.tables.forecast import FORECASTS
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.pipeline import EXCLUSIONS, RUNS, STAGE_EVENTS
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.tables.sources import RAW_BATCHES
from pm.tables.validation import TRIALS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS, VOLATILITY_MEMBERS
from pm.volatility.session_variance import returns_and_ranges

if TYPE_CHECKING:
    from pathlib import Path

PRICES = ["open", "high", "low", "close"]

EARLY = date(2021, 12, 17)
"""Last date of the file that is imported before the first run."""


@pytest.fixture(scope="module")
def newest(lake: Lake) -> dict[str, Any]:
    done = [row for row in lake.read(RUNS).iter_rows(named=True) if row["kind"] == "run" and row["status"] == "done"]
    return max(done, key=lambda row: row["started_at"])


@pytest.fixture(scope="module")
def closes(lake: Lake) -> dict[str, dict[Any, float]]:
    """Each ticker's adjusted closes by date."""
    found: dict[str, dict[Any, float]] = {}
    for ticker, day, close, factor in lake.read(BARS).select("ticker", "date", "close", "adj_factor").iter_rows():
        found.setdefault(ticker, {})[day] = close * factor
    return found


def test_every_view_has_rows(lake: Lake) -> None:
    """But those of a language model's calls, of which there are none where it is not installed: tests/llm.

    Those of accounts have theirs in tests/broker/test_nights.py, those of trials in tests/pipeline/test_backtest.py,
    those of equal weights and of nights in test_calibration_views.py.
    """
    of_models = {"ticker_sentiment", "sentiment_outcomes", "equal_weights", "night_scores"}
    elsewhere = {table.qualified for table in (*CHAINED_TABLES, TRIALS)}
    names = [view.name for view in read_views([sql_dir()])]
    views = [name for name in names if not name.startswith("llm_") and name not in of_models]
    empty = [name for name in views if lake.query(f"FROM {name} LIMIT 1").is_empty()]
    assert [name for name in empty if not lake.tables_read_by(f"FROM {name}") & elsewhere] == []


def test_adjusted_bars(lake: Lake) -> None:
    bars = lake.read(BARS)
    twin = bars.select(
        "ticker", "date", *(pl.col(name) * pl.col("adj_factor") for name in PRICES), "volume",
        traded_close="close", adj_factor="adj_factor", batch_id="batch_id",
    )  # fmt: skip
    assert_frame_equal(lake.query("FROM adjusted_bars ORDER BY ticker, date"), twin)
    assert (bars["adj_factor"] < 0.9).any()  # there is something to adjust


def test_returns(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    twin: dict[tuple[str, Any], tuple[Any, Any]] = {}
    for ticker, by_date in closes.items():
        days = sorted(by_date)
        twin[ticker, days[0]] = (None, None)
        for before, day in pairwise(days):
            ratio = by_date[day] / by_date[before]
            twin[ticker, day] = (pytest.approx(math.log(ratio), abs=1e-12), pytest.approx(ratio - 1, abs=1e-12))
    found = {(ticker, date): (log, simple) for ticker, date, log, simple in lake.query("FROM returns").iter_rows()}
    assert found == twin


def test_latest_bars(lake: Lake) -> None:
    twin = lake.read(BARS).sort("date").group_by("ticker").tail(1).sort("ticker")
    assert_frame_equal(lake.query("FROM latest_bars ORDER BY ticker"), twin)


def test_ticker_quality(lake: Lake) -> None:
    bars, refused, flags = lake.read(BARS), lake.read(QUARANTINE), lake.read(BAR_FLAGS)
    for row in lake.query("FROM ticker_quality").iter_rows(named=True):
        mine = bars.filter(pl.col("ticker") == row["ticker"])["date"]
        assert (row["bars"], row["first_date"], row["last_date"]) == (len(mine), mine.min(), mine.max())
        assert row["quarantined"] == (refused["ticker"] == row["ticker"]).sum()
        assert row["flagged"] == (flags["ticker"] == row["ticker"]).sum()
    named = lake.query("SELECT ticker FROM ticker_quality ORDER BY ticker")["ticker"].to_list()
    assert named == sorted({*bars["ticker"], *refused["ticker"], *flags["ticker"]})
    assert lake.query("SELECT bars, quarantined FROM ticker_quality WHERE ticker = 'KITE'").rows() == [(4, 1)]


def test_batch_accounts(lake: Lake) -> None:
    found = lake.query(
        r"SELECT regexp_extract(path, '[^/\\]+$'), landed, inserted, updated, unchanged, quarantined, balanced "
        "FROM batch_accounts "
        "WHERE origin = 'files' ORDER BY landed_at"
    )
    bars = lake.read(BARS).filter(pl.col("ticker") != "KITE", pl.col("date").is_between(date(2020, 1, 1), EARLY))
    early = bars.height
    assert 1000 < early < 1470
    assert found.rows() == [
        ("early.csv", early, early, 0, 0, 0, True),
        ("kite.csv", 4, 3, 0, 0, 1, True),
        ("later.csv", 2, 1, 1, 0, 0, True),
        ("mixed.csv", 1470, 1470 - early, 0, early, 0, True),
    ]
    assert lake.query("SELECT balanced FROM batch_accounts")["balanced"].all()


def test_run_outputs_and_latest_run(lake: Lake, newest: dict[str, Any]) -> None:
    assert lake.query("FROM latest_run").rows(named=True) == [newest]
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for event in lake.read(STAGE_EVENTS).sort("attempt", "finished_at").iter_rows(named=True):
        last[event["run_id"], event["stage"]] = event
    found = {(row["run_id"], row["stage"]): row for row in lake.query("FROM run_outputs").iter_rows(named=True)}
    assert found == {key: {name: event[name] for name in found[key]} for key, event in last.items()}


@pytest.mark.parametrize(
    ("view", "table", "stage"),
    [
        ("latest_signals", "signals", "signals"), ("latest_forecasts", "forecasts", "forecast"),
        ("latest_volatility", "volatility", "volatility"),
        ("latest_concerns", "risk_concerns", "llm"),
        ("latest_weights", "model_weights", "forecast"),
    ],
)  # fmt: skip
def test_the_latest_rows_are_those_of_the_newest_run(
    lake: Lake, newest: dict[str, Any], view: str, table: str, stage: str
) -> None:
    events = lake.read(STAGE_EVENTS, "run_id = ? AND stage = ?", [newest["run_id"], stage])
    twin = lake.read(TABLES[table], "run_id = ?", [events["output_run_id"].item()])
    assert not twin.is_empty()
    assert_frame_equal(lake.query(f"FROM {view}"), twin, check_row_order=False)
    assert set(lake.query(f"FROM {view}")["ticker"]) == {"AAPL", "FB"}


def test_latest_commentary(lake: Lake, newest: dict[str, Any]) -> None:
    events = lake.read(STAGE_EVENTS, "run_id = ? AND stage = 'llm'", [newest["run_id"]])
    of_run = "run_id = ?", [events["output_run_id"].item()]
    levels = {row["ticker"]: row for row in lake.read(RISK_ASSESSMENTS, *of_run).iter_rows(named=True)}
    twin = [
        row | {"risk_level": levels[row["ticker"]]["level"], "risk_points": levels[row["ticker"]]["points"]}
        for row in lake.read(COMMENTARY, *of_run).iter_rows(named=True)
    ]
    assert lake.query("FROM latest_commentary ORDER BY ticker").rows(named=True) == twin
    assert {row["ticker"] for row in twin} == {"AAPL", "FB"}


def test_latest_exclusions(lake: Lake, newest: dict[str, Any]) -> None:
    events = lake.read(STAGE_EVENTS, "run_id = ?", [newest["run_id"]])
    outputs = set(events.select("stage", "output_run_id").iter_rows())
    twin = [row for row in lake.read(EXCLUSIONS).rows(named=True) if (row["stage"], row["run_id"]) in outputs]
    found = lake.query("FROM latest_exclusions").rows(named=True)
    assert sorted(map(str, found)) == sorted(map(str, twin))
    assert {row["ticker"] for row in found} == {"FB"}


def test_forecast_outcomes(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    key = ("run_id", "ticker", "model", "target_date")
    twin = {}
    for row in lake.read(FORECASTS).iter_rows(named=True):
        later = sorted(day for day in closes[row["ticker"]] if day > row["origin_date"])
        if len(later) < row["step"]:
            continue
        day = later[row["step"] - 1]
        log_return = math.log(closes[row["ticker"]][day] / closes[row["ticker"]][row["origin_date"]])
        actual = row["origin_close"] * math.exp(log_return)
        twin[tuple(row[name] for name in key)] = (
            day, pytest.approx(actual), pytest.approx(log_return - row["mean_log_return"], abs=1e-12),
            row["q25"] <= actual <= row["q75"], row["q10"] <= actual <= row["q90"], row["q05"] <= actual <= row["q95"],
        )  # fmt: skip
    found = {
        tuple(row[name] for name in key): tuple(
            row[n] for n in ("outcome_date", "actual", "error", "inside_50", "inside_80", "inside_90")
        )
        for row in lake.query("FROM forecast_outcomes").iter_rows(named=True)
    }
    assert found == twin
    assert len(twin) > 100


def test_signal_outcomes(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    basis_of, kinds = bases(lake), dict(lake.read(RUNS).select("run_id", "kind").iter_rows())
    twin = {}
    newest = max(day for own in closes.values() for day in own)
    for row in lake.read(SIGNALS).iter_rows(named=True):
        mine = closes[row["ticker"]]
        bound = row["target_date"] + timedelta(days=14 + row["horizon"])
        later = sorted(day for day in mine if row["origin_date"] < day <= bound)
        if later:
            last = later[: row["horizon"]][-1]
            gained = mine[last] / mine[row["origin_date"]] - 1
            key = (basis_of[row["run_id"]], row["run_id"], row["ticker"], row["cutoff"])
            is_over = len(later) >= row["horizon"]
            twin[key] = (last, pytest.approx(gained), is_over or newest > bound, not is_over and newest > bound)
    found = {
        (row["basis"], row["run_id"], row["ticker"], row["cutoff"]): (
            row["last_date"], row["realised_return"], row["complete"], row["stopped"],
        )
        for row in lake.query("FROM signal_outcomes").iter_rows(named=True)
    }  # fmt: skip
    assert found == twin
    made = [basis for basis, run_id, *_ in twin if kinds[run_id] == "run"]
    assert made.count("runs") == 2  # of the first run; nothing came after the newest
    assert len(made) == 2 + 5  # with the look at the past


def test_signal_scores(lake: Lake) -> None:
    outcomes = lake.query("FROM signal_outcomes WHERE complete")
    evaluations = lake.read(RUNS, "kind = 'evaluate'")["run_id"].to_list()
    pooled = outcomes.filter(pl.col("run_id").is_in(evaluations)).with_columns(basis=pl.lit("evaluations"))
    twin = {}
    for (basis, action), own in pl.concat([outcomes, pooled]).partition_by("basis", "action", as_dict=True).items():
        month = own.with_columns(month=pl.col("origin_date").dt.strftime("%Y-%m"))
        slices = [("all", None, own)]
        slices += [("ticker", key[0], part) for key, part in own.partition_by("ticker", as_dict=True).items()]
        slices += [("month", key[0], part) for key, part in month.partition_by("month", as_dict=True).items()]
        for name, value, part in slices:
            gained, cost = part["realised_return"].to_numpy(), part["round_trip_cost"].to_numpy()
            came = {"BUY": gained > cost, "SELL": gained < -cost, "HOLD": np.abs(gained) <= cost}[str(action)]
            side = {"BUY": 1, "SELL": -1, "HOLD": 0}[str(action)]
            inside = (part["lower"].to_numpy() <= gained) & (gained <= part["upper"].to_numpy())
            twin[basis, name, value, action] = (
                part.height, part["origin_date"].n_unique(), pytest.approx(part["confidence"].to_numpy().mean()),
                pytest.approx(came.mean()), pytest.approx(((part["confidence"].to_numpy() - came) ** 2).mean()),
                pytest.approx(inside.mean()), pytest.approx(part["expected_return"].to_numpy().mean()),
                pytest.approx(gained.mean()), pytest.approx((side * gained - cost).mean()) if side else None,
            )  # fmt: skip
    found = {row[:4]: row[4:] for row in lake.query("FROM signal_scores").iter_rows()}
    assert found == twin
    looks = lake.read(RUNS, "scope = 'past'")["run_id"].to_list()
    # Of the runs, only the signals of a ticker that stopped are over.
    assert {basis for basis, *_ in twin} == {"runs", "evaluations", *evaluations, *looks}


def test_signal_lineage(lake: Lake) -> None:
    signals, bars, batches = lake.read(SIGNALS), lake.read(BARS), lake.read(RAW_BATCHES)
    batch_of = {(ticker, date): batch for ticker, date, batch in bars.select("ticker", "date", "batch_id").iter_rows()}
    origin_of = dict(batches.select("batch_id", "origin").iter_rows())
    found = lake.query("FROM signal_lineage").rows(named=True)
    assert len(found) == signals.height
    for row, signal in zip(
        sorted(found, key=lambda r: (r["signal_run_id"], r["ticker"], r["origin_date"])),
        signals.sort("run_id", "ticker", "origin_date").iter_rows(named=True),
        strict=True,
    ):
        assert row["forecast_run_id"] == signal["forecast_run_id"]
        assert row["volatility_run_id"] == signal["volatility_run_id"]
        assert row["bars_snapshot_id"] == signal["forecast_snapshot_id"]
        assert row["last_bar_batch_id"] == batch_of[signal["ticker"], signal["origin_date"]]
        assert row["source"] == origin_of[row["last_bar_batch_id"]]
        assert row["source"] == ("files" if row["ticker"] in {"EARLY", "LATE", "TIMELY"} else "sample")
        then = lake.read(
            BARS, "date <= ?", [signal["origin_date"]], among={"ticker": [signal["ticker"]]}, at=row["bars_snapshot_id"]
        )
        assert then["date"].max() == signal["origin_date"]


def bases(lake: Lake) -> dict[str, str]:
    """Return the basis of each run's forecasts."""
    return {
        row["run_id"]: row["run_id"] if row["kind"] == "evaluate" or row["scope"] == "past" else "runs"
        for row in lake.read(RUNS).iter_rows(named=True)
    }


def slices(frame: pl.DataFrame) -> list[tuple[str, str | None, pl.DataFrame]]:
    """Return the slices of realised forecasts that the views have."""
    whole: list[tuple[str, str | None, pl.DataFrame]] = [("all", None, frame)]
    month = frame.with_columns(month=pl.col("target_date").dt.strftime("%Y-%m"))
    for name in ("regime", "month", "ticker"):
        whole += [(name, str(key[0]), part) for key, part in month.partition_by(name, as_dict=True).items()]
    return whole


def groups(lake: Lake) -> list[tuple[tuple[str, str, int, str, str | None], pl.DataFrame]]:
    realised = lake.query("FROM scored_forecasts")
    return [
        ((basis, model, step, name, value), part)
        for (basis, model, step), own in realised.partition_by("basis", "model", "step", as_dict=True).items()
        for name, value, part in slices(own)
    ]


def test_crps_and_coverage_of_an_outcome(lake: Lake) -> None:
    stored = {
        (row["run_id"], row["ticker"], row["model"], row["origin_date"], row["target_date"]): row
        for row in lake.read(FORECASTS).iter_rows(named=True)
    }
    outcomes = lake.query("FROM forecast_outcomes")
    basis_of = bases(lake)
    assert outcomes["basis"].to_list() == [basis_of[run_id] for run_id in outcomes["run_id"]]
    for row in outcomes.iter_rows(named=True):
        forecast = stored[row["run_id"], row["ticker"], row["model"], row["origin_date"], row["target_date"]]
        quantiles = [math.log(forecast[quantile_column("q", p)] / forecast["origin_close"]) for p in QUANTILES]
        expected = float(crps_quantiles(quantiles, row["actual_log_return"], QUANTILES))
        assert row["crps"] == pytest.approx(expected, rel=1e-9)
        assert row["pinball"] == pytest.approx(expected / 2, rel=1e-9)
        assert row["inside_95"] == (forecast["q025"] <= row["actual"] <= forecast["q975"])


def test_a_forecast_made_by_several_runs_counts_once(lake: Lake) -> None:
    outcomes, scored = lake.query("FROM forecast_outcomes"), lake.query("FROM scored_forecasts")
    evaluated = outcomes.filter(pl.col("run_id").is_in(lake.read(RUNS, "kind = 'evaluate'")["run_id"].to_list()))
    pooled = scored.filter(basis="evaluations")
    assert_frame_equal(  # no two of its evaluations have a date in common
        pooled.drop("basis"), evaluated.drop("basis"), check_row_order=False
    )
    scored = scored.filter(pl.col("basis") != "evaluations")
    key = ["basis", "ticker", "model", "origin_date", "step"]
    assert scored.select(key).unique().height == scored.height == outcomes.select(key).unique().height


def test_a_look_at_the_past_is_no_forecast_that_was_really_made(lake: Lake) -> None:
    runs = lake.read(RUNS).filter(kind="run")
    looks = runs.filter(scope="past")["run_id"]
    outcomes = lake.query("FROM forecast_outcomes")
    assert set(outcomes.filter(basis="runs")["ticker"]) == {"EARLY", "TIMELY"}
    assert len(looks) == 1
    assert not outcomes.filter(pl.col("run_id").is_in(looks.implode())).is_empty()
    for view in ("forecast_scores", "interval_coverage", "volatility_scores", "model_leaderboard"):
        found = lake.query(f"SELECT basis, value FROM {view} WHERE slice = 'ticker'")
        assert set(found.filter(basis="runs")["value"]) == {"EARLY", "TIMELY"}
        assert set(found.filter(basis=looks[0])["value"]) == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}


def test_a_look_at_the_past_that_never_ended_is_none_either(tmp_path: Path) -> None:
    unfinished = (("failed", date(2020, 1, 2)), ("running", date(2020, 1, 2)), ("failed", None), ("running", None))
    done = (("done", date(2020, 1, 2)),) * 3
    scopes = (*[None] * 4, "whole", "part", None)
    rows = [
        dict.fromkeys(RUNS.polars_schema)
        | {"run_id": str(number), "kind": "run", "status": status, "as_of": day, "scope": scope}
        for number, ((status, day), scope) in enumerate(zip((*unfinished, *done), scopes, strict=True))
    ]
    with Lake(tmp_path / "lake", load_settings().lake, TABLES, views=[sql_dir()]) as lake:
        frame = pl.DataFrame(rows, schema=RUNS.polars_schema)
        lake.commit("rows", lambda transaction: transaction.append(RUNS, frame))
        found = {row["run_id"]: row["basis"] for row in lake.rows("FROM run_basis")}
    assert found == {"0": "0", "1": "1"} | dict.fromkeys("23456", "runs")


def test_forecast_scores(lake: Lake) -> None:
    twin = {}
    for key, part in groups(lake):
        error, moved = part["error"].to_numpy(), part["actual_log_return"].to_numpy()
        told = part["mean_log_return"].to_numpy()
        told_of = (told != 0) & (moved != 0)
        hits, trials = int((np.sign(told) == np.sign(moved))[told_of].sum()), int(told_of.sum())
        interval = wilson(hits, trials) if trials else (None, None)
        twin[key] = (
            part.height,
            pytest.approx(rmse(error)), pytest.approx(mae(error)), pytest.approx(smape(np.exp(told), np.exp(moved))),
            pytest.approx(mase(error, part["naive_scale"].to_numpy())), pytest.approx(part["crps"].to_numpy().mean()),
            hits / trials if trials else None,
            pytest.approx(interval[0], abs=1e-4), pytest.approx(interval[1], abs=1e-4), trials,
        )  # fmt: skip
    found = {
        row[:5]: row[5:]
        for row in lake.query(
            "SELECT basis, model, step, slice, value, forecasts, rmse, mae, smape, mase, crps, directional_accuracy, "
            "directional_lower, directional_upper, directional_forecasts FROM forecast_scores"
        ).iter_rows()
    }
    assert found == twin
    assert {key[3] for key in found} == {"all", "regime", "month", "ticker"}
    bounds = [bound for row in found.values() for bound in row[-3:-1] if bound is not None]
    assert 0 <= min(bounds) <= max(bounds) <= 1


def test_interval_coverage(lake: Lake) -> None:
    twin = {}
    known = lake.read(VOLATILITY).select("run_id", "ticker", "origin_date", "observations").unique()
    words = [(60, "up to 59"), (250, "60 to 249"), (1000, "250 to 999"), (math.inf, "1,000 or more")]
    aged = []
    for (basis, model, step, name, _), part in groups(lake):
        if name == "all":
            ages = part.join(known, on=["run_id", "ticker", "origin_date"])
            by_age = dict.fromkeys(next(word for limit, word in words if n < limit) for n in ages["observations"])
            for word in by_age:
                rows = [next(each for limit, each in words if n < limit) == word for n in ages["observations"]]
                aged.append(((basis, model, step, "age", word), ages.filter(pl.Series(rows))))
    assert len({key[4] for key, _ in aged}) > 1
    for key, part in [*groups(lake), *aged]:
        for level in (0.5, 0.8, 0.9, 0.95):
            held = int(part[f"inside_{level * 100:.0f}"].sum())
            lower, upper = wilson(held, part.height)
            near = (pytest.approx(lower, abs=1e-4), pytest.approx(upper, abs=1e-4))
            twin[*key, level] = (part.height, pytest.approx(held / part.height), *near)
    found = {row[:6]: row[6:] for row in lake.query("FROM interval_coverage").iter_rows()}
    assert found == twin
    bounds = [bound for row in found.values() for bound in row[-2:]]
    assert 0 <= min(bounds) <= max(bounds) <= 1


def test_volatility_scores(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    basis_of, kinds = bases(lake), dict(lake.read(RUNS).select("run_id", "kind").iter_rows())
    foretold = lake.read(VOLATILITY).select(
        "run_id", "ticker", "origin_date", "step", "model", "cumulative_sigma", "regime"
    )
    regimes = {row[:3]: row[3] for row in foretold.select("run_id", "ticker", "origin_date", "regime").iter_rows()}
    fits = lake.read(VOLATILITY_FITS).filter(pl.col("next_sigma").is_not_null(), pl.col("model") != "ewma")
    single = fits.select(
        "run_id", "ticker", "origin_date", pl.lit(1, pl.Int64).alias("step"),
        pl.concat_str("model", pl.lit(" "), "window_size"), pl.col("next_sigma").alias("cumulative_sigma"),
    )  # fmt: skip
    members = lake.read(VOLATILITY_MEMBERS).select(
        "run_id", "ticker", "origin_date", "step", pl.col("member").alias("model"), "cumulative_sigma"
    )
    ranges = {
        (ticker, day): variance if variance is not None and variance > 0 else None
        for ticker, day, variance in returns_and_ranges(lake.read(BARS))
        .select("ticker", "date", "range_variance")
        .iter_rows()
    }
    seen: set[tuple[Any, ...]] = set()
    scores: dict[tuple[Any, ...], list[tuple[float, float, float]]] = {}
    for run_id, ticker, origin, step, model, sigma in (
        pl.concat([foretold.drop("regime"), single, members]).sort("run_id").iter_rows()
    ):
        days = sorted(closes[ticker])
        place = days.index(origin)
        counted = (run_id, "evaluations") if kinds[run_id] == "evaluate" else (basis_of[run_id],)
        if place + step >= len(days) or (counted, model, step, ticker, origin) in seen:
            continue
        seen.add((counted, model, step, ticker, origin))
        path = [closes[ticker][day] for day in days[place : place + step + 1]]
        ratio = sum(math.log(after / before) ** 2 for before, after in pairwise(path)) / sigma**2
        bars = [ranges[ticker, day] for day in days[place + 1 : place + step + 1]]
        known = [variance for variance in bars if variance is not None]
        ranged = math.log(sigma**2) + sum(known) / sigma**2 if len(known) == step else math.nan
        for basis, (name, value) in product(
            counted,
            (
                ("all", None),
                ("regime", regimes[run_id, ticker, origin]),
                ("month", days[place + step].strftime("%Y-%m")),
                ("ticker", ticker),
            ),
        ):
            scores.setdefault((basis, name, value, model, step), []).append((math.log(sigma**2) + ratio, ratio, ranged))
    twin = {}
    for key, own in scores.items():
        losses, ratios, of_ranges = (np.array(part) for part in zip(*own, strict=True))
        finite = of_ranges[np.isfinite(of_ranges)]
        expected = pytest.approx(finite.mean()) if len(finite) else None
        twin[key] = (len(own), pytest.approx(losses.mean()), pytest.approx(ratios.mean()), len(finite), expected)
    assert any(row[3] for row in twin.values())
    assert {row[:5]: row[5:] for row in lake.query("FROM volatility_scores").iter_rows()} == twin


def apart(windows: list[tuple[Any, Any]]) -> list[Any]:
    """Return the cutoffs of windows (cutoff, last target) that do not overlap, the oldest first."""
    kept: list[tuple[Any, Any]] = []
    for window in windows:
        if not kept or window[0] >= kept[-1][1]:
            kept.append(window)
    return [cutoff for cutoff, _ in kept]


def test_model_leaderboard(lake: Lake) -> None:
    base = lake.query("FROM scored_forecasts").filter(model="martingale")
    own = dict(groups(lake))
    found = lake.query("FROM model_leaderboard")
    keys = ("basis", "model", "step", "slice", "value")
    assert {row[:5] for row in found.select(*keys).iter_rows()} == own.keys()
    for row in found.iter_rows(named=True):
        pair = own[tuple(row[key] for key in keys)].join(
            base, on=["basis", "ticker", "origin_date", "step"], suffix="_base"
        )
        assert row["forecasts"] == pair.height
        assert row["relative_rmse"] == pytest.approx(
            rmse(pair["error"].to_numpy()) / rmse(pair["error_base"].to_numpy())
        )
        assert row["relative_crps"] == pytest.approx(pair["crps"].to_numpy().sum() / pair["crps_base"].to_numpy().sum())
        gain = (
            pair.group_by("cutoff")
            .agg(
                known=pl.col("outcome_date").max(),
                by_error=((pl.col("error_base") ** 2 - pl.col("error") ** 2) / pl.col("sigma_base") ** 2).mean(),
                by_crps=((pl.col("crps_base") - pl.col("crps")) / pl.col("sigma_base")).mean(),
            )
            .sort("cutoff")
        )
        gain = gain.filter(pl.col("cutoff").is_in(apart(gain.select("cutoff", "known").rows())))
        assert row["dates"] == gain.height
        for column, statistic in (("by_error", "gain_t"), ("by_crps", "crps_gain_t")):
            values = gain[column].to_numpy()
            if len(values) < 2 or np.ptp(values) == 0:
                assert row[statistic] is None
            else:
                assert row[statistic] == pytest.approx(values.mean() / values.std(ddof=1) * len(values) ** 0.5)
    for rows in found.partition_by("basis", "step", "slice", "value"):
        full = rows.filter(pl.col("forecasts") == pl.col("forecasts").max()).sort("relative_crps", "model")
        assert full["place"].to_list() == sorted(full["place"].to_list())
        assert full["place"][0] == 1
        assert rows.filter(pl.col("forecasts") < pl.col("forecasts").max())["place"].is_null().all()
        assert (rows["missing"] == rows["forecasts"].max() - rows["forecasts"]).all()


def test_a_ticker_forecast_from_an_older_bar_adds_no_date(lake: Lake) -> None:
    late = lake.query(
        "FROM scored_forecasts WHERE ticker = 'LATE' AND model = 'ensemble' AND step = 5 AND basis <> 'evaluations'"
    )
    assert late.height == 4
    assert (late["origin_date"] < late["cutoff"]).all()
    counted = lake.query(
        "SELECT dates, forecasts FROM model_leaderboard WHERE basis = ? AND slice = 'all' AND model = 'ensemble' "
        "AND step = 5",
        [late["run_id"][0]],
    )
    assert counted.rows() == [(4, 12)]


def test_overlapping_windows_are_not_counted(lake: Lake) -> None:
    """Runs forecast from every session; at five sessions ahead, only every fifth of them starts a new window."""
    counted = dict(
        lake.query("SELECT step, max(dates) FROM model_leaderboard WHERE basis = 'runs' GROUP BY step").iter_rows()
    )
    days = lake.query("SELECT count(DISTINCT origin_date) FROM scored_forecasts WHERE basis = 'runs'").item()
    assert counted[1] == days
