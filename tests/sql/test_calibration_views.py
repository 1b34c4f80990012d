"""Views of what signals, their probabilities and edges were worth, against twins made of plain loops and scipy."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.optimize import isotonic_regression

from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.quality import BARS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.tables.volatility import VOLATILITY

sys.path.insert(0, str(Path(__file__).parent))  # scripts of the tests, which are no package
from memory import Memory

FIRST = date(2024, 1, 1)
DAYS, HORIZON, COST = 90, 5, 0.01
TICKERS = ["A", "B", "C", "D", "E"]
REGIMES = ["low", "middle", "high"]


def day(place: int) -> date:
    return FIRST + timedelta(days=place)


class World:
    """Bars of some tickers, and a night on every day that decides on all of them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.memory = Memory()
        self.close = {name: 50 * np.exp(np.cumsum(0.02 * rng.standard_normal(DAYS))) for name in TICKERS}
        self.open = {name: values * np.exp(0.005 * rng.standard_normal(DAYS)) for name, values in self.close.items()}
        bars = [
            {"ticker": name, "date": day(place), "close": 2 * self.close[name][place], "adj_factor": 0.5,
             "open": None if name == "E" else 2 * self.open[name][place], "batch_id": "b"}
            for name in TICKERS for place in range(DAYS)
        ]  # fmt: skip
        self.signals: list[dict[str, Any]] = []
        self.forecasts: list[dict[str, Any]] = []
        runs: list[dict[str, Any]] = []
        weights: list[dict[str, Any]] = []
        volatility: list[dict[str, Any]] = []
        for place in range(20, DAYS):
            for turn, run in enumerate((f"night{place:03d}", f"again{place:03d}")):
                runs.append(
                    {"run_id": run, "kind": "run", "status": "done", "scope": "whole", "as_of": day(place),
                     "started_at": datetime.combine(day(place), time(turn))}
                )  # fmt: skip
                for name in TICKERS:
                    common = {"run_id": run, "ticker": name, "cutoff": day(place), "origin_date": day(place)}
                    gain = float(np.round(rng.uniform(0.05, 0.9), int(rng.integers(1, 3))))
                    p_value = float(rng.uniform() ** 4)
                    action = str(rng.choice(["BUY", "SELL", "HOLD"]))
                    self.signals.append(common | {
                        "target_date": day(place + HORIZON), "horizon": HORIZON, "action": action,
                        "probability_gain": gain, "probability_loss": round(0.95 - gain, 2), "confidence": gain,
                        "round_trip_cost": COST, "forecast_run_id": run, "volatility_run_id": run,
                        "false_discovery_rate": 0.1, "lower": -0.1, "upper": 0.1, "expected_return": 0.0,
                    })  # fmt: skip
                    weights.append(common | {
                        "model": "ensemble", "dm_p_value": p_value, "evidence": "own",
                        "verdict": "edge" if p_value < 0.05 else "no edge",
                    })  # fmt: skip
                    volatility += [common | {"step": step, "regime": REGIMES[place % 3]} for step in (1, HORIZON)]
                    mean = float(0.02 * rng.standard_normal())
                    self.forecasts += [common | {
                        "model": model, "step": HORIZON, "target_date": day(place + HORIZON), "origin_close": 100.0,
                        "mean_log_return": mean if model == "ensemble" else 0.0, "sigma": 0.05,
                        "regime": REGIMES[place % 3],
                        **{quantile_column("q", level): 100 * float(np.exp(mean + 0.1 * (level - 0.5)))
                           for level in QUANTILES},
                    } for model in ("ensemble", "martingale")]  # fmt: skip
        events_of = [
            {"run_id": run["run_id"], "stage": stage, "attempt": 1, "status": "done", "output_run_id": run["run_id"],
             "snapshot_id": 7}
            for run in runs for stage in ("signals", "forecast")
        ]  # fmt: skip
        for table, rows in (
            (STAGE_EVENTS, events_of), (BARS, bars), (RUNS, runs), (SIGNALS, self.signals),
            (MODEL_WEIGHTS, weights), (VOLATILITY, volatility),
            (FORECASTS, self.forecasts),
        ):  # fmt: skip
            self.memory.put(table, rows)
        self.weights = {(row["run_id"], row["ticker"]): row for row in weights}

    def realised(self, name: str, origin: date, start: str = "close") -> float:
        place = (origin - FIRST).days
        last = self.close[name][place + HORIZON]
        return float(last / (self.close[name][place] if start == "close" else self.open[name][place + 1]) - 1)

    def counted(self) -> list[dict[str, Any]]:
        """Return the signals of the first run of each day whose horizon is over."""
        last = DAYS - 1 - HORIZON
        return [row for row in self.signals if row["run_id"][:5] == "night" and (row["cutoff"] - FIRST).days <= last]

    def edges(self) -> dict[tuple[str, str], str]:
        """Return the kind of each edge of a run, with the rule of Benjamini and Hochberg as the paper words it."""
        found = {}
        for run in {run for run, _ in self.weights}:
            p_values = sorted(self.weights[run, name]["dm_p_value"] for name in TICKERS)
            passed = [p for place, p in enumerate(p_values, start=1) if p <= 0.1 * place / len(TICKERS)]
            for name in TICKERS:
                own = self.weights[run, name]
                kind = "claimed" if own["verdict"] == "edge" else "none"
                found[run, name] = (
                    "discovered" if kind == "claimed" and passed and own["dm_p_value"] <= passed[-1] else kind
                )
        return found


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_a_signal_is_followed_from_the_next_open(world: World) -> None:
    found = {
        (row["run_id"], row["ticker"]): row for row in world.memory.rows("FROM signal_results WHERE basis = 'runs'")
    }
    assert len(found) == sum(row["cutoff"] < day(DAYS - 1) for row in world.signals)
    for row in world.counted():
        result = found[row["run_id"], row["ticker"]]
        assert (result["entry_date"], result["last_date"], result["complete"]) == (
            row["cutoff"] + timedelta(days=1), row["target_date"], True,
        )  # fmt: skip
        assert result["realised_return"] == pytest.approx(world.realised(row["ticker"], row["cutoff"]))
        if row["ticker"] == "E":  # its bars have no open
            assert (result["entry_price"], result["result"], result["net_result"]) == (None, None, None)
            continue
        own = world.realised(row["ticker"], row["cutoff"], "open")
        assert result["entry_price"] == pytest.approx(2 * world.open[row["ticker"]][(row["cutoff"] - FIRST).days + 1])
        assert result["result"] == pytest.approx(own)
        assert (1 + result["gap"]) * (1 + result["result"]) - 1 == pytest.approx(result["realised_return"])
        net = {"BUY": own - COST, "SELL": -own - COST}.get(row["action"])
        assert result["net_result"] == (net if net is None else pytest.approx(net))


