"""Series that nobody should import, and somebody will: each costs its own row, never the run or a neighbour."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.forecast.relative.rows import RELATIVE
from pm.pipeline.run_stages import RUN_STAGES
from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

BARS = 320
LAST = date(2024, 6, 28)
GOOD = {"GOOD1", "GOOD2", "GOOD3"}
# All models and fits; only the numbers of origins and paths are small.
QUICK = {
    "PM_RUN__JOBS": "1",
    "PM_LLM__ENABLED": "false",  # the words about such series are put together by code
    "PM_FORECAST__HORIZON": "10",
    "PM_FORECAST__ORIGINS": "8",
    "PM_FORECAST__ORIGIN_STEP": "10",
}
QUICK |= {
    "PM_VOLATILITY__WINDOWS": "[1000]",
    "PM_VOLATILITY__SIMULATIONS": "500",
    "PM_RISK__PATHS": "1000",
    "PM_VOLATILITY__CALIBRATION_SESSIONS": "125",
}
CHEAP = {"PM_FORECAST__MODELS": '["naive", "drift"]', "PM_VOLATILITY__MODELS": '["garch"]'}
CHEAP |= {"PM_VOLATILITY__CALIBRATION_SESSIONS": "0"}
PROGRESS = re.compile(rf"Run \S+|({'|'.join(stage.name for stage in RUN_STAGES)}|evaluate) +(done|skipped|\d+%) +.*")


def walk(seed: int, bars: int = BARS, *, sigma: float = 0.01) -> np.ndarray:
    return np.asarray(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, sigma, bars))))


def changed(seed: int, bar: int, value: float | None) -> list[float | None]:
    closes: list[float | None] = walk(seed).tolist()
    closes[bar] = value
    return closes


def ticks(seed: int) -> np.ndarray:
    moves = np.random.default_rng(seed).choice([-1, 0, 1], BARS, p=[0.1, 0.8, 0.1])
    return np.asarray(np.maximum(0.05 + 0.005 * np.cumsum(moves), 0.005).round(4))


def quoted(closes: np.ndarray, place: int, quotes: Sequence[float]) -> np.ndarray:
    wrong = closes.copy()
    wrong[place : place + len(quotes)] = quotes
    return wrong


def pegged(seed: int) -> np.ndarray:
    """Return a peg that is held within a few hundredths of a percent, and was once devalued by 30%."""
    return np.asarray(8.28 / 100 * walk(seed, sigma=0.0005) * np.where(bar < 200, 1.0, 0.7))


bar = np.arange(BARS)
jump = np.where(bar < BARS // 2, 1, 100)

SERIES: dict[str, np.ndarray | Sequence[float | None]] = {
    "GOOD1": walk(1), "GOOD2": walk(2, sigma=0.02), "GOOD3": walk(3),
    "CONSTANT": np.full(BARS, 50.0), "ONE": [5.0], "FIVE": walk(4, 5), "BARS30": walk(5, 30), "BARS90": walk(6, 90),
    "BARS260": walk(7, 260), "EMPTY": [None] * BARS, "MISSING": changed(8, 99, None),
    "NAN": changed(9, 99, float("nan")), "ZERO": changed(10, 99, 0.0), "NEGATIVE": changed(11, 99, -80.0),
    "INFINITE": changed(12, 99, float("inf")), "ALLNEG": -walk(13), "HUGE": changed(14, 99, 1e300),
    "HUGELAST": changed(15, -1, 1.7e308), "FLIP": np.where(bar % 2, 1e300, 1e-300), "JUMP": walk(16) * jump,
    "JUMPLAST": walk(17) * np.where(bar < BARS - 1, 1, 100), "STOPPED": walk(18), "ONCE": 50.0 + (bar > 150),
    "TICKS": ticks(19), "ALTERNATE": 100.0 + bar % 2, "LINEAR": 100 + 0.1 * bar, "SINE": 100 + 10 * np.sin(bar / 4),
    "DOUBLES": 2.0**bar, "HALVES": 0.5**bar, "TWICE": walk(20), "DISAGREES": walk(21),
    "QUOTE": quoted(19.24 * walk(22), -7, [1923.0, 7.0, 1924.0]), "PENCE": walk(23) * np.where(bar % 50 < 7, 100, 1),
    "SPLIT": walk(24) * np.where(bar < BARS - 40, 1.0, 0.25), "PEG": pegged(25),
}  # fmt: skip
QUARANTINED = {
    "EMPTY": "missing_close", "MISSING": "missing_close", "NAN": "missing_close", "ZERO": "non_positive_price",
    "NEGATIVE": "non_positive_price", "ALLNEG": "non_positive_price", "INFINITE": "not_finite", "TWICE": "duplicate",
    "DISAGREES": "conflicting_duplicate",
}  # fmt: skip
NOT_FORECAST = {
    "CONSTANT": "constant", "ONE": "too_few_bars", "FIVE": "too_few_bars", "STOPPED": "stale", "ONCE": "no_volatility",
    "HUGELAST": "out_of_range", "FLIP": "out_of_range",
}  # fmt: skip
SIMPLIFIED = {"BARS30": "short_history"}
JUMPED = {"HUGE", "HUGELAST", "JUMP", "JUMPLAST", "QUOTE", "PENCE", "SPLIT"}


def write(path: Path, tickers: set[str]) -> None:
    days = [day for n in range(2 * BARS) if (day := LAST - timedelta(days=n)).weekday() < 5][:BARS][::-1]
    lines = ["ticker,date,close"]
    for ticker in sorted(tickers):
        closes = SERIES[ticker]
        shift = timedelta(days=5 * 364 if ticker == "STOPPED" else 0)
        own = [
            f"{ticker},{day - shift},{'' if close is None else float(close)}"
            for day, close in zip(days[-len(closes) :], closes, strict=True)
        ]
        lines += own
        lines += [own[200]] if ticker == "TWICE" else [f"{ticker},{days[200]},77"] if ticker == "DISAGREES" else []
    path.write_text("\n".join(lines))


class Printed(NamedTuple):
    """What the commands printed, and the workspace they left."""

    folder: Path
    out: str
    err: str


def use(folder: Path, *commands: list[str], **more: str) -> Printed:
    """Use `pm` as a user does who wants to see every warning there is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PM_")}
    environment = kept | QUICK | more | {"PYTHONWARNINGS": "default", "NO_COLOR": "1"}
    out = err = ""
    for arguments in commands:
        line = [sys.executable, "-c", "import sys; from pm.cli import main; sys.exit(main())", *arguments]
        done = subprocess.run(line, cwd=folder, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        out, err = out + done.stdout, err + done.stderr
    return Printed(folder, out, err)


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory: pytest.TempPathFactory, import_files: Callable[..., object]) -> tuple[Printed, Path]:
    """Return a workspace with all series, and one with the good ones alone, after a run each."""
    folder, good = (tmp_path_factory.mktemp(name) for name in ("all", "good"))
    for place, tickers in ((folder, set(SERIES)), (good, GOOD)):
        write(place / "bars.csv", tickers)
        import_files(place, place / "bars.csv")
    use(good, ["run"])
    return use(folder, ["run"]), good


