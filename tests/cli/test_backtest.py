"""`pm backtest` and `pm trials`, as a user types them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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
    assert "without costs" in pm(tested, "trials", "show", "free").stdout


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
    assert "Trials: 4 rows, none changed." in verified.stdout


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