def events(world: World, event: str, slice_: str, value: str | None) -> list[tuple[date, float, int]]:
    """Return the origin date, the rounded probability and the outcome of the signals of a slice."""
    edges = world.edges()
    found = []
    for row in world.counted():
        own = {
            "all": None, "action": row["action"], "horizon": str(HORIZON),
            "regime": REGIMES[(row["cutoff"] - FIRST).days % 3], "edge": edges[row["run_id"], row["ticker"]],
        }[slice_]  # fmt: skip
        if own == value:
            made = world.realised(row["ticker"], row["cutoff"])
            probability = row[f"probability_{event}"]
            found.append((row["cutoff"], probability, int(made > COST if event == "gain" else made < -COST)))
    return found


SLICES = [
    ("gain", "all", None), ("loss", "all", None), ("gain", "action", "BUY"), ("gain", "horizon", "5"),
    ("loss", "regime", "middle"), ("gain", "edge", "discovered"), ("loss", "edge", "none"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "slice_", "value"), SLICES)
def test_calibration_is_that_of_loops_and_of_scipys_isotonic_regression(
    world: World, event: str, slice_: str, value: str | None
) -> None:
    where = f"basis = 'runs' AND event = '{event}' AND slice = '{slice_}' AND value IS NOT DISTINCT FROM "
    where += "NULL" if value is None else f"'{value}'"
    (row,) = world.memory.rows(f"FROM signal_calibration WHERE {where}")
    own = events(world, event, slice_, value)
    p = np.array([probability for _, probability, _ in own])
    rounded = world.memory.query(f"FROM reliability WHERE {where} ORDER BY probability")
    o = np.array([happened for _, _, happened in own], dtype=float)
    assert row["signals"] == len(o) > 10
    groups = sorted(set(p.round(2)))
    counts = np.array([(p.round(2) == group).sum() for group in groups], dtype=float)
    means = np.array([o[p.round(2) == group].mean() for group in groups])
    assert rounded["probability"].to_numpy() == pytest.approx(np.array(groups))
    assert rounded["signals"].to_list() == counts.tolist()
    assert rounded["came_true"].to_numpy() == pytest.approx(means)
    isotonic = isotonic_regression(means, weights=counts).x
    assert rounded["isotonic"].to_numpy() == pytest.approx(isotonic)
    fitted = isotonic[[groups.index(value) for value in p.round(2)]]
    assert row["brier"] == pytest.approx(np.mean((p - o) ** 2))
    assert row["brier"] == pytest.approx(row["reliability"] - row["resolution"] + row["uncertainty"])
    assert row["brier"] == pytest.approx(row["miscalibration"] - row["discrimination"] + row["uncertainty"])
    assert row["uncertainty"] == pytest.approx(o.var())
    assert row["miscalibration"] == pytest.approx(np.mean((p - o) ** 2) - np.mean((fitted - o) ** 2))
    assert row["miscalibration"] > -1e-12
    assert row["discrimination"] > -1e-12
    assert row["skill"] == pytest.approx(1 - np.mean((p - o) ** 2) / o.var())
    # Dates whose horizons do not overlap, each once.
    daily: dict[date, list[float]] = {}
    for (origin, _, happened), probability in zip(own, p, strict=True):
        daily.setdefault(origin, []).append(happened - probability)
    kept: list[date] = []
    for origin in sorted(daily):
        if not kept or (origin - kept[-1]).days >= HORIZON:
            kept.append(origin)
    excess = np.array([np.mean(daily[origin]) for origin in kept])
    assert row["dates"] == len(kept)
    if len(kept) < 8:
        assert row["bias_t"] is None
    else:
        assert row["bias_t"] == pytest.approx(excess.mean() / excess.std(ddof=1) * len(kept) ** 0.5)


