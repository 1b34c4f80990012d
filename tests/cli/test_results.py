"""What commands show as the newest results, how old these are, and their exit code where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

READERS = (("signals",), ("forecast", "IBM"))
"""Commands that show the results of a run."""


def test_old_bars_are_told_with_their_age_and_a_warning(finished: Path, pm: Pm) -> None:
    for words in READERS:
        shown = pm(finished, *words).stdout
        assert "WARNING: the newest bar is of " in shown
        assert "more than 10 days" in shown
        young = pm(finished, *words, env={"PM_FORECAST__MAX_AGE_DAYS": "36525"}).stdout
        assert "WARNING" not in young
        assert " days ago" in young


def test_a_look_is_marked_and_other_runs_are_shown_by_name(finished_copy: Path, pm: Pm) -> None:
    # The run of the fixture is about the sample, and the watch list is the imported file: there is no whole run yet.
    for words in READERS:
        shown = pm(finished_copy, *words)
        assert "This is a look at the tickers of source 'sample' only." in shown.stdout
        assert "There is no whole run yet: pm run" in shown.stdout
    look = pm(finished_copy, "sql", "SELECT run_id FROM latest_run", "--format", "csv").stdout.split()[1]
    # This ticker keeps the sample beside the imported file, whose next run would remove what was computed from it.
    for added in (["BAD"], ["NOBODY", "--source", "sample"]):
        assert pm(finished_copy, "universe", "add", *added).returncode == 0
    whole = pm(finished_copy, "run")
    assert whole.returncode == 16, "one of its tickers has one bar, and the other none"
    assert "every ticker was left out" in whole.stderr
    assert "Report: " in whole.stdout
    assert pm(finished_copy, "run").returncode == 16, "nothing is new, and there is still no signal"
    for words in READERS:
        assert pm(finished_copy, *words).returncode in {6, 16}
        of_look = pm(finished_copy, *words, "--run", look)
        assert of_look.returncode == 0
        assert "The newest whole run stays" in of_look.stdout
        assert pm(finished_copy, *words, "--run", f"{look}x").returncode == 5


def test_a_look_at_the_past_has_no_warning_of_old_bars_though_its_newest_is_old(finished_copy: Path, pm: Pm) -> None:
    done = pm(finished_copy, "run", "--source", "sample", "--as-of", "2013-01-15")
    assert done.returncode == 0, done.stderr
    look = pm(finished_copy, "runs").stdout
    (run_id,) = [line.split()[0] for line in look.splitlines() if "2013-01-15" in line]
    for words in READERS:
        shown = pm(finished_copy, *words, "--run", run_id).stdout
        assert "This is a look at 2013-01-15, at the tickers of source 'sample' only." in shown
        for told in (shown, done.stdout):
            assert "WARNING" not in told
            assert "pm import PATH" not in told


@pytest.mark.usefixtures("empty_lake")
def test_results_that_are_not_there_yet_have_an_exit_code(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "ABC.csv").write_text("date,close\n2013-01-02,5\n", encoding="utf-8")
    assert pm(tmp_path, "import", "ABC.csv").returncode == 0
    assert pm(tmp_path, "run", "--tickers", "ABCD").returncode == 6
    assert "failed" not in pm(tmp_path, "runs").stdout
    for words in READERS:
        refused = pm(tmp_path, *words)
        assert (refused.returncode, refused.stdout) == (16, "")
        assert "pm run" in refused.stderr


@pytest.mark.usefixtures("empty_lake")
def test_nothing_can_be_removed_from_an_empty_watch_list(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "ABC.csv").write_text("date,close\n2013-01-02,5\n", encoding="utf-8")
    assert pm(tmp_path, "import", "ABC.csv").returncode == 0
    refused = pm(tmp_path, "universe", "remove", "NOPE")
    assert refused.returncode == 6
    assert "the watch list is empty" in refused.stderr
    assert "no bars" not in refused.stderr


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_a_workspace_without_a_lake_has_the_code_of_a_lake_that_is_missing(
    workspace: Path, pm: Pm, words: tuple[str, ...]
) -> None:
    assert pm(workspace, *words).returncode == 8
