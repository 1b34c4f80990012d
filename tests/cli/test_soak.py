"""Many processes that work on one workspace at the same time lose nothing and do not disturb each other."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from datetime import date, timedelta
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

SECONDS = 300
IMPORTERS = ("S0", "S1", "S2")
READS: tuple[tuple[str, ...], ...] = (
    ("sql", "SELECT ticker, count(*) FROM bars GROUP BY ALL"),
    ("signals",),
    ("forecast", "W1"),
    ("sql", "FROM batch_accounts WHERE NOT balanced"),
    ("runs",),
    ("tables",),
    ("lake", "info"),
)
CARE: tuple[tuple[str, ...], ...] = (("lake", "compact"), ("lake", "verify"))
RUNS: tuple[tuple[str, ...], ...] = (("run",), ("run", "--as-of", "2020-10-01"), ("run", "--tickers", "W1,W2"))


def walks(folder: Path) -> None:
    """Write files of three tickers' bars."""
    chance = random.Random(5)  # noqa: S311 - seeded, so that a failure can be repeated
    days = [date(2019, 1, 1) + timedelta(day) for day in range(700)]
    for ticker in ("W1", "W2", "W3"):
        close = 100.0
        lines = ["date,close"]
        for day in days:
            if day.weekday() < 5:
                close *= 1 + chance.gauss(0, 0.01)
                lines.append(f"{day},{close:.2f}")
        (folder / f"{ticker}.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.slow
def test_eight_processes_at_once_for_five_minutes(
    workspace: Path, pm: Pm, command: list[str], environment: dict[str, str]
) -> None:
    """Three users import, three read, one runs, one compacts and verifies. Prints how often each command was done."""
    walks(workspace)
    for arguments in (("import", "W1.csv", "W2.csv", "W3.csv"), ("run",)):
        assert pm(workspace, *arguments).returncode == 0
    done: Counter[str] = Counter()
    failures: list[str] = []
    until = time.monotonic() + SECONDS

    def repeat(lines: Iterator[tuple[str, ...]]) -> None:
        while time.monotonic() < until:
            line = next(lines)
            ended = subprocess.run(
                [*command, *line], cwd=workspace, env=environment, capture_output=True, text=True, check=False
            )
            done[line[0] if line[0] != "import" else f"import {line[1]}"] += 1
            if ended.returncode:
                failures.append(f"{' '.join(line)}: {ended.returncode}: {ended.stderr}")

    def imports(ticker: str) -> Iterator[tuple[str, ...]]:
        for number in count():
            day = date(2019, 1, 1) + timedelta(number)
            (workspace / f"{ticker}.csv").write_text(f"date,close\n{day},{number + 1}\n", encoding="utf-8")
            yield "import", f"{ticker}.csv"

    work = [imports(ticker) for ticker in IMPORTERS] + [cycle(RUNS), cycle(CARE), *(cycle(READS) for _ in range(3))]
    threads = [threading.Thread(target=repeat, args=(lines,)) for lines in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(dict(sorted(done.items())))  # noqa: T201 - figures for docs/evidence.md
    assert failures == []
    landing = "SELECT ticker, count(*) FROM bars WHERE ticker LIKE 'S%' GROUP BY ALL ORDER BY ALL"
    landed = pm(workspace, "sql", landing, "--format", "csv")
    rows = dict(line.split(",") for line in landed.stdout.split()[1:])
    assert rows == {ticker: str(done[f"import {ticker}.csv"]) for ticker in IMPORTERS}
    for query in ("FROM batch_accounts WHERE NOT balanced", "FROM runs WHERE status <> 'done'"):
        assert len(pm(workspace, "sql", query, "--format", "csv").stdout.splitlines()) == 1
    assert pm(workspace, "lake", "verify").returncode == 0
