"""Text of data that would steer a terminal is shown escaped wherever a terminal sees it; programs get it unchanged."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.cli import main
from pm.cli.visible import visible, visible_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
EVIL = ("A\x1b[2J\x1b]0;owned\x07", "B\u202egnp.exe", "C\x9b31m", "D:smile:", "E[bold]")
"""Tickers that clear the screen, rename its window, reverse the text after them, or are markup of Rich."""


@given(st.text())
def test_only_tabs_and_line_ends_are_left_of_what_steers_a_terminal(text: str) -> None:
    assert not STEERING.search(visible(text))
    assert not STEERING.search(visible_line(text))
    assert len(visible_line(text).splitlines()) <= 1
    assert "\t" not in visible_line(text)
    plain = STEERING.sub("", text)
    assert visible(plain) == plain


@pytest.fixture(scope="module")
def evil(finished: Path, tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> Path:
    """Return a finished workspace with bars of tickers whose names steer a terminal, some of which were refused."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("evil") / "finished")
    rows = [f'"{ticker}",2013-01-{day:02},{day}' for ticker in EVIL for day in (2, 3, 4)]
    rows += [f'"{ticker}",2013-01-07,-5' for ticker in EVIL]
    (folder / "evil.csv").write_text("\n".join(["ticker,date,close", *rows]), encoding="utf-8")
    done = pm(folder, "import", "evil.csv")
    assert done.returncode == 0, done.stderr
    assert not STEERING.search(done.stdout + done.stderr)
    return folder


def test_no_command_prints_them(evil: Path, pm: Pm) -> None:
    first = EVIL[0]
    commands: list[tuple[str, ...]] = [
        ("quarantine",),
        ("sql", "SELECT DISTINCT ticker FROM bars"),
        ("sql", f'SELECT 1 AS "{first}"'),
        ("sql", f'SELECT 1 AS "{first}" FROM "{first}"'),
        ("universe", "add", *EVIL),
        ("universe", "list"),
        ("run", "--tickers", ",".join(EVIL)),
        ("run", "--tickers", f"{first}x"),
        ("run", "--tickers", f"{first}x", "--debug"),
        ("runs",),
        ("signals",),
        ("forecast", first),
        ("tables", first),
    ]
    found = [(words, pm(evil, *words)) for words in commands]
    assert [words for words, done in found if STEERING.search(done.stdout + done.stderr)] == []
    for ticker in EVIL[:3]:  # they have bars, and cannot be watched by name
        refused = pm(evil, "universe", "add", ticker)
        assert (refused.returncode, "cannot be shown" in refused.stderr) == (2, True)
    assert pm(evil, "universe", "add", *EVIL[3:]).returncode == 0
    listed = pm(evil, "universe", "list").stdout
    assert all(ticker in listed for ticker in EVIL[3:])


def test_a_program_reads_the_data_as_they_are_and_a_terminal_does_not(
    evil: Path, pm: Pm, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = ("sql", "SELECT DISTINCT ticker FROM bars WHERE ticker LIKE 'A_%[2J%'", "--format", "csv")
    assert pl.read_csv(pm(evil, *query).stdout.encode())["ticker"].to_list() == [EVIL[0]]
    monkeypatch.chdir(evil)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(list(query)) == 0
    assert capsysbinary.readouterr().out.decode().splitlines() == ["ticker", visible_line(EVIL[0])]