@pytest.fixture(scope="module")
def printed(workspaces: tuple[Printed, Path]) -> Printed:
    return workspaces[0]


@pytest.fixture(scope="module")
def read(printed: Printed, read_table: Callable[..., pl.DataFrame]) -> Callable[[str], pl.DataFrame]:
    return cache(lambda name: read_table(printed.folder, name))


def test_nothing_is_printed_that_nobody_can_act_on(printed: Printed) -> None:
    assert [line for line in printed.err.splitlines() if not PROGRESS.fullmatch(line)] == []
    assert not re.search(r"[Ww]arn|Traceback|\b(nan|inf)\b", printed.out)
    # A price of 1e300 does not push the table off the screen.
    table = [line for line in printed.out.splitlines() if re.search(r" (HOLD|BUY|SELL) ", line)]
    assert max(map(len, table)) < 140


def test_each_refused_row_has_its_rule(read: Callable[[str], pl.DataFrame]) -> None:
    rules = read("quarantine").select("ticker", "rule").unique()
    assert dict(rules.iter_rows()) == QUARANTINED
    assert len(rules) == len(QUARANTINED)


def test_each_ticker_is_forecast_or_has_its_reason(read: Callable[[str], pl.DataFrame]) -> None:
    reasons = dict(read("exclusions").filter(stage="forecast").select("ticker", "reason").iter_rows())
    assert reasons == NOT_FORECAST | SIMPLIFIED
    unusable = {ticker for ticker in SERIES if ticker not in read("bars")["ticker"]}
    assert unusable == {"EMPTY", "ALLNEG"}
    refused = read("exclusions").filter(reason="no_prices").select("ticker", "detail")
    assert dict(refused.iter_rows()) == dict.fromkeys(unusable, f"{BARS} rows, all refused; see pm quarantine")
    forecast = set(read("forecasts").filter(model="ensemble")["ticker"])
    assert forecast == SERIES.keys() - unusable - NOT_FORECAST.keys()
    jumped = read("exclusions").filter(stage="volatility", reason="jump_left_out")["ticker"]
    assert set(jumped) == JUMPED