def test_the_dates_of_a_test_never_overlap(world: World) -> None:
    """Each of 65 nights has an outcome, and no more than every fifth of them counts."""
    for row in world.memory.rows("FROM signal_calibration WHERE basis = 'runs' AND slice = 'all'"):
        assert row["dates"] == len(range(20, DAYS - HORIZON, HORIZON))


def test_murphys_parts_are_those_worked_out_by_hand() -> None:
    """Forecasts .1 ×5, .5 ×4, .8 ×5, .9 ×2 with outcomes 00001 1010 11101 11: shared/ORACLES."""
    memory = Memory()
    probabilities = [0.1] * 5 + [0.5] * 4 + [0.8] * 5 + [0.9] * 2
    outcomes = "0000110101110111"
    bars, signals = [], []
    for place, (probability, happened) in enumerate(zip(probabilities, outcomes, strict=True)):
        name = f"T{place:02d}"
        for later, close in enumerate((100.0, 110.0 if happened == "1" else 100.0)):
            bars.append({"ticker": name, "date": day(later), "close": close, "adj_factor": 1.0, "batch_id": "b"})
        signals.append(
            {"run_id": "r", "ticker": name, "cutoff": day(0), "origin_date": day(0), "target_date": day(1),
             "horizon": 1, "action": "HOLD", "probability_gain": probability, "probability_loss": 0.0,
             "round_trip_cost": 0.01, "confidence": 0.5}
        )  # fmt: skip
    memory.put(BARS, bars)
    memory.put(SIGNALS, signals)
    memory.put(
        RUNS,
        [
            {
                "run_id": "r",
                "kind": "run",
                "status": "done",
                "scope": "whole",
                "started_at": datetime.combine(day(0), time()),
            }
        ],
    )
    (row,) = memory.rows("FROM signal_calibration WHERE event = 'gain' AND slice = 'all'")
    assert row["brier"] == pytest.approx(0.166875)
    assert row["reliability"] == pytest.approx(0.004375)
    assert row["resolution"] == pytest.approx(0.08359375)
    assert row["uncertainty"] == pytest.approx(0.24609375)
    assert (row["signals"], row["dates"], row["bias_t"]) == (16, 1, None)


