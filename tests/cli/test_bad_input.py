from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

GOOD = "ticker,date,close\nABC,2020-01-02,5\nABC,2020-01-03,5.5\n"
QUERY = 11
RECORD = {"runs", "stage_events"}  # where a failure is written down


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """Expect one message of three parts and an exit code, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr[done.stderr.index("error: ") :]
    assert said.count("error: ") == 1
    assert "\n  where: " in said or code == QUERY  # a query is where it is
    assert "\n  try:   " in said
    for part in parts:
        assert part in said


def tables(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        return {name: lake.read(TABLES[name]).rows() for name in set(TABLES) - RECORD}


def files(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in {".sqlite-shm", ".sqlite-wal", ".lock"}
    }


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", b"ticker,date,open\nABC,2020-01-02,5\n", ("close", "a.csv")),
        ("a.csv", b"ticker,date,close\nABC,2020-01-02,five\n", ("five", "a.csv")),
        ("a.csv", b"ticker,date,close\nABC,2020-02-31,5\n", ("2020-02-31", "a.csv")),
        ("a.csv", b"", ("a.csv",)),
        ("a.csv", b"ticker,date,close\n", ("a.csv",)),
        ("a.parquet", b"no Parquet at all", ("Parquet", "a.parquet")),
        ("a.xlsx", b"PK", ("format", "a.xlsx")),
        ("nothing", None, ("nothing",)),
    ],
    ids=["missing column", "wrong type", "bad date", "empty", "header alone", "not parquet", "not read", "not there"],
)
def test_a_file_that_cannot_be_read_refuses_the_whole_import(
    house: Path, tmp_path: Path, pm: Pm, name: str, content: bytes | None, parts: tuple[str, ...]
) -> None:
    (tmp_path / "AAA.csv").write_text(GOOD)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = tables(house)
    refused(pm(house, "import", tmp_path / "AAA.csv", tmp_path / name), 5, *parts)
    assert tables(house) == before


def test_debug_shows_the_traceback(workspace: Path, pm: Pm) -> None:
    done = pm(workspace, "import", "nothing.csv", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "InputError" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (("run", "--source", "sample", "--tickers", "IBM,MSTF"), 6, ("MSTF", "Did you mean 'MSFT'?")),
        (("forecast", "IBN"), 6, ("IBN", "Did you mean 'IBM'?")),
        (("forecast", "IBM", "--model", "drifd"), 5, ("drifd", "Did you mean 'drift'?")),
        (("run", "--source", "sampel"), 3, ("sampel", "Did you mean 'sample'?")),
        (("run", "--source", "sample", "--as-of", "1999-12-31"), 5, ("1999-12-31", "2000-03-01")),
        (("run", "--resume", "20200101T000000-abcd"), 5, ("20200101T000000-abcd", "pm runs")),
        (("runs", "show", "20200101T000000-abcd"), 5, ("20200101T000000-abcd", "pm runs")),
        (("sql", "SELECT clsoe FROM bars"), 11, ("clsoe",)),
        (("sql", "SELEC 1"), 11, ("SELEC",)),
        (("sql", "DROP TABLE bars"), 11, ("DROP",)),
        (("sql", "SELECT * FROM read_csv('/etc/passwd')"), 11, ("read_csv",)),
        (("sql", "SELECT 1; SELECT 2"), 11, ("One statement",)),
        (("sql", "from bars", "--as-of", "tomorrow"), 5, ("tomorrow",)),
        (("sql", "from bars", "--as-of", "99999"), 8, ("99999", "pm lake snapshots")),
        (("sql", "from bars", "--as-of", "1999-01-01"), 8, ("1999-01-01", "pm lake snapshots")),
        (("sql", "from bars", "-o", "/no/such/folder/x.csv"), 10, ("/no/such/folder/x.csv",)),
        (("tables", "bras"), 11, ("bras", "Did you mean 'bars'?")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and len(value) > 1 else "",
)
def test_what_cannot_be_asked_is_answered_with_a_remedy(
    house: Path, pm: Pm, arguments: tuple[str, ...], code: int, parts: tuple[str, ...]
) -> None:
    before = tables(house)
    refused(pm(house, *arguments), code, *parts)
    assert tables(house) == before


def test_a_run_that_came_to_its_end_is_not_resumed(house: Path, pm: Pm) -> None:
    run = pm(house, "sql", "SELECT run_id FROM latest_run", "--format", "csv").stdout.split()[1]
    refused(pm(house, "run", "--resume", run), 5, run, "nothing to resume")


@pytest.mark.parametrize("arguments", [("signals",), ("sql", "from bars"), ("lake", "compact"), ("runs",)])
def test_outside_a_workspace(tmp_path: Path, pm: Pm, arguments: tuple[str, ...]) -> None:
    refused(pm(tmp_path, *arguments), 4, "no workspace", "pm init")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("signals",), ("sql", "from bars"), ("runs",)])
def test_before_there_is_a_lake(workspace: Path, pm: Pm, arguments: tuple[str, ...]) -> None:
    refused(pm(workspace, *arguments), 8, "no lake", "pm run")


def test_an_unknown_setting_is_refused_with_the_nearest(house: Path, pm: Pm) -> None:
    before = files(house / "lake")
    (house / "config" / "signals.yml").write_text("treshold: 0.6\n")
    refused(pm(house, "run"), 3, "treshold", "Did you mean 'threshold'?", "signals.yml")
    assert files(house / "lake") == before
    (house / "config" / "signals.yml").unlink()
    refused(pm(house, "run", env={"PM_SIGNALS__TRESHOLD": "0.6"}), 3, "threshold", "PM_SIGNALS__TRESHOLD")


def test_a_corrupt_catalog_is_named_and_left_alone(house: Path, pm: Pm) -> None:
    catalog = house / "lake" / "catalog.sqlite"
    for rest in house.glob("lake/catalog.sqlite-*"):
        rest.unlink()
    catalog.write_bytes(b"this was once a catalog" * 1000)
    before = files(house / "lake")
    for command in (("run",), ("signals",), ("sql", "from bars"), ("import", house / "BAD.csv")):
        refused(pm(house, *command), 8, "damaged", "backup")
    assert files(house / "lake") == before


def test_a_data_file_that_is_gone_is_named(house: Path, pm: Pm) -> None:
    for file in (house / "lake" / "data").rglob("*.parquet"):
        if file.parent.name == "features":
            file.unlink()
    refused(pm(house, "sql", "from features"), 8, "damaged", "backup")


_LIMITED = """
import resource, signal, sys
from pm.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv[0] = "pm"
main()
"""


def test_a_full_disk_leaves_the_lake_as_it_was(
    house: Path, tmp_path: Path, pm: Pm, environment: dict[str, str]
) -> None:
    # No file may grow beyond 100 kB: the catalog, larger already, cannot be written either.
    rows = "".join(f"T{n},2020-01-{day:02},{n * 31.7 % 97 + day}\n" for n in range(2000) for day in range(1, 29))
    (tmp_path / "big.csv").write_text(f"ticker,date,close\n{rows}")
    before = tables(house)
    line = [sys.executable, "-c", _LIMITED, "import", str(tmp_path / "big.csv")]
    done = subprocess.run(line, cwd=house, env=environment, capture_output=True, text=True, check=False)
    refused(done, 10, "free some space")
    assert tables(house) == before
    assert pm(house, "import", tmp_path / "big.csv").returncode == 0


def powerless() -> list[str]:
    """Give what takes root's right to write anywhere from a command."""
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []


