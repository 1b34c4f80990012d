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
from pm.workspace import init_workspace

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
    "sheet.xlsx": (b"PK", ("ends in .xlsx", "damaged")),
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
    (("forecast", "IMB"), 6, ("Did you mean 'IBM'?",)),
    (("forecast", "AAPPL"), 6, ("Did you mean 'AAPL'?",)),
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
    (("sql", "from bars", "-o", "no-such-folder/x.csv"), 10, ("no-such-folder",)),
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


LONG = "x" * 300


def test_a_path_that_cannot_be_imported_makes_neither_a_workspace_nor_a_run(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "A.csv").write_text(GOOD)
    for folder in ("new", "old"):
        (tmp_path / folder).mkdir()
    init_workspace(tmp_path / "old")
    before = sorted(tmp_path.rglob("*"))
    too_long = "cannot be used" if os.name == "posix" else "no such"  # Windows finds no such file
    paths = [("", "empty"), ("nothing.csv", "no such"), (LONG, too_long), ("../empty", "no files of bars")]
    for path, part in [*paths, (os.devnull, "neither a file nor a folder")]:
        for folder in ("new", "old"):
            refused(pm(tmp_path / folder, "import", "../A.csv", path), 5, part)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.posix
def test_names_that_are_no_text_are_refused(tmp_path: Path, pm: Pm) -> None:
    name = os.fsdecode(b"n\xff")
    try:
        (tmp_path / f"{name}.csv").write_text(GOOD)
    except OSError:
        pytest.skip("this file system holds only names that are text")
    os.mkfifo(tmp_path / "P.csv")
    refused(pm(tmp_path, "import", "P.csv"), 5, "neither a file nor a folder")
    refused(pm(tmp_path, "import", "."), 5, "not UTF-8", "rename")
    refused(pm(tmp_path, "--workspace", name, "run"), 4, "not UTF-8", "rename")
    refused(pm(tmp_path, "--workspace", "a\\b", "run"), 4, "backslash", "rename")
    refused(pm(tmp_path, "init", f"a\\b{os.sep}c"), 4, "backslash", "rename")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["P.csv", f"{name}.csv"])


@pytest.mark.posix
def test_a_pipe_is_never_opened(finished_copy: Path, pm_process: Pm) -> None:
    (finished_copy / "lake" / "code.json").unlink()
    for name in ("lake/code.json", "x.csv"):
        os.mkfifo(finished_copy / name)
    assert (
        pm_process(finished_copy, "run", timeout=120).returncode == 16
    )  # its bars are old; it ends, and waits for none
    refused(pm_process(finished_copy, "actions", "import", "x.csv"), 5, "neither a file nor a folder")
    (finished_copy / "sql").mkdir(exist_ok=True)
    os.mkfifo(finished_copy / "sql" / "90_pipe.sql")
    refused(pm_process(finished_copy, "universe", "add", "AAPL"), 3, "view's file is no file", "move it away")


def test_a_workspace_needs_a_name_that_a_folder_can_have(tmp_path: Path, pm: Pm) -> None:
    for words in (("run",), ("signals",)):
        refused(pm(tmp_path, "--workspace", "", *words), 4, "empty")
    refused(pm(tmp_path, "init", ""), 4, "empty")
    on_windows = os.name == "nt"
    for command in ("signals", "run"):
        reason = "Windows allows 259" if on_windows else "no such folder"
        refused(pm(tmp_path, "--workspace", LONG, command), 4, reason)
    code, reason = (4, "Windows allows 259") if on_windows else (10, "File name too long")
    refused(pm(tmp_path, "init", LONG), code, reason)
    assert not list(tmp_path.iterdir())


@pytest.mark.posix  # Windows lets few users make links
def test_a_workspace_that_is_a_circle_of_links_is_refused(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "circle").symlink_to("circle")
    refused(pm(tmp_path, "--workspace", "circle", "run"), 4, "circle")


def test_a_mistyped_workspace_is_not_made(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "A.csv").write_text(GOOD)
    for words in (("run",), ("import", "A.csv"), ("evaluate",)):
        refused(pm(tmp_path, "--workspace", "wrok", *words), 4, "no such folder", "wrok", "pm init")
        refused(pm(tmp_path, *words, env={"PM_WORKSPACE": "wrok"}), 4, "no such folder", "wrok")
    refused(pm(tmp_path, "--workspace", "A.csv", "run"), 4, "this is a file")
    assert [path.name for path in tmp_path.iterdir()] == ["A.csv"]
    (tmp_path / "work").mkdir()
    assert pm(tmp_path, "--workspace", "work", "import", "A.csv").returncode == 0
    assert (tmp_path / "work" / "config" / "lake.yml").is_file()


