"""`pm backtest` and `pm trials`, as a user types them."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.pipeline import open_lake, read_lake
from pm.settings import load_settings
from pm.tables.validation import TRIAL_JUDGEMENTS, TRIAL_TESTS, TRIALS
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., Any]

ASKED = ("--tickers", "AAPL,IBM", "--from", "2012-09-04", "--step", "50")


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> Path:
    folder = tmp_path_factory.mktemp("trials")
    for more in (("--name", "first"), ("--name", "free", "--costs", "none")):
        done = pm(folder, "backtest", *ASKED, *more)
        assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    return folder


def test_a_trial_says_what_it_made_and_what_that_proves(tested: Path, pm: Pm) -> None:
    shown = pm(tested, "trials", "show", "first")
    assert shown.returncode == 0
    assert "Trial first (" in shown.stdout
    assert "2 tickers, 3 decisions" in shown.stdout
    assert "luckiest of 2 trials (deflated)" in shown.stdout
    assert "Verdict: not proven." in shown.stdout or "Verdict: worse than benchmark." in shown.stdout
    free = pm(tested, "trials", "show", "free").stdout
    assert "per year without costs" in free
    assert "chosen with hindsight" in free
    assert "does not share" not in free  # equal weights share what flatters it


def test_trials_are_listed_and_compared(tested: Path, pm: Pm) -> None:
    listed = pm(tested, "trials").stdout
    assert [line.split()[1] for line in listed.splitlines()[1:3]] == ["first", "free"]
    compared = pm(tested, "trials", "compare").stdout
    assert [line.split()[0] for line in compared.splitlines()[2:5]] == ["first", "free", "equal"]
    assert pm(tested, "trials", "compare", "first").returncode == 0


def test_more_trials_elsewhere_make_a_proof_harder(tested: Path, pm: Pm) -> None:
    query = "SELECT trials, deflated FROM trial_verdicts WHERE name = 'first'"
    few = pm(tested, "sql", query, "--format", "csv").stdout.split()[-1].split(",")
    judged = pm(tested, "trials", "judge", env={"PM_VALIDATION__PRIOR_TRIALS": "500"})
    assert judged.returncode == 0
    many = pm(tested, "sql", query, "--format", "csv").stdout.split()[-1].split(",")
    assert (int(few[0]), int(many[0])) == (2, 502)
    assert float(many[1]) < float(few[1])


def test_the_chain_of_trials_is_verified(tested: Path, pm: Pm) -> None:
    verified = pm(tested, "audit", "verify")
    assert verified.returncode == 0
    assert "rows, none changed." in verified.stdout
    judged = pm(tested, "sql", "SELECT count(*) AS n FROM trial_judgements", "--format", "csv").stdout.split()[-1]
    assert f"Trials: {4 + int(judged)} rows, none changed." in verified.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("backtest", "--costs", "50%"), 2, "up to 10%"),
        (("backtest", "--costs", "free"), 2, "'none'"),
        (("backtest", "--allocator", "hpr"), 2, "Did you mean 'hrp'?"),
        (("backtest", "--deposit", "2012-10-01"), 2, "2020-03-02=10000"),
        (("backtest", "--from", "2012-10-01", "--to", "2012-09-01"), 2, "is not before --to"),
        (("trials", "show", "frist"), 5, "Did you mean 'first'?"),
    ],
)
def test_what_cannot_be_is_refused(tested: Path, pm: Pm, words: tuple[str, ...], code: int, said: str) -> None:
    done = pm(tested, *words)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.fixture
def copy(tested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tested, tmp_path / "copy")


@pytest.fixture(name="start")
def give_start(command: list[str], environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    def start(folder: Path, name: str) -> subprocess.Popen[str]:
        line = [*command, "backtest", *ASKED, "--name", name]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    return start


def rows(folder: Path) -> list[tuple[str, str]]:
    """Return the name and state of each row of table `trials`, in order."""
    with read_lake(Workspace(folder), load_settings()) as lake:
        return lake.select("trials", columns=["name", "state"], order=["sequence"]).rows()


def test_two_trials_at_once_are_both_recorded_one_after_the_other(
    copy: Path, pm: Pm, start: Callable[..., subprocess.Popen[str]]
) -> None:
    for process in [start(copy, name) for name in ("left", "right")]:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    recorded = rows(copy)
    assert [state for _, state in recorded] == ["started", "done"] * 4
    assert [name for name, _ in recorded[4::2]] == [name for name, _ in recorded[5::2]]  # not mixed with each other
    assert {name for name, _ in recorded} == {"first", "free", "left", "right"}
    assert "rows, none changed." in pm(copy, "audit", "verify").stdout
    counted = pm(copy, "sql", "SELECT max(trials) FROM trial_verdicts", "--format", "csv").stdout.split()[-1]
    assert counted == "4"


@pytest.mark.slow
def test_a_trial_that_is_killed_counts(copy: Path, pm: Pm, start: Callable[..., subprocess.Popen[str]]) -> None:
    for attempt in range(5):  # it may end before it is killed
        process = start(copy, f"killed {attempt}")
        while process.poll() is None and rows(copy)[-1] != (f"killed {attempt}", "started"):
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=60)
        if rows(copy)[-1][1] == "started":
            break
    else:
        pytest.fail("every trial ended before it was killed")
    shown = pm(copy, "trials", "show", f"killed {attempt}")
    assert "it has not ended" in shown.stdout
    assert "It counts as a trial." in shown.stdout
    assert "1 later trial does not count in these verdicts yet" in pm(copy, "trials").stdout
    before = len(rows(copy))
    done = pm(copy, "backtest", *ASKED, "--name", "after")
    assert done.returncode == 0, done.stderr
    assert rows(copy)[before:] == [(f"killed {attempt}", "killed"), ("after", "started"), ("after", "done")]
    assert "it was KILLED" in pm(copy, "trials", "show", f"killed {attempt}").stdout
    assert pm(copy, "audit", "verify").returncode == 0
    assert "later trial" not in pm(copy, "trials").stdout


def test_rows_that_are_removed_are_found_and_nothing_is_added_to_what_is_left(copy: Path, pm: Pm) -> None:
    head = pm(copy, "trials").stdout.split()[-1]
    assert pm(copy, "audit", "verify", "--head", head).returncode == 0
    with open_lake(Workspace(copy), load_settings()) as lake:
        lake.commit("remove", lambda transaction: transaction.delete(TRIALS, "true"))
    missing = pm(copy, "audit", "verify")
    assert (missing.returncode, "The row at position 1 is missing" in missing.stderr) == (23, True), missing.stderr
    with open_lake(Workspace(copy), load_settings()) as lake:
        lake.commit("remove more", lambda transaction: transaction.delete(TRIAL_JUDGEMENTS, "true"))
    for words in (("audit", "verify"), ("trials", "judge")):
        done = pm(copy, *words)
        assert (done.returncode, "rows of trial" in done.stderr) == (23, True), done.stderr
    assert pm(copy, "audit", "verify", "--head", head).returncode == 23


def test_what_flatters_a_trial_and_not_its_benchmark_is_said(copy: Path, pm: Pm) -> None:
    shown = pm(copy, "backtest", *ASKED, "--name", "over cash", "--benchmark", "cash").stdout
    assert "benchmark cash +0.0%" in shown
    assert "this benchmark does not share that" in shown


def test_a_verdict_that_was_changed_is_found(copy: Path, pm: Pm) -> None:
    with open_lake(Workspace(copy), load_settings()) as lake:
        better = lake.read(TRIAL_TESTS).with_columns(verdict=pl.lit("proven"), deflated=pl.lit(0.999))
        lake.commit("flatter", lambda transaction: transaction.delete(TRIAL_TESTS, "true"))
        lake.commit("flatter", lambda transaction: transaction.append(TRIAL_TESTS, better))
    done = pm(copy, "audit", "verify")
    assert (done.returncode, "Rows of trial_tests" in done.stderr) == (23, True), done.stderr
