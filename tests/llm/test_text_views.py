"""The views of sentiment and of opinions, held to the same tests computed in Python."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import t as student

from pm.lake import Lake
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.statistics.diebold_mariano import diebold_mariano
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import EXCLUSIONS, RUNS, STAGE_EVENTS
from pm.tables.quality import BARS
from pm.tables.signals import SIGNALS
from pm.tables.sources import RAW_TEXTS
from pm.tables.texts import LLM_OPINIONS, TEXT_SENTIMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.tables.declaration import Table

    Put = Callable[[Table, list[dict[str, Any]]], None]

START = date(2024, 1, 1)
SHA = "5" * 64


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with Lake(tmp_path / "lake", load_settings().lake, TABLES, views=[sql_dir()]) as opened:
        yield opened


@pytest.fixture
def put(lake: Lake) -> Put:
    def write(table: Table, rows: list[dict[str, Any]]) -> None:
        frame = pl.DataFrame(rows, schema=table.polars_schema)
        lake.commit("rows", lambda transaction: transaction.append(table, frame))

    return write


def day(number: int) -> date:
    return START + timedelta(days=number)


def moment(number: int, hour: int = 0) -> datetime:
    return datetime.combine(day(number), datetime.min.time()) + timedelta(hours=hour)


def landed(put: Put, texts: list[dict[str, Any]], *, came: int = 1, read: int = 13, run: str = "r1") -> None:
    """Store readings, each of a run that ends so many hours after midnight, and the texts, which came earlier."""
    texts = [row | {"run_id": f"{run}{number:04d}"} for number, row in enumerate(texts)]
    put(TEXT_SENTIMENT, texts)
    put(RAW_TEXTS, [{key: row[key] for key in ("ticker", "source", "source_id", "published_at")}
                    | {"fetched_at": row["published_at"] + timedelta(hours=came)} for row in texts])  # fmt: skip
    put(STAGE_EVENTS, [{"run_id": row["run_id"], "stage": "sentiment", "attempt": 1, "status": "done",
                        "finished_at": row["published_at"] + timedelta(hours=read)} for row in texts])  # fmt: skip


def text(number: int, ticker: str, probability: float | None, **changed: object) -> dict[str, object]:
    row: dict[str, object] = {
        "ticker": ticker, "source": "files", "source_id": f"{ticker}{number}", "session": day(number),
        "published_at": moment(number), "opens_at": moment(number, 14), "probability_positive": probability,
        "sentiment": None if probability is None else "positive" if probability > 0.5 else "negative",
        "model": "default", "model_sha256": SHA, "run_id": "r1", "snapshot_id": 1, "cutoff": day(number),
    }  # fmt: skip
    return row | changed


def test_texts_count_once_and_unclear_ones_as_nothing(lake: Lake, put: Put) -> None:
    put(
        TEXT_SENTIMENT,
        [
            text(1, "A", 0.9),
            text(1, "A", 0.6, source_id="u", sentiment="unclear"),
            text(1, "A", None, source_id="d", duplicate_of="files:A1"),
            text(2, "A", 0.1),
            text(2, "A", 0.8, model_sha256="6" * 64, run_id="r2"),  # another model has read it since
        ],
    )
    first, second = lake.rows("FROM ticker_sentiment ORDER BY session")
    assert (first["texts"], first["duplicates"], first["positive"], first["unclear"]) == (2, 1, 1, 1)
    assert first["sentiment"] == pytest.approx(0.8 / 2)
    assert (second["texts"], second["sentiment"]) == (1, pytest.approx(0.6))


@pytest.mark.parametrize(("sessions", "useful"), [(0, 0.0), (60, 0.9), (180, 0.0), (180, 0.9)])
def test_the_edge_of_sentiment_is_the_test_of_diebold_and_mariano(
    lake: Lake, put: Put, sessions: int, useful: float
) -> None:
    rng = np.random.default_rng(3)
    texts, bars, known = [], [], []
    for number in range(sessions):
        for ticker in ("A", "B"):
            probability = float(rng.uniform(0.05, 0.95))
            change = 0.01 * (useful * (2 * probability - 1) + float(rng.normal()))
            texts.append(text(number, ticker, probability))
            bars.append(
                {"ticker": ticker, "date": day(number), "open": 100.0, "high": 200.0, "low": 50.0,
                 "close": 100 * float(np.exp(change)), "adj_factor": 1.0}
            )  # fmt: skip
            known.append((number, 2 * probability - 1, change))
    landed(put, texts)
    put(BARS, bars)
    (edge,) = lake.rows("FROM sentiment_edge")
    assert edge["basis"] == "runs"
    table = np.array(known).reshape(-1, 3)
    gains, squares, base = [], 0.0, 0.0
    for number in range(20, sessions):
        before, now = table[table[:, 0] < number], table[table[:, 0] == number]
        slope = before[:, 1] @ before[:, 2] / (before[:, 1] @ before[:, 1])
        error = now[:, 2] - slope * now[:, 1]
        gains.append(np.mean(now[:, 2] ** 2 - error**2))
        squares, base = squares + error @ error, base + now[:, 2] @ now[:, 2]
    assert (edge["sessions"], edge["forecasts"]) == (len(gains), 2 * len(gains))
    assert edge["verdict"] == ("proven" if sessions == 180 and useful else "not proven")
    assert edge["reason"].endswith(".")
    if gains:
        tested = diebold_mariano(np.array(gains), alternative="greater")
        assert edge["statistic"] == pytest.approx(tested.statistic, rel=1e-6)
        assert edge["critical"] == pytest.approx(student.ppf(0.95, len(gains) - 1), abs=1e-3)
        assert edge["relative_rmse"] == pytest.approx(np.sqrt(squares / base), rel=1e-6)
    else:
        assert "the test needs 100" in edge["reason"]


@pytest.mark.parametrize(("came", "read"), [(1, 14), (14, 13), (9000, 9001)], ids=["read late", "came late", "years"])
def test_texts_read_in_hindsight_prove_no_edge(lake: Lake, put: Put, came: int, read: int) -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.uniform(0.05, 0.95, 180)
    landed(put, [text(number, "A", float(probability)) for number, probability in enumerate(probabilities)],
           came=came, read=read)  # fmt: skip
    put(
        BARS,
        [
            {"ticker": "A", "date": day(number), "open": 100.0, "high": 200.0, "low": 50.0, "adj_factor": 1.0,
             "close": 100 * float(np.exp(0.02 * (2 * probability - 1) + 0.001 * rng.normal()))}
            for number, probability in enumerate(probabilities)
        ],
    )  # fmt: skip
    hindsight, runs = lake.rows("FROM sentiment_edge ORDER BY basis")
    assert (runs["basis"], runs["sessions"], runs["verdict"]) == ("runs", 0, "not proven")
    assert (hindsight["basis"], hindsight["sessions"], hindsight["verdict"]) == ("hindsight", 160, "not proven")
    assert hindsight["statistic"] > hindsight["critical"]
    assert "prove nothing" in hindsight["reason"]


def test_a_later_reading_by_another_model_leaves_the_one_in_time(lake: Lake, put: Put) -> None:
    landed(put, [text(1, "A", 0.9)])
    put(TEXT_SENTIMENT, [text(1, "A", 0.1, model_sha256="6" * 64, run_id="r9")])
    found = {row["basis"]: row["sentiment"] for row in lake.rows("FROM ticker_sentiment")}
    assert found == {"runs": pytest.approx(0.8), "hindsight": pytest.approx(-0.8)}


def opinion(number: int, ticker: str, probability: float, **changed: object) -> dict[str, object]:
    row: dict[str, object] = {
        "ticker": ticker, "origin_date": day(number), "next_session": day(number + 1), "horizon": 2,
        "action": "BUY", "probability_up": probability,
        "time_series_primary": True, "model": "default", "model_sha256": SHA, "run_id": f"r{number:03d}",
        "snapshot_id": 1, "cutoff": day(number), "reason": "so",
    }  # fmt: skip
    return row | changed


def run_rows(names: list[str], scope: str = "whole") -> list[dict[str, object]]:
    start = datetime(2024, 1, 1)  # noqa: DTZ001 - as the lake has it
    return [
        {"run_id": name, "kind": "run", "status": "done", "started_at": start + timedelta(hours=place), "scope": scope,
         "finished_at": start + timedelta(hours=place, minutes=1)}
        for place, name in enumerate(names)
    ]  # fmt: skip


def history(put: Put, *, days: int, skill: float, tickers: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Store opinions of each day, and bars in which they are right with some skill; return the gains by day."""
    rng = np.random.default_rng(5)
    names = [f"T{number}" for number in range(tickers)]
    closes = 100 * np.exp(np.cumsum(0.01 * rng.normal(size=(days + 2, tickers)), axis=0))
    put(RUNS, run_rows([f"r{number:03d}" for number in range(days)]))
    put(
        BARS,
        [
            {"ticker": name, "date": day(number), "close": float(closes[number, place]), "adj_factor": 1.0}
            for number in range(days + 2)
            for place, name in enumerate(names)
        ],
    )
    rises = (closes[2:] > closes[:-2]).astype(float)
    probability = np.clip(0.5 + skill * (rises - 0.5) + 0.1 * rng.normal(size=rises.shape), 0.02, 0.98)
    put(
        LLM_OPINIONS,
        [
            opinion(number, name, float(probability[number, place]))
            for number in range(days)
            for place, name in enumerate(names)
        ],
    )
    return 0.25 - (probability - rises) ** 2, probability