IMPOSSIBLE: list[tuple[tuple[str, ...], int, tuple[str, ...]]] = [
    (("run", "--tickers", "IBM,MSTF"), 6, ("MSTF", "Did you mean 'MSFT'?")),
    (("run", "--as-of", "1999-12-31"), 5, ("1999-12-31", "2000-03-01")),
    (("run", "--source", "sampel"), 3, ("Did you mean 'sample'?",)),
    (("run", "--source", "files"), 7, ("pm import",)),
    (("run", "--resume", "20200101T000000-abcd"), 5, ("20200101T000000-abcd",)),
    (("run", "--engine", "dsak"), 14, ("Did you mean 'dask'?",)),
    (("evaluate", "--tickers", "MSTF"), 6, ("Did you mean 'MSFT'?",)),
]


def test_an_impossible_first_run_makes_no_workspace(tmp_path: Path, pm: Pm) -> None:
    assert not [fault for words, code, parts in IMPOSSIBLE for fault in faults(pm(tmp_path, *words), code, *parts)]
    refused(pm(tmp_path, "run", env={"PM_SIGNALS__TRESHOLD": "0.6"}), 3, "PM_SIGNALS__TRESHOLD")
    assert not list(tmp_path.iterdir())


@pytest.mark.posix
def test_a_deleted_current_folder_is_named(tmp_path: Path, pm_process: Pm) -> None:
    (tmp_path / "gone").mkdir()
    leave = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, sys.argv[1:])"
    prefix = [sys.executable, "-c", leave]
    for words in (("signals",), ("run",), ("init",), ("--workspace", "x", "signals")):
        (tmp_path / "gone").mkdir(exist_ok=True)
        refused(pm_process(tmp_path / "gone", *words, prefix=prefix), 4, "current folder no longer exists")


def test_settings_that_are_no_file_do_not_hide_the_workspace(workspace: Path, pm: Pm) -> None:
    mark = workspace / "config" / "lake.yml"
    mark.unlink()
    mark.mkdir()
    for words in (("run",), ("signals",)):
        refused(pm(workspace, *words), 3, "lake.yml", "folder")


def test_an_output_that_is_no_file_is_refused(finished: Path, pm: Pm) -> None:
    for name, code in (("", 5), (".", 5), (f"{LONG}.csv", 10)):
        refused(pm(finished, "sql", "SELECT 1", "--format", "csv", "-o", name), code)


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


@pytest.mark.posix
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


@pytest.mark.posix
def test_what_cannot_be_read_is_named(tmp_path: Path, pm_process: Pm) -> None:
    (tmp_path / "closed").mkdir()
    for file in (tmp_path / "A.csv", tmp_path / "closed" / "A.csv"):
        file.write_text(GOOD)
    (tmp_path / "A.csv").chmod(0)
    (tmp_path / "closed").chmod(0)
    for path in ("A.csv", "closed", "closed/A.csv"):
        refused(pm_process(tmp_path, "import", path, prefix=without_root_rights()), 5, path, "permission")
    for words in (("signals",), ("run",)):
        line = ("--workspace", "closed", *words)
        refused(pm_process(tmp_path, *line, prefix=without_root_rights()), 10, "closed", "permissions")
    (tmp_path / "closed").chmod(0o755)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A.csv", "closed"]


@pytest.mark.posix
@pytest.mark.parametrize(("name", "code"), [("config", 10), ("sql", 3)])
def test_a_folder_of_the_workspace_that_cannot_be_read_is_named(
    workspace: Path, pm_process: Pm, name: str, code: int
) -> None:
    (workspace / "A.csv").write_text(GOOD)
    (workspace / "sql" / "10_mine.sql").write_text("SELECT 1 AS one")
    (workspace / name).chmod(0)
    try:
        done = pm_process(workspace, "import", "A.csv", prefix=without_root_rights())
    finally:
        (workspace / name).chmod(0o755)
    refused(done, code, f"where: {workspace / name}\n", "permissions")


@pytest.mark.posix
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
            refused(pm(finished_copy, *command, "--no-wait"), 9, f"pid {holder.pid}", "since ", "works meanwhile")
        for command in (("signals",), ("sql", "from bars LIMIT 1"), ("runs",)):
            assert pm(finished_copy, *command).returncode == 0
        holder.communicate()
    assert pm(finished_copy, "import", finished_copy / "BAD.csv").returncode == 0
