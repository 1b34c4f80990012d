from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

SAMPLE = {"AAPL", "FB", "GOOG", "IBM", "MSFT"}


def test_show_prints_the_targets_that_the_lake_has(finished: Path, pm: Pm) -> None:
    shown = pm(finished, "portfolio", "show")
    assert shown.returncode == 0, shown.stderr
    assert "There is no account: this is a model portfolio, which follows its own targets." in shown.stdout
    query = "SELECT ticker, shares FROM latest_targets"
    told = pm(finished, "sql", query, "--format", "csv").stdout.splitlines()[1:]
    assert {line.split(",")[0] for line in told} == SAMPLE
    for line in told:
        ticker, shares = line.split(",")
        (row,) = [words for words in map(str.split, shown.stdout.splitlines()) if words and words[0] == ticker]
        assert row[-2:] == [f"{float(shares):,.6g}", "traded"]


def test_compare_begins_with_the_allocator_in_use_and_has_equal_weights(finished: Path, pm: Pm) -> None:
    shown = pm(finished, "portfolio", "compare")
    assert shown.returncode == 0, shown.stderr
    names = [words[0] for words in map(str.split, shown.stdout.splitlines()) if words and words[-1] == "done"]
    assert names == ["risk_budget", "equal", "inverse_volatility", "minimum_variance", "hrp"]


def test_a_lake_without_a_run_says_what_to_do(workspace: Path, pm: Pm) -> None:
    refused = pm(workspace, "portfolio", "show")
    assert refused.returncode != 0
    assert "pm run" in refused.stderr
