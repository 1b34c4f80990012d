"""The same work on this machine's processes, on a real Dask and on a real Ray."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import contextmanager
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import psutil
import pytest
import ray
from distributed import LocalCluster

from pm.errors import EngineError, InputError, WorkerError
from pm.parallel import ENGINES, Workers
from pm.parallel.workers import _PACKAGES
from pm.pipeline import Request, backtest, open_lake
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stages.backtest import TrialRequest
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import init_workspace
from tests.parallel.work import fail_for_two, grow, killed_always, killed_once, private_memory_mib, solve, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from pm.pipeline.stage import Stage
    from pm.settings import Settings

    WorkersOf = Callable[[str], Workers]

# Connects to a running Ray as another program does, and prints the results.
_RAY_CLIENT = """
import sys
from pm.parallel import Workers
with Workers("ray", address=sys.argv[1]) as workers:
    print(list(workers.map(abs, range(-3, 0))))
"""

_KILLED_PARENT = """
import sys
from pm.parallel import Workers
print(*set(Workers(jobs=2).map(eval, ["__import__('os').getpid()"] * 4)), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def _cluster_settings() -> Iterator[None]:
    """Run Ray without a token and without usage reports; let Dask fail work at the second death of its worker."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


def _cluster(workers: int) -> LocalCluster:
    return LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    """A running cluster of two workers, which waits long for a busy machine to start them again."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}), _cluster(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def bare_cluster() -> Iterator[LocalCluster]:
    """A running cluster without workers."""
    with _cluster(0) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local_workers() -> Iterator[Workers]:
    with Workers(jobs=2) as workers:
        yield workers


@pytest.fixture(scope="module")
def dask_workers(dask_address: str) -> Iterator[Workers]:
    with Workers("dask", address=dask_address) as workers:
        yield workers


@pytest.fixture(scope="module")
def ray_workers() -> Iterator[Workers]:
    """Workers of a Ray that is started here, whose processes must end with it."""
    before, files = _cluster_processes(), set(Path.cwd().iterdir())
    with Workers("ray", jobs=2) as workers:
        yield workers
    assert set(Path.cwd().iterdir()) == files
    _check_ended(before)


@pytest.fixture
def workers_of(request: pytest.FixtureRequest) -> WorkersOf:
    """A function that returns an engine's workers, shared by all tests since they take long to start."""
    return lambda engine: request.getfixturevalue(f"{engine}_workers")


def _cluster_processes() -> set[int]:
    """Return the ids of the processes started from here that belong to a cluster."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            line = " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue
        if "ray" in line or ("spawn_main" in line and "tracker" not in line):
            found.add(child.pid)
    return found


def _check_ended(before: set[int]) -> None:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in _cluster_processes() - before], timeout=20)
    assert not alive


def test_local_workers_exit_if_their_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED_PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert workers
        parent.kill()
        _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


@contextmanager
def _worker(cluster: LocalCluster, *options: str, path: Path | None = None) -> Iterator[None]:
    """Start a worker that is not started again when it dies."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    with subprocess.Popen(
        [*command, "--no-nanny", "--no-dashboard", *options], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        while not cluster.scheduler_info["workers"]:
            assert process.poll() is None
            time.sleep(0.05)
        yield
        process.kill()
    while cluster.scheduler_info["workers"]:
        time.sleep(0.05)


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_have_one_thread_each(workers_of: WorkersOf, engine: str) -> None:
    seen = list(workers_of(engine).map(threads, range(6)))
    assert all(threads[2:] == (1, {1}) for threads in seen)
    if engine != "dask":  # these Dask workers were not started by pm
        assert all(threads[1] == 1 for threads in seen)
    pids = {pid for pid, *_ in seen}
    assert os.getpid() not in pids
    assert len(pids) <= 2


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_results_are_bitwise_those_of_this_process_and_in_order(workers_of: WorkersOf, engine: str) -> None:
    assert list(workers_of(engine).map(solve, range(9))) == list(Workers(jobs=1).map(solve, range(9)))


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_errors_reach_the_caller_unchanged(workers_of: WorkersOf, engine: str) -> None:
    with pytest.raises(InputError) as caught:
        list(workers_of(engine).map(fail_for_two, range(6)))
    assert (caught.value.what, caught.value.hint) == ("Two is refused.", "ask for three")
    assert list(workers_of(engine).map(fail_for_two, [3])) == [3]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_chunk_of_a_killed_worker_is_done_again(workers_of: WorkersOf, engine: str, tmp_path: Path) -> None:
    assert list(workers_of(engine).map(partial(killed_once, tmp_path), range(12))) == list(range(12))
    attempts = [len(list(tmp_path.glob(f"{number}.*"))) for number in range(12)]
    assert attempts[6] == 2
    assert attempts[:2] == [1, 1]  # results are kept: at most 4 of 12 chunks were running or waiting
    assert sum(attempts) <= 12 + 4


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_the_error_has_the_name_of_a_chunk_that_always_kills_its_worker(workers_of: WorkersOf, engine: str) -> None:
    _check_error_of_a_fatal_chunk(workers_of(engine))


def _check_error_of_a_fatal_chunk(workers: Workers) -> None:
    with pytest.raises(WorkerError, match=r"chunk 3 of 5 \(number 2\)"):
        list(workers.map(killed_always, range(5), name=lambda number: f"number {number}"))
    assert list(workers.map(killed_always, [7, 8])) == [7, 8]


def test_a_local_worker_that_grows_is_kept() -> None:
    workers = Workers(jobs=2)
    pids = [set(workers.map(grow, [mib] * 4)) for mib in (1, 200, 0)]
    assert pids[0] == pids[1] == pids[2]


@pytest.mark.slow
def test_a_dask_cluster_started_here_starts_again_workers_that_it_had_given_up() -> None:
    before = _cluster_processes()
    # Dask gives up a worker that is gone for longer than this, as a slow start can make it: here any killed worker.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}), Workers("dask", jobs=2) as workers:
        assert all(threads[1:] == (1, 1, {1}) for threads in workers.map(threads, range(4)))
        _check_error_of_a_fatal_chunk(workers)
    _check_ended(before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_workers_memory_does_not_grow_with_the_number_of_chunks(workers_of: WorkersOf, engine: str) -> None:
    chunks = [np.full(2**19, float(place)) + 1 for place in range(60)]  # 4 MiB each
    used = list(workers_of(engine).map(private_memory_mib, chunks))
    assert sum(chunk.nbytes for chunk in chunks) / 2**20 == 240
    assert max(used) - max(used[:12]) < 24  # six chunks: those waiting at the worker, and the allocator's slack


@pytest.mark.usefixtures("ray_workers")
def test_a_ray_cluster_of_another_program_is_used_and_left_running(workers_of: WorkersOf) -> None:
    list(workers_of("ray").map(abs, [1]))
    address = ray.get_runtime_context().gcs_address
    finished = subprocess.run([sys.executable, "-c", _RAY_CLIENT, address], check=True, capture_output=True, text=True)
    assert finished.stdout.strip().endswith("[3, 2, 1]")
    assert list(workers_of("ray").map(abs, [-4])) == [4]


def _quick_settings(engine: str, address: str | None) -> Settings:
    settings = load_settings()
    changes: dict[str, dict[str, Any]] = {
        "forecast": {"models": ["naive", "samossa"], "horizon": 3, "window": 300, "origins": 2},
        "volatility": {"models": ["garch"], "windows": [500], "simulations": 500, "calibration_sessions": 0},
        "run": {"chunk_size": 1, "jobs": 1 if engine == "local" else 2, "engine": engine, "address": address},
    }
    return settings.model_copy(
        update={name: settings.section(name).model_copy(update=values) for name, values in changes.items()}
    )


def test_a_run_gives_the_same_numbers_on_each_engine(workers_of: WorkersOf, dask_address: str, tmp_path: Path) -> None:
    list(workers_of("ray").map(abs, [1]))  # connects to Ray, so that the run uses this cluster
    names = [stage.name for stage in RUN_STAGES]
    upto = RUN_STAGES[: names.index("forecast") + 1]
    _run(tmp_path / "checked", _quick_settings("local", None), RUN_STAGES[: names.index("check") + 1])
    runs: dict[str, dict[str, pl.DataFrame]] = {}
    for engine in ENGINES:
        shutil.copytree(tmp_path / "checked", tmp_path / engine)
        settings = _quick_settings(engine, dask_address if engine == "dask" else None)
        runs[engine] = _run(tmp_path / engine, settings, upto)
    local = runs.pop("local")
    assert local["forecasts"]["ticker"].n_unique() == local["volatility"]["ticker"].n_unique() == 3
    for frames in runs.values():
        for name, frame in frames.items():
            assert frame.write_ipc(None).getvalue() == local[name].write_ipc(None).getvalue()


@pytest.mark.slow
def test_a_backtest_is_the_same_on_each_engine(workers_of: WorkersOf, dask_address: str, tmp_path: Path) -> None:
    list(workers_of("ray").map(abs, [1]))  # connects to Ray, so that the backtest uses this cluster
    names = [stage.name for stage in RUN_STAGES]
    _run(tmp_path / "checked", _quick_settings("local", None), RUN_STAGES[: names.index("check") + 1])
    trials: dict[str, dict[str, pl.DataFrame]] = {}
    for engine in ENGINES:
        folder = shutil.copytree(tmp_path / "checked", tmp_path / engine)
        settings = _quick_settings(engine, dask_address if engine == "dask" else None)
        with open_lake(init_workspace(folder), settings) as lake:
            backtest(
                lake,
                init_workspace(folder),
                settings,
                lambda _: None,
                request=Request("sample", tickers=("AAPL", "IBM")),
                trial=TrialRequest(first=date(2012, 11, 1), step=40),
            )
            trials[engine] = {
                name: lake.read(TABLES[name]).drop("run_id", "snapshot_id", "trial_id", "forecast_run_id", strict=False)
                for name in ("volatility", "forecasts", "trial_targets", "trial_fills", "trial_returns")
            }
    local = trials.pop("local")
    assert local["trial_fills"].height > 0
    for frames in trials.values():
        for name, frame in frames.items():
            assert frame.write_ipc(None).getvalue() == local[name].write_ipc(None).getvalue(), name


def _run(folder: Path, settings: Settings, stages: Sequence[Stage]) -> dict[str, pl.DataFrame]:
    """Run some stages on three tickers of the sample, and return the rows that workers compute."""
    workspace = init_workspace(folder)
    with open_lake(workspace, settings) as lake:
        request = Request("sample", tickers=("AAPL", "FB", "IBM"))
        Runner(lake, settings, workspace, lambda _: None).run(stages, request)
        return {
            name: lake.read(TABLES[name]).drop("run_id", "snapshot_id")
            for name in ("volatility", "forecasts", "exclusions")
        }


@pytest.mark.parametrize("engine", ["dask", "ray"])
@pytest.mark.parametrize(
    ("address", "message"),
    [("127.0.0.1:1", "Nothing answers at 127.0.0.1:1"), ("nonsense", "'nonsense' is no address")],
)
def test_an_address_without_an_answer_is_reported_before_any_work(engine: str, address: str, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught, Workers(engine, address=address):
        pass
    assert caught.value.hint


class _QuietHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_another_program_at_the_address_is_not_taken_for_a_cluster(engine: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        http.server.HTTPServer(("127.0.0.1", 0), _QuietHandler) as web,
    ):
        threading.Thread(target=web.serve_forever, daemon=True).start()
        for port in (silent.getsockname()[1], web.server_port):
            with (
                pytest.raises(EngineError, match=f"at 127.0.0.1:{port} does not answer as a"),
                Workers(engine, address=f"127.0.0.1:{port}", timeout=1),
            ):
                pass
        web.shutdown()


def test_a_cluster_without_workers_is_refused_after_the_timeout(bare_cluster: LocalCluster) -> None:
    with (
        Workers("dask", address=bare_cluster.scheduler_address, timeout=1) as workers,
        pytest.raises(EngineError, match="has no workers") as caught,
    ):
        list(workers.map(solve, range(2)))
    assert "dask worker" in caught.value.hint


def test_work_fails_when_a_cluster_has_lost_all_its_workers(bare_cluster: LocalCluster) -> None:
    with (
        _worker(bare_cluster, "--nthreads", "1"),
        Workers("dask", address=bare_cluster.scheduler_address, timeout=2) as workers,
        pytest.raises(EngineError, match="for 4 seconds"),
    ):
        list(workers.map(killed_always, range(5)))


def test_workers_of_several_threads_are_refused(bare_cluster: LocalCluster) -> None:
    with (
        _worker(bare_cluster, "--nthreads", "2"),
        Workers("dask", address=bare_cluster.scheduler_address) as workers,
        pytest.raises(EngineError, match="2 threads") as caught,
    ):
        list(workers.map(solve, range(2)))
    assert "--nthreads 1" in caught.value.hint


def test_workers_of_another_version_are_refused(bare_cluster: LocalCluster, tmp_path: Path) -> None:
    other = tmp_path / "polars-0.1.dist-info" / "METADATA"
    other.parent.mkdir()
    other.write_text("Metadata-Version: 2.1\nName: polars\nVersion: 0.1\n")
    with (
        _worker(bare_cluster, "--nthreads", "1", path=tmp_path),
        Workers("dask", address=bare_cluster.scheduler_address, packages=["numpy", "polars"]) as workers,
        pytest.raises(EngineError, match=f"has polars 0.1, but pm runs here with {version('polars')}"),
    ):
        list(workers.map(solve, range(2)))


def test_the_error_of_an_unusable_engine_has_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="Did you mean 'dask'"):
        Workers("desk")
    with pytest.raises(EngineError, match="is not a cluster") as local:
        Workers("local", address="127.0.0.1:8786")
    assert "--engine dask" in local.value.hint
    monkeypatch.setitem(sys.modules, "distributed", None)  # as if it were not installed
    with pytest.raises(EngineError, match="not installed") as missing:
        Workers("dask")
    assert missing.value.hint == "python -m pip install dask distributed"


def test_the_packages_of_an_engine_are_those_of_its_extra() -> None:
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    for engine, packages in _PACKAGES.items():
        assert packages.split() == [name.partition(">")[0] for name in extras[engine]]