def test_a_folder_that_cannot_be_written(house: Path, tmp_path: Path, pm: Pm) -> None:
    before = files(house / "lake")
    folders = [house / "lake", *(folder for folder in (house / "lake").rglob("*") if folder.is_dir())]
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in [*folders, empty]:
        folder.chmod(0o555)
    try:
        for command in (("run",), ("import", house / "BAD.csv"), ("lake", "compact")):
            refused(pm(house, *command, prefix=powerless()), 10, "cannot be written")
        refused(pm(empty, "run", prefix=powerless()), 10, "cannot be written")
    finally:
        for folder in [*folders, empty]:
            folder.chmod(0o755)
    assert files(house / "lake") == before


_HOLD = """
import sys
from pathlib import Path
from pm.pipeline.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_locked_lake_can_be_read_and_says_who_writes(house: Path, pm: Pm) -> None:
    line = [sys.executable, "-c", _HOLD, str(house / "lake")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for command in (("run",), ("import", house / "BAD.csv"), ("lake", "compact")):
            refused(pm(house, *command), 9, f"pid {holder.pid}", "since ", "works meanwhile")
        for command in (("signals",), ("sql", "from bars LIMIT 1"), ("runs",)):
            assert pm(house, *command).returncode == 0
        holder.communicate()
    assert pm(house, "import", house / "BAD.csv").returncode == 0
