"""`pm validate`, `pm track`, `pm observations` and `pm edges` where there is nothing yet, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

ROWS = """ticker,date,known_at,name,value
IBM,2013-01-31,2013-02-08T21:30:00Z,short_interest,0.7
NONE,2013-01-31,2013-02-08T21:30:00Z,short_interest,1
"""


def test_without_a_night_each_command_says_what_there_is(finished_copy: Path, pm: Pm) -> None:
    """The workspace has a look at the sample, which is no night."""
    validated = pm(finished_copy, "validate")
    assert (validated.returncode, validated.stdout) == (
        0, "There are no signals of a night yet: `pm run` makes some, and their outcomes come with later bars.\n",
    )  # fmt: skip
    nights = pm(finished_copy, "track")
    assert nights.returncode == 16
    assert "There is no night yet." in nights.stderr
    assert "pm run" in nights.stderr
    for command, says in (
        ("calibration", "Nothing that the nights said has an outcome yet."),
        ("attribution", "There is nothing to attribute"),
        ("orders", "There are no orders"),
    ):
        done = pm(finished_copy, "track", command)
        assert (done.returncode, says in done.stdout) == (0, True), done.stderr
    unknown = pm(finished_copy, "track", "orders", "--account", "man")
    assert (unknown.returncode, "There is no account 'man'" in unknown.stderr) == (5, True)
    nothing = pm(finished_copy, "track", "calibration", "--basis", "run")
    assert (nothing.returncode, "There is no run 'run'. Did you mean 'runs'?" in nothing.stderr) == (5, True)


@pytest.mark.usefixtures("empty_lake")
def test_observations_are_imported_once_and_refused_with_their_line(tmp_path: Path, pm: Pm) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text(ROWS)
    done = pm(tmp_path, "observations", "import", file)
    assert done.returncode == 0, done.stderr
    assert "2 observations imported, of 2 rows of numbers.csv." in done.stdout
    assert "There are no bars of IBM, NONE" in done.stdout
    again = pm(tmp_path, "observations", "import", file)
    assert "0 observations imported, of 2 rows of numbers.csv. 2 observations already in the lake." in again.stdout
    file.write_text(ROWS + "IBM,2013-01-31,2013-02-08,short_interest,0.7\n")
    refused = pm(tmp_path, "observations", "import", file)
    assert refused.returncode == 5
    assert "has no zone" in refused.stderr
    assert "line 4" in refused.stderr
    file.write_text(ROWS.replace("0.7", "0.8"))
    changed = pm(tmp_path, "observations", "import", file)
    assert (changed.returncode, "another value of short_interest for IBM" in changed.stderr) == (5, True)
    shown = pm(tmp_path, "observations", "list")
    assert shown.stdout.splitlines()[1].split()[:4] == ["short_interest", "files", "2", "2"]
    wrong = pm(tmp_path, "observations", "import", file, "--tz", "Mars")
    assert (wrong.returncode, "no time zone" in wrong.stderr) == (2, True)


def test_an_observation_is_tested_by_its_name(tmp_path: Path, finished_copy: Path, pm: Pm) -> None:
    assert "No observation was tested yet" in pm(finished_copy, "edges", "list").stdout
    file = tmp_path / "numbers.csv"
    file.write_text(ROWS)
    assert pm(finished_copy, "observations", "import", file).returncode == 0
    unknown = pm(finished_copy, "edges", "test", "short_interes", "--tickers", "IBM")
    assert unknown.returncode == 16
    assert "Did you mean 'short_interest'?" in unknown.stderr
    later = pm(
        finished_copy, "edges", "test", "short_interest", "--tickers", "IBM"
    )  # the day of the lake is 2013-01-02
    assert "No observation of the tickers was known on 2013-01-02." in later.stdout, later.stderr
    file.write_text(ROWS.replace("2013-01-31", "2012-11-30").replace("2013-02-08", "2012-12-10"))
    assert pm(finished_copy, "observations", "import", file).returncode == 0
    done = pm(finished_copy, "edges", "test", "short_interest", "--tickers", "IBM")
    assert done.returncode == 0, done.stderr
    assert "No ticker has enough observations and bars to test it (IBM: fewer than 60 bars" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("short_interest")]
    assert line.split()[-1] == "no"


def test_the_model_of_relative_returns_says_why_it_has_no_weight(finished_copy: Path, pm: Pm) -> None:
    shown = pm(finished_copy, "edges", "relative")
    assert shown.returncode == 0, shown.stderr
    assert "fewer than 8 tickers have features: no weight." in shown.stdout


@pytest.mark.parametrize(
    "command", [("observations", "list"), ("edges", "list"), ("edges", "relative"), ("track",), ("validate",)]
)
def test_without_a_workspace_they_say_so(tmp_path: Path, pm: Pm, command: tuple[str, ...]) -> None:
    done = pm(tmp_path, *command)
    assert (done.returncode, "There is no workspace here." in done.stderr) == (4, True)
