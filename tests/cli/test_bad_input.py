from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

GOOD = "ticker,date,close\nABC,2020-01-02,5\nABC,2020-01-03,5.5\n"
QUERY = 11
RUN_RECORDS = {"runs", "stage_events"}  # a failed run is recorded there


def faults(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> list[str]:
    """Return what is wrong with a refusal: it must be one message of three parts, with its exit code."""
    message = done.stderr[done.stderr.find("error: ") :]
    expected = {
        f"exit code {code}, not {done.returncode}": done.returncode == code,
        "no traceback": "Traceback" not in done.stderr,
        "one message": message.count("error: ") == 1,
        "a place": "\n  where: " in message or code == QUERY,  # a query needs no place
        "a remedy": "\n  try:   " in message,
        **{part: part in message for part in parts},
    }
    return [f"{' '.join(done.args)}: {fault}" for fault, held in expected.items() if not held]


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert not faults(done, code, *parts), done.stderr


def tables(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        return {name: lake.read(TABLES[name]).rows() for name in set(TABLES) - RUN_RECORDS}


def files(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in {".sqlite-shm", ".sqlite-wal", ".lock"}
    }


UNREADABLE: dict[str, tuple[bytes | None, tuple[str, ...]]] = {
    "no_close.csv": (b"ticker,date,open\nABC,2020-01-02,5\n", ("close",)),
    "word.csv": (b"ticker,date,close\nABC,2020-01-02,five\n", ("five",)),
    "no_such_day.csv": (b"ticker,date,close\nABC,2020-02-31,5\n", ("2020-02-31",)),
    "empty.csv": (b"", ()),
    "header_alone.csv": (b"ticker,date,close\n", ()),
    "damaged.parquet": (b"no Parquet at all", ("Parquet",)),
    "sheet.xlsx": (b"PK", ("format",)),
    "not_there": (None, ()),
}


def test_a_file_that_cannot_be_read_refuses_the_whole_import(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "AAA.csv").write_text(GOOD)
    before = tables(finished_copy)
    found = []
    for name, (content, parts) in UNREADABLE.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        found += faults(pm(finished_copy, "import", tmp_path / "AAA.csv", tmp_path / name), 5, name, *parts)
    assert not found
    assert tables(finished_copy) == before


def test_debug_shows_the_traceback(workspace: Path, pm: Pm) -> None:
    done = pm(workspace, "import", "nothing.csv", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "InputError" in done.stderr


REFUSED: list[tuple[tuple[str, ...], int, tuple[str, ...]]] = [
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
]


def test_a_question_that_has_no_answer_is_refused_with_a_remedy(finished_copy: Path, pm: Pm) -> None:
    before = tables(finished_copy)
    assert not [fault for words, code, parts in REFUSED for fault in faults(pm(finished_copy, *words), code, *parts)]
    assert tables(finished_copy) == before


def test_a_finished_run_is_not_resumed(finished_copy: Path, pm: Pm) -> None:
    run = pm(finished_copy, "sql", "SELECT run_id FROM latest_run", "--format", "csv").stdout.split()[1]
    refused(pm(finished_copy, "run", "--resume", run), 5, run, "nothing to resume")


READING = (("signals",), ("sql", "from bars"), ("runs",), ("tables",), ("forecast", "IBM"), ("quarantine",))


def test_outside_a_workspace_commands_name_pm_init(tmp_path: Path, pm: Pm) -> None:
    commands = (*READING, ("lake", "compact"), ("policy", "train"))
    assert not [fault for words in commands for fault in faults(pm(tmp_path, *words), 4, "no workspace", "pm init")]
    assert not list(tmp_path.iterdir())


def test_before_there_is_a_lake_commands_name_pm_run(workspace: Path, pm: Pm) -> None:
    assert not [fault for words in READING for fault in faults(pm(workspace, *words), 8, "no lake", "pm run")]


def test_an_unknown_setting_is_refused_and_the_nearest_known_one_is_named(finished_copy: Path, pm: Pm) -> None:
    before = files(finished_copy / "lake")
    (finished_copy / "config" / "signals.yml").write_text("treshold: 0.6\n")
    refused(pm(finished_copy, "run"), 3, "treshold", "Did you mean 'threshold'?", "signals.yml")
    assert files(finished_copy / "lake") == before
    (finished_copy / "config" / "signals.yml").unlink()
    refused(pm(finished_copy, "run", env={"PM_SIGNALS__TRESHOLD": "0.6"}), 3, "threshold", "PM_SIGNALS__TRESHOLD")


def test_a_corrupt_catalog_is_named_and_left_alone(finished_copy: Path, pm: Pm) -> None:
    catalog = finished_copy / "lake" / "catalog.sqlite"
    for rest in finished_copy.glob("lake/catalog.sqlite-*"):
        rest.unlink()
    catalog.write_bytes(b"this was once a catalog" * 1000)
    before = files(finished_copy / "lake")
    for command in (("run",), ("signals",), ("sql", "from bars"), ("import", finished_copy / "BAD.csv")):
        refused(pm(finished_copy, *command), 8, "damaged", "backup")
    assert files(finished_copy / "lake") == before


def test_a_data_file_that_is_gone_is_named(finished_copy: Path, pm: Pm) -> None:
    for file in (finished_copy / "lake" / "data").rglob("*.parquet"):
        if file.parent.name == "features":
            file.unlink()
    refused(pm(finished_copy, "sql", "from features"), 8, "damaged", "backup")


_LIMITED = """
import resource, signal, sys
from pm.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main())
"""


def test_a_full_disk_leaves_the_lake_as_it_was(
    finished_copy: Path, tmp_path: Path, pm: Pm, environment: dict[str, str]
) -> None:
    # No file may grow beyond 100 kB: the catalog, larger already, cannot be written either.
    rows = "".join(f"T{n},2020-01-{day:02},{n * 31.7 % 97 + day}\n" for n in range(2000) for day in range(1, 29))
    (tmp_path / "big.csv").write_text(f"ticker,date,close\n{rows}")
    before = tables(finished_copy)
    line = [sys.executable, "-c", _LIMITED, "import", str(tmp_path / "big.csv")]
    done = subprocess.run(line, cwd=finished_copy, env=environment, capture_output=True, text=True, check=False)
    refused(done, 10, "free some space")
    assert tables(finished_copy) == before
    assert pm(finished_copy, "import", tmp_path / "big.csv").returncode == 0


def without_root_rights() -> list[str]:
    """Return the words before a command that take from it root's right to write anywhere."""
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []


def test_a_folder_that_cannot_be_written_is_named(finished_copy: Path, tmp_path: Path, pm_process: Pm) -> None:
    before = files(finished_copy / "lake")
    folders = [finished_copy / "lake", *(folder for folder in (finished_copy / "lake").rglob("*") if folder.is_dir())]
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in [*folders, empty]:
        folder.chmod(0o555)
    try:
        for command in (("run",), ("import", finished_copy / "BAD.csv"), ("lake", "compact")):
            refused(pm_process(finished_copy, *command, prefix=without_root_rights()), 10, "cannot be written")
        refused(pm_process(empty, "run", prefix=without_root_rights()), 10, "cannot be written")
    finally:
        for folder in [*folders, empty]:
            folder.chmod(0o755)
    assert files(finished_copy / "lake") == before


_HOLD = """
import sys
from pathlib import Path
from pm.pipeline.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_locked_lake_can_be_read_and_says_who_writes(finished_copy: Path, pm: Pm) -> None:
    line = [sys.executable, "-c", _HOLD, str(finished_copy / "lake")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for command in (("run",), ("import", finished_copy / "BAD.csv"), ("lake", "compact")):
            refused(pm(finished_copy, *command), 9, f"pid {holder.pid}", "since ", "works meanwhile")
        for command in (("signals",), ("sql", "from bars LIMIT 1"), ("runs",)):
            assert pm(finished_copy, *command).returncode == 0
        holder.communicate()
    assert pm(finished_copy, "import", finished_copy / "BAD.csv").returncode == 0