def test_the_transform_counts_outcomes_between_quantiles(world: World) -> None:
    levels = [0.0, *QUANTILES, 1.0]
    counts = np.zeros(10)
    for row in world.forecasts:
        place = (row["cutoff"] - FIRST).days
        if row["model"] == "ensemble" and row["run_id"][:5] == "night" and place < DAYS - HORIZON:
            actual = 100 * (1 + world.realised(row["ticker"], row["cutoff"]))
            counts[np.searchsorted([row[quantile_column("q", level)] for level in QUANTILES], actual)] += 1
    found = world.memory.query(
        "FROM forecast_pit WHERE basis = 'runs' AND model = 'ensemble' AND slice = 'all' ORDER BY lower"
    )
    assert found["inside"].to_list() == counts.tolist()
    assert (counts > 0).all()
    assert found["lower"].to_list() == levels[:-1]
    assert found["upper"].to_list() == levels[1:]
    assert found["forecasts"].unique().to_list() == [counts.sum()]
    assert found["share"].to_numpy() == pytest.approx(counts / counts.sum())
    assert found["expected"].to_numpy() == pytest.approx(np.diff(levels))
    regimes = world.memory.query("FROM forecast_pit WHERE basis = 'runs' AND model = 'ensemble' AND slice = 'regime'")
    assert regimes.group_by("lower").agg(pl.col("inside").sum()).sort("lower")["inside"].to_list() == counts.tolist()


def test_edges_are_compared_with_no_change_on_dates_that_do_not_overlap(world: World) -> None:
    edges = world.edges()
    for kind in ("discovered", "claimed", "none"):
        own = [
            row for row in world.forecasts
            if row["model"] == "ensemble" and row["run_id"][:5] == "night"
            and (row["cutoff"] - FIRST).days < DAYS - HORIZON and edges[row["run_id"], row["ticker"]] == kind
        ]  # fmt: skip
        actual = np.log([1 + world.realised(row["ticker"], row["cutoff"]) for row in own])
        mean = np.array([row["mean_log_return"] for row in own])
        (found,) = world.memory.rows(f"FROM edge_results WHERE basis = 'runs' AND edge = '{kind}'")
        assert found["forecasts"] == len(own) > 3
        assert found["relative_rmse"] == pytest.approx(np.sqrt(((actual - mean) ** 2).sum() / (actual**2).sum()))
        assert found["right_sign"] == pytest.approx(np.mean(actual * mean > 0))
        daily: dict[date, list[float]] = {}
        for row, a, m in zip(own, actual, mean, strict=True):
            daily.setdefault(row["cutoff"], []).append((a**2 - (a - m) ** 2) / 0.05**2)
        kept: list[date] = []
        for cutoff in sorted(daily):
            if not kept or (cutoff - kept[-1]).days >= HORIZON:
                kept.append(cutoff)
        gains = np.array([np.mean(daily[cutoff]) for cutoff in kept])
        assert found["dates"] == len(kept)
        t = gains.mean() / gains.std(ddof=1) * len(kept) ** 0.5 if len(kept) >= 8 else None
        assert found["gain_t"] == (t if t is None else pytest.approx(t))


def test_each_night_shows_what_was_tested_and_what_survived(world: World) -> None:
    edges = world.edges()
    for row in world.memory.rows("FROM discovery_nights"):
        own = [world.weights[row["run_id"], name] for name in TICKERS]
        kinds = [edges[row["run_id"], name] for name in TICKERS]
        assert (row["signals"], row["tested"], row["by_chance"]) == (5, 5, pytest.approx(0.25))
        assert row["below_5"] == sum(weight["dm_p_value"] < 0.05 for weight in own) == row["claimed"]
        assert row["discovered"] == kinds.count("discovered")
        assert row["smallest_p"] == min(weight["dm_p_value"] for weight in own)
        assert row["discovered"] == 0 or row["smallest_q"] <= 0.1