@pytest.mark.parametrize(("days", "skill", "beats"), [(10, 0.8, False), (60, 0.4, True), (60, 0.0, False)])
def test_a_model_has_beaten_the_martingale_if_diebold_and_mariano_say_so(
    lake: Lake, put: Put, days: int, skill: float, *, beats: bool
) -> None:
    gains, _ = history(put, days=days, skill=skill)
    (score,) = lake.rows("FROM llm_scores")
    apart = gains.mean(axis=1)[::2]  # horizons of two days, that do not overlap
    tested = diebold_mariano(apart, alternative="greater")
    assert (score["basis"], score["calls"], score["dates"]) == ("runs", gains.size, len(apart))
    assert score["statistic"] == pytest.approx(tested.statistic, rel=1e-6)
    if len(apart) >= 8:
        assert score["critical"] == pytest.approx(student.ppf(0.95, len(apart) - 1), abs=1e-3)
        assert beats == (tested.p_value < 0.05)
    else:
        assert score["critical"] is None
    assert score["beats_martingale"] is beats
    assert score["brier"] == pytest.approx(float(np.mean(0.25 - gains)))


def route(lake: Lake, put: Put, *, run: str, primary: bool = True) -> dict[str, dict[str, Any]]:
    """Store a newest run: ticker F has a fresh signal, S a stale one, M none, and N not even an opinion.

    The market of C, which has no signal, was closed on the last days, so that its older bar is the newest there can be.
    """
    put(RUNS, [row | {"finished_at": datetime(2025, 1, 1), "as_of": day(0)} for row in run_rows([run])])  # noqa: DTZ001
    stages = ("signals", "forecast", "opinions")
    put(
        STAGE_EVENTS,
        [{"run_id": run, "stage": stage, "attempt": 1, "status": "done", "output_run_id": run} for stage in stages],
    )
    stamp = {"run_id": run, "snapshot_id": 1, "cutoff": day(0)}
    put(SIGNALS, [{"ticker": ticker, "action": "HOLD", **stamp} for ticker in "FS"])
    put(
        EXCLUSIONS,
        [
            {"stage": "forecast", "ticker": "S", "reason": "late", "detail": "An old bar.", **stamp},
            {"stage": "forecast", "ticker": "M", "reason": "too_few_bars", "detail": "Too few.", **stamp},
            {"stage": "forecast", "ticker": "N", "reason": "no_prices", "detail": "None.", **stamp},
            {"stage": "forecast", "ticker": "C", "reason": "too_few_bars", "detail": "Too few.", **stamp},
        ],
    )
    old = {"S": {"origin_date": day(-9), "next_session": day(-8)}, "C": {"origin_date": day(-2)}}
    stamped = {"run_id": run, "time_series_primary": primary, "cutoff": day(0)}
    put(LLM_OPINIONS, [opinion(0, name, 0.9, **stamped, **old.get(name, {})) for name in "FSMC"])
    return {row["ticker"]: row for row in lake.rows("FROM signal_routing")}


