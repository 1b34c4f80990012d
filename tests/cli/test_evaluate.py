from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

LATEST = (
    "latest_run",
    "latest_signals",
    "latest_forecasts",
    "latest_volatility",
    "latest_weights",
    "latest_exclusions",
)
QUICK = {
    "PM_VOLATILITY__MODELS": '["garch"]',
    "PM_VOLATILITY__WINDOWS": "[1000]",
    "PM_VOLATILITY__CALIBRATION_SESSIONS": "0",
}


def query(folder: Path, sql: str) -> pl.DataFrame:
    with Lake(Workspace(folder).lake, load_settings().lake, TABLES, read_only=True) as lake:
        return lake.query(sql)


def latest(folder: Path) -> list[str]:
    return [query(folder, f"FROM {view} ORDER BY ALL").write_json() for view in LATEST]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, finished: Path, pm: Pm) -> tuple[Path, str]:
    """Return a workspace after an evaluation, and what the evaluation printed. Copy it before you change it."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("evaluated") / "copy")
    done = pm(folder, "evaluate", "--source", "sample", "--origins", "9", "--horizon", "5,1", env=QUICK)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


REFUSED = [
    (("--source", "nowhere"), 3, "Unknown source 'nowhere'"),
    (("--tickers", "AAPLE", "--source", "sample"), 6, "Unknown ticker: AAPLE. Did you mean 'AAPL'"),
    (("--tickers", "FB", "--source", "sample"), 5, "There are 196 sessions up to 2013-03-01; an evaluation needs"),
    (("--as-of", "1990-01-01", "--source", "sample"), 5, "is before the first bar"),
    (("--source", "sample", "--from", "2013-02-20"), 5, "no date to forecast from between 2013-02-20 and 2013-01-31"),
    (("--source", "sample", "--to", "2000-12-01"), 5, "choose dates from 2001-02-26 to 2013-01-31"),
    (("--source", "files"), 5, "an evaluation needs at least 270"),
]


def test_an_evaluation_that_is_impossible_is_refused_with_a_remedy(finished_copy: Path, pm: Pm) -> None:
    before = latest(finished_copy)
    for arguments, code, message in REFUSED:
        done = pm(finished_copy, "evaluate", *arguments)
        assert done.returncode == code, (arguments, done.stderr)
        for part in (message, "where:", "try:"):
            assert part in done.stderr, (arguments, done.stderr)
    assert latest(finished_copy) == before
    assert query(finished_copy, "FROM forecast_scores WHERE basis <> 'runs'").is_empty()


def test_tickers_that_never_trade_together_are_refused(workspace: Path, pm: Pm) -> None:
    days = [date(2022, 1, 3) + timedelta(days=n) for n in range(420)]
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, len(days))))
    bars = pl.DataFrame({"date": days, "close": closes})
    bars.head(400).write_csv(workspace / "OLD.csv")
    bars.tail(10).write_csv(workspace / "NEW.csv")
    assert pm(workspace, "import", "OLD.csv", "NEW.csv").returncode == 0
    refused = pm(workspace, "evaluate", "--origins", "1", "--horizon", "15")
    assert refused.returncode == 5, refused.stderr
    assert "No ticker has a bar on or shortly before 2023-0" in refused.stderr


def test_the_printed_scores_are_those_of_the_views(evaluated: tuple[Path, str]) -> None:
    folder, printed = evaluated
    (run_id,) = query(folder, "SELECT run_id FROM runs WHERE kind = 'evaluate'").row(0)
    board = query(
        folder,
        f"FROM model_leaderboard WHERE basis = '{run_id}' AND slice = 'all' AND place > 0 ORDER BY step, place, model",
    )
    rows = [line.split() for line in printed.splitlines() if re.match(r" +[15] +\d+ +[a-z]", line)]
    assert [row[:3] for row in rows] == [
        [str(s), str(p), m] for s, p, m in board.select("step", "place", "model").rows()
    ]
    assert [float(row[6]) for row in rows] == pytest.approx(board["relative_crps"].to_list(), abs=5e-5)
    assert [row[4] for row in rows] == ["9"] * len(rows)
    held = query(
        folder,
        f"SELECT coverage FROM interval_coverage WHERE basis = '{run_id}' AND model = 'ensemble' "
        "AND slice = 'all' ORDER BY step, level",
    )
    shares = [re.findall(r"[\d.]+%", line) for line in printed.splitlines() if re.match(r" +[15]  all ", line)]
    shown = [float(share.rstrip("%")) / 100 for row in shares for share in (*row[:3], row[-1])]
    assert shown == pytest.approx(held["coverage"].to_list(), abs=5e-4)
    variances = printed.split("that the forecast variance was too low")[1].split("\n\n")[0]
    ratios = [float(line.split()[-1]) for line in variances.splitlines() if re.match(r" +[15] +[a-z]", line)]
    stored = query(folder, f"SELECT variance_ratio FROM volatility_scores WHERE basis = '{run_id}' AND slice = 'all'")
    assert sorted(ratios) == pytest.approx(sorted(stored["variance_ratio"].to_list()), rel=5e-4)


def test_every_model_without_a_place_is_explained(evaluated: tuple[Path, str], tmp_path: Path, pm: Pm) -> None:
    folder = shutil.copytree(evaluated[0], tmp_path / "copy")
    words = ["--source", "sample", "--tickers", "FB,IBM", "--every", "5", "--from", "2013-01-14", "--by", "ticker"]
    # FB has too few bars for mssa_cp
    models = {"PM_FORECAST__MODELS": '["naive", "drift", "mssa_cp"]', "PM_FORECAST__ORIGINS": "9"}
    done = pm(folder, "evaluate", *words, env=QUICK | models)
    assert done.returncode == 0, done.stderr
    (run_id,) = query(folder, "SELECT run_id FROM runs WHERE kind = 'evaluate' ORDER BY started_at DESC").row(0)
    board = query(folder, f"FROM model_leaderboard WHERE basis = '{run_id}' AND slice = 'all' AND place IS NULL")
    told = re.findall(r"(\w+) has no place: it lacks (\d+) of (\d+) forecasts", done.stdout)
    assert {name for name, *_ in told} == set(board["model"]) == {"mssa_cp", "garch_pool", "panel"}
    assert "Of garch_pool and panel there are forecasts only where a ticker has both." in done.stdout
    for name, missing, count in told:
        rows = board.filter(model=name)
        assert (rows["missing"].max(), (rows["missing"] + rows["forecasts"]).max()) == (int(missing), int(count))
    tickers = query(
        folder, f"FROM model_leaderboard WHERE basis = '{run_id}' AND slice = 'ticker' ORDER BY value, step"
    )
    printed = [line.split() for line in done.stdout.splitlines() if re.match(r"(FB|IBM) ", line)]
    ensemble = tickers.filter(model="ensemble")
    assert [line[:3] for line in printed] == [[v, str(s), str(n)] for v, s, n in
                                              ensemble.select("value", "step", "forecasts").iter_rows()]  # fmt: skip
    assert [float(line[4]) for line in printed] == pytest.approx(ensemble["relative_crps"].to_list(), abs=5e-5)
    signals = query(folder, f"FROM signal_scores WHERE basis = '{run_id}' AND slice = 'all' ORDER BY action")
    shown = re.findall(r"^(BUY|HOLD|SELL) +(\d+)", done.stdout, re.MULTILINE)
    assert shown == [(action, str(count)) for action, count in signals.select("action", "signals").iter_rows()]


def test_the_output_fits_80_columns(evaluated: tuple[Path, str]) -> None:
    _, printed = evaluated
    assert max(len(line) for line in printed.splitlines() if "pm sql" not in line) <= 80


def test_views_of_the_newest_run_do_not_show_an_evaluation(evaluated: tuple[Path, str], finished: Path, pm: Pm) -> None:
    folder, _ = evaluated
    assert latest(folder) == latest(finished)
    assert "evaluate" in pm(folder, "runs").stdout
    (run_id,) = query(folder, "SELECT run_id FROM runs WHERE kind = 'evaluate'").row(0)
    shown = pm(folder, "runs", "show", run_id)
    assert shown.returncode == 0, shown.stderr
    assert "evaluate" in shown.stdout
    views = {"forecast_scores", "interval_coverage", "volatility_scores", "model_leaderboard"}
    assert views <= set(pm(folder, "tables").stdout.split())
    described = pm(folder, "tables", "model_leaderboard").stdout
    assert all(name in described for name in ("basis", "relative_crps", "gain_t"))


def test_a_repeated_evaluation_is_skipped_unless_there_are_new_bars(
    evaluated: tuple[Path, str], tmp_path: Path, pm: Pm
) -> None:
    folder = shutil.copytree(evaluated[0], tmp_path / "copy")
    arguments = ("evaluate", "--source", "sample", "--origins", "9", "--horizon", "1,5")
    again = pm(folder, *arguments, env=QUICK)
    assert "Nothing is new since" in again.stdout
    assert again.stdout.startswith(evaluated[1].rstrip())
    compacted = pm(folder, "lake", "compact")
    assert compacted.returncode == 0, compacted.stderr
    assert pm(folder, *arguments, env=QUICK).stdout.startswith(evaluated[1].rstrip())
    (folder / "BAD.csv").write_text("date,close\n2013-01-07,6\n")
    assert pm(folder, "import", "BAD.csv").returncode == 0
    assert "Nothing is new" not in pm(folder, *arguments, env=QUICK).stdout


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(
    "blow",
    ["SIGINT", "SIGKILL"],
    ids=["interrupted", "killed"],
)
def test_an_interrupted_evaluation_writes_nothing_and_is_continued_only_as_an_evaluation(
    finished_copy: Path,
    pm: Pm,
    pm_process: Pm,
    command: list[str],
    environment: dict[str, str],
    blow: str,
) -> None:
    before = latest(finished_copy)
    arguments = ["evaluate", "--source", "sample", "--origins", "12", "--horizon", "5"]
    with subprocess.Popen(
        [*command, *arguments],
        cwd=finished_copy,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = next(text for text in process.stderr if text.startswith("Run "))
        read = pm_process(finished_copy, "sql", "select count(*) from bars")  # a reader beside it is not kept waiting
        assert process.poll() is None
        assert read.returncode == 0, read.stderr
        time.sleep(0.5)
        process.send_signal(signal.Signals[blow])
        message = process.stderr.read()
    assert process.returncode == (130 if blow == "SIGINT" else -signal.Signals[blow])
    assert ("The dates done are kept" in message) == (blow == "SIGINT")
    cut = line.split()[1]
    assert query(finished_copy, "SELECT DISTINCT basis FROM forecast_outcomes")["basis"].to_list() in ([], ["runs"])
    assert latest(finished_copy) == before
    run = pm(finished_copy, "run", "--source", "sample", "--as-of", "2012-11-30", env=QUICK)
    assert run.returncode == 0, run.stderr
    assert cut not in run.stderr
    assert "resumed" not in run.stderr
    again = pm(finished_copy, *arguments, env=QUICK)
    assert again.returncode == 0, again.stderr
    assert "resumed" not in again.stderr