def test_equal_weights_are_of_the_night_before(world: World) -> None:
    found = world.memory.query("FROM equal_weights ORDER BY date")
    assert found["date"].to_list() == [day(place) for place in range(21, DAYS)]
    twin = [
        np.mean([world.close[name][place] / world.close[name][place - 1] - 1 for name in TICKERS])
        for place in range(21, DAYS)
    ]
    assert found["daily_return"].to_numpy() == pytest.approx(np.array(twin))
    assert found["growth"].to_numpy() == pytest.approx(np.cumprod(1 + np.array(twin)))
    assert found["run_id"].to_list() == [f"again{place - 1:03d}" for place in range(21, DAYS)]


def test_the_track_record_has_each_night_once(world: World) -> None:
    found = world.memory.query("FROM track_record ORDER BY night")
    assert found["night"].to_list() == [day(place) for place in range(20, DAYS)]
    assert found["run_id"].to_list() == [f"night{place:03d}" for place in range(20, DAYS)]
    grown = np.cumprod(
        [1.0]
        + [
            1 + np.mean([after / before - 1 for before, after in pairs])
            for place in range(20, DAYS - 1)
            for pairs in [[next(pairwise(world.close[name][place : place + 2])) for name in TICKERS]]
        ]
    )
    assert found["equal_growth"].to_numpy() == pytest.approx(grown)
    for row in found.iter_rows(named=True):
        own = [signal for signal in world.signals if signal["run_id"] == row["run_id"]]
        over = [signal for signal in own if (signal["cutoff"] - FIRST).days < DAYS - HORIZON]
        assert (row["signals"], row["resolved"]) == (len(own), len(over))
        assert row["acted"] == sum(signal["action"] != "HOLD" for signal in own)
        assert row["due"] == (None if over else own[0]["target_date"])
        if not over:
            assert (row["came_true"], row["brier"], row["inside_90"], row["relative_crps"]) == (None,) * 4
            continue
        made = [world.realised(signal["ticker"], signal["cutoff"]) for signal in over]
        judged = {"BUY": lambda r: r > COST, "SELL": lambda r: r < -COST, "HOLD": lambda r: abs(r) <= COST}
        assert row["came_true"] == pytest.approx(
            np.mean([judged[signal["action"]](value) for signal, value in zip(over, made, strict=True)])
        )
        assert row["forecasts"] == len(over)
        results = [
            world.realised(signal["ticker"], signal["cutoff"], "open") * (1 if signal["action"] == "BUY" else -1) - COST
            for signal in over
            if signal["action"] != "HOLD" and signal["ticker"] != "E"
        ]
        assert row["net_result"] == (pytest.approx(np.mean(results)) if results else None)


def test_nothing_resolved_yet_gives_no_row_and_a_date_that_it_is_due() -> None:
    memory = Memory()
    memory.put(BARS, [{"ticker": "A", "date": day(0), "close": 1.0, "adj_factor": 1.0, "batch_id": "b"}])
    started = {
        "kind": "run",
        "status": "done",
        "scope": "whole",
        "started_at": datetime.combine(day(0), time()),
        "as_of": day(0),
    }
    memory.put(RUNS, [started | {"run_id": "r"}])
    memory.put(SIGNALS, [{"run_id": "r", "ticker": "A", "cutoff": day(0), "origin_date": day(0), "horizon": 5,
                          "target_date": day(7), "action": "HOLD"}])  # fmt: skip
    memory.put(STAGE_EVENTS, [
        {"run_id": "r", "stage": stage, "attempt": 1, "status": "done", "output_run_id": "r"}
        for stage in ("signals", "forecast")
    ])  # fmt: skip
    for view in ("signal_results", "signal_calibration", "reliability", "edge_results", "forecast_pit"):
        assert memory.query(f"FROM {view}").is_empty(), view
    (row,) = memory.rows("FROM track_record")
    assert (row["signals"], row["resolved"], row["due"], row["account"]) == (1, 0, day(7), None)