def test_the_others_are_forecast_as_without_them(
    workspaces: tuple[Printed, Path], contents: Callable[..., dict[str, pl.DataFrame]]
) -> None:
    """But for what the panel model of volatility reads of all tickers, by which a volatility moves a little."""
    same = ("bars", "features", "volatility_fits", "model_weights", "exclusions")
    moved = ("volatility", "forecasts", "signals")
    printed, good = workspaces
    among, alone = contents(printed.folder, *same, *moved), contents(good, *same, *moved)
    for name in same:
        frame, expected = (frames[name].drop("row", strict=False) for frames in (among, alone))
        if name == "model_weights":  # three tickers are too few for a model of relative returns
            frame = frame.filter(pl.col("model") != RELATIVE)
        if name == "exclusions":  # joint risk is about all tickers together, and says what it filled in
            frame, expected = (rows.filter(~pl.col("stage").is_in(["risk", "portfolio"])) for rows in (frame, expected))
        assert_frame_equal(frame.filter(pl.col("ticker").is_in(GOOD)), expected, check_exact=True)
    for name, columns in (
        ("volatility", ["ticker", "step", "cumulative_sigma", "model", "regime", "observations", "outcomes"]),
        ("forecasts", ["ticker", "model", "step", "sigma", "mean", "target_date"]),
        ("signals", ["ticker", "action", "close"]),
    ):
        frame, expected = (frames[name].select(columns) for frames in (among, alone))
        if name == "forecasts":
            frame = frame.filter(pl.col("model") != RELATIVE)
        assert_frame_equal(frame.filter(pl.col("ticker").is_in(GOOD)), expected, rel_tol=0.1)
    assert set(alone["signals"]["ticker"]) == GOOD


def test_intervals_are_finite_and_ordered_and_widen(read: Callable[[str], pl.DataFrame]) -> None:
    forecasts = read("forecasts").sort("ticker", "model", "step")
    names = [quantile_column("q", level) for level in QUANTILES]
    quantiles = forecasts.select(names).to_numpy()
    assert np.isfinite(quantiles).all()
    assert (quantiles > 0).all()
    assert (np.diff(np.log(quantiles), axis=1) >= 0).all()
    ensemble = (forecasts["model"] == "ensemble").to_numpy()
    assert (np.diff(quantiles[ensemble], axis=1) > 0).all()
    for low, high in (("q025", "q975"), ("q25", "q75")):
        width = (pl.col(high) / pl.col(low)).log()
        growth = forecasts.select("step", growth=width - width.shift().over("ticker", "model")).filter(
            pl.col("step") > 1
        )
        assert growth["growth"].min() > -1e-9  # type: ignore[operator]