def test_an_unproven_model_abstains_everywhere_and_says_why(lake: Lake, put: Put) -> None:
    history(put, days=10, skill=0.8)
    found = route(lake, put, run="z")
    assert {name: row["route"] for name, row in found.items()} == {
        "F": "time_series", "S": "none", "M": "none", "N": "none", "C": "none",
    }  # fmt: skip
    assert found["F"]["action"] == "HOLD"
    assert found["S"]["action"] is None
    assert "An old bar." in found["S"]["signal_problem"]
    assert "the test needs 100" in found["M"]["abstains_because"]
    assert found["N"]["abstains_because"] == "The language model has no opinion."


def test_without_any_resolved_opinion_it_abstains(lake: Lake, put: Put) -> None:
    found = route(lake, put, run="z")
    assert found["M"]["route"] == "none"
    assert found["M"]["abstains_because"] == "None of its opinions is resolved yet, and the test needs 100."


@pytest.mark.parametrize("primary", [True, False])
def test_a_proven_model_counts_where_there_is_no_fresh_signal(lake: Lake, put: Put, *, primary: bool) -> None:
    history(put, days=60, skill=0.4)
    found = route(lake, put, run="z", primary=primary)
    assert found["F"]["route"] == ("time_series" if primary else "model")
    assert found["F"]["action"] == ("HOLD" if primary else "BUY")
    assert [found[name]["route"] for name in "SMNC"] == ["none", "model", "none", "model"]
    assert [found[name]["action"] for name in "SMNC"] == [None, "BUY", None, "BUY"]
    assert found["S"]["abstains_because"] == (
        "Its opinion is from an old bar, of 2023-12-23: there have been sessions since."
    )
    assert {row["time_series_primary"] for row in found.values() if row["ticker"] != "N"} == {primary}
