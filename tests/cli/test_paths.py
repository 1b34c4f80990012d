from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pm.cli.paths import expand_home, expand_pattern

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("folder", ["bars", "bars[1]"])
def test_patterns_are_expanded_and_names_that_exist_are_not(tmp_path: Path, folder: str) -> None:
    bars = tmp_path / folder
    bars.mkdir()
    for name in ("[a].csv", "a.csv", "b.csv", "c.txt", ".hidden.csv"):
        (bars / name).touch()
    assert expand_pattern(bars / "*.csv") == [bars / name for name in ("[a].csv", "a.csv", "b.csv")]
    assert expand_pattern(bars / "[a].csv") == [bars / "[a].csv"]
    assert expand_pattern(bars / "[ab].csv") == [bars / "a.csv", bars / "b.csv"]
    assert expand_pattern(bars / "*.gz") == [bars / "*.gz"]
    assert expand_pattern(tmp_path / "bar*" / "?.csv") == [bars / "a.csv", bars / "b.csv"]


def test_an_import_expands_what_the_shell_did_not(tmp_path: Path, pm_process: Pm) -> None:
    home = dict.fromkeys(("HOME", "USERPROFILE"), str(tmp_path))
    bars, workspace = tmp_path / "bars", tmp_path / "workspace"
    bars.mkdir()
    workspace.mkdir()
    for ticker in ("ABC", "DEF"):
        (bars / f"{ticker}.csv").write_text(f"ticker,date,close\n{ticker},2020-01-02,5\n{ticker},2020-01-03,5.5\n")
    refused = pm_process(workspace, "import", "~/bars/*.gz", env=home)
    assert (refused.returncode, "no such file" in refused.stderr) == (5, True)
    assert list(workspace.iterdir()) == []
    done = pm_process(workspace, "import", "~/bars/*.csv", env=home)
    assert done.returncode == 0, done.stderr
    assert [ticker in done.stdout for ticker in ("ABC", "DEF")] == [True, True]


def test_the_home_is_expanded_unless_the_name_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.chdir(tmp_path)
    assert expand_home(Path("~/bars")) == home / "bars"
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "bars").touch()
    assert expand_home(Path("~/bars")) == Path("~/bars")
    assert expand_home(Path("~nobody-by-this-name/x")) == Path("~nobody-by-this-name/x")