def test_each_forecast_is_a_signal_of_a_sane_size(read: Callable[[str], pl.DataFrame]) -> None:
    signals = read("signals")
    assert set(signals["ticker"]) == set(read("forecasts")["ticker"])
    held = signals.filter(action="HOLD")
    assert (held["size"] == 0).all()
    assert {*GOOD, *JUMPED, "TICKS", "ZERO"} - {"HUGELAST"} <= set(held["ticker"])
    traded = signals.filter(pl.col("action") != "HOLD")
    assert (traded["size"].is_between(0, 0.25)).all()
    # Only those that are predictable.
    assert set(traded["ticker"]) <= {"LINEAR", "SINE", "DOUBLES", "HALVES", "ALTERNATE"}
    for ticker, action in (("DOUBLES", "BUY"), ("HALVES", "SELL")):
        assert signals.filter(ticker=ticker)["action"].to_list() == [action]


@pytest.mark.parametrize("ticker", ["QUOTE", "PENCE", "SPLIT", "JUMP", "PEG"])
def test_changes_of_units_and_a_peg_give_no_confident_signal(ticker: str, read: Callable[[str], pl.DataFrame]) -> None:
    signal = read("signals").row(by_predicate=pl.col("ticker") == ticker, named=True)
    assert signal["action"] == "HOLD"
    assert max(signal["probability_gain"], signal["probability_loss"]) < 0.6
    path = read("forecasts").filter(ticker=ticker, model="ensemble").sort("step")
    assert path["spread"].to_list() == [1.0] * path.height
    width = (path["q95"].log() - path["q05"].log()).to_numpy()
    # A session moves by 1%, or .05%; 90% of a normal distribution is 3.3 standard deviations wide. The peg was devalued
    # 120 sessions ago, which the panel model remembers longer than a model of the last days does.
    assert width[0] < (0.06 if ticker != "PEG" else 0.004)
    assert (width[1:] / width[:-1] < 2.0).all()


def test_a_quote_that_was_undone_leaves_an_interval_about_the_price(read: Callable[[str], pl.DataFrame]) -> None:
    """Closes of 1,923, 7 and 1,924 once gave a week later an interval that the next close was far outside of."""
    path = read("forecasts").filter(ticker="QUOTE", model="ensemble").sort("step")
    close = path["origin_close"][0]
    assert path["q05"][0] < 0.99 * close < 1.01 * close < path["q95"][0]
    means = read("forecasts").filter(ticker="QUOTE")["mean"].to_numpy()
    assert np.abs(np.log(means / close)).max() < 0.1


def test_an_evaluation_of_them_has_finite_scores(printed: Printed, ask: Callable[..., pl.DataFrame]) -> None:
    evaluated = use(printed.folder, ["evaluate", "--origins", "2", "--horizon", "1,10"], **CHEAP)
    assert [line for line in evaluated.err.splitlines() if not PROGRESS.fullmatch(line)] == []
    assert not re.search(r"[Ww]arn|Traceback|\b(nan|inf)\b", evaluated.out)
    assert re.search(r"more than 25 forecast standard deviations away.*\n.*JUMPLAST", evaluated.out)
    for view in ("model_leaderboard", "forecast_scores", "interval_coverage", "volatility_scores"):
        scores = ask(printed.folder, f"FROM {view} WHERE basis <> 'runs'")
        assert not scores.is_empty()
        numbers: Any = scores.select(pl.selectors.float().is_finite().all()).row(0)
        assert all(kept in {True, None} for kept in numbers), (view, scores)
