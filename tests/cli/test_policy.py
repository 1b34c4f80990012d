from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.forecast import POLICIES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

QUICK = {"env": {"PM_FORECAST__HORIZON": "10", "PM_FORECAST__ORIGIN_STEP": "40"}}


@pytest.fixture(scope="module")
def trained(finished: Path, tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> tuple[Path, str]:
    """Return a workspace with a policy, and what its training printed. Copy it before you change it."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("policy") / "copy")
    done = pm(folder, "policy", "train", "--tickers", "IBM,MSFT,IBM", "--seed", "3", **QUICK)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_training_shows_states_choices_losses_and_the_verdict(trained: tuple[Path, str]) -> None:
    folder, printed = trained
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        row = lake.read(POLICIES).row(0, named=True)
    assert f"Policy {row['policy_id']}: trained on IBM, MSFT up to {row['cutoff']}," in printed
    assert "seed 3" in printed
    visits = [int(line.split()[3]) for line in printed.splitlines() if re.match(r"(calm|normal|wild) +(re|se)", line)]
    assert sum(visits) > 50
    for name in ("naive", "fixed", "policy"):
        (line,) = [line.split() for line in printed.splitlines() if line.startswith(f"{name} ")]
        p_value = row[f"{name}_p_value"]
        assert line == [name, f"{row[f'{name}_loss']:.3f}", f"{p_value:.3f}", "yes" if p_value > 0.1 else "no"]
    assert f"p = {row['dm_p_value']:.3f}" in printed
    # The daily closes of two stocks teach nothing useful.
    assert not row["accepted"]
    assert f"Refused: {row['verdict']}." in printed
    assert printed.endswith("Forecasts use the fixed action: rank 4, 250 bars.\n")


def test_show_prints_the_newest_or_the_one_named(trained: tuple[Path, str], pm: Pm) -> None:
    folder, printed = trained
    name = re.findall(r"Policy (\S+):", printed)[0]
    for arguments in ((), (name,)):
        done = pm(folder, "policy", "show", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    unknown = pm(folder, "policy", "show", name[:-1] + "x")
    assert unknown.returncode == 5
    assert f"Did you mean '{name}'?" in unknown.stderr
    assert "pm policy train" in unknown.stderr


def test_before_there_is_a_policy(finished: Path, pm: Pm) -> None:
    done = pm(finished, "policy", "show")
    assert (done.returncode, done.stdout) == (16, "")
    assert done.stderr == (
        "error: There is no policy yet.\n  where: table policies\n  try:   train one: pm policy train\n"
    )


REFUSED = [
    (("--tickers", "IBM,MSTF"), 6, ("MSTF", "Did you mean 'MSFT'?")),
    (("--tickers", "FB"), 5, ("too few", "later cutoff or more tickers")),
    (("--tickers", "IBM,MSFT", "--cutoff", "1999-12-31"), 5, ("1999-12-31", "2000-03-01")),
]


def test_training_that_is_impossible_is_refused_with_a_remedy(finished_copy: Path, pm: Pm) -> None:
    for arguments, code, parts in REFUSED:
        done = pm(finished_copy, "policy", "train", *arguments)
        assert done.returncode == code, done.stderr
        for part in ("error: ", "\n  where: ", "\n  try:   ", *parts):
            assert part in done.stderr, (arguments, done.stderr)
    with Lake(finished_copy / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        assert lake.read(POLICIES).is_empty()


def test_training_without_bars_is_refused(workspace: Path, pm: Pm) -> None:
    done = pm(workspace, "policy", "train")
    assert done.returncode == 7
    assert "There are no usable bars" in done.stderr
