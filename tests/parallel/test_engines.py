"""The same work on this machine's processes, on a real Dask and on a real Ray."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numba
import numpy as np
import polars as pl
import psutil
import pytest
import ray
from distributed import LocalCluster
from threadpoolctl import threadpool_info

from pm.errors import EngineError, InputError, WorkerError
from pm.parallel import ENGINES, Workers
from pm.pipeline import Request, nightly_run, open_for_writing
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from pm.settings import Settings

    Crews = Callable[[str], Workers]

# Connects to a running Ray as another program does, and says what came of it.
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
def _clusters_settings() -> Iterator[None]:
    """Let Ray neither ask for a token nor tell its makers; let Dask give up work on its second dead worker."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


def _cluster(workers: int) -> LocalCluster:
    return LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    """A running cluster of two workers, which stay however long a busy machine takes to start them again."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}), _cluster(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def bare_cluster() -> Iterator[LocalCluster]:
    """A running cluster without workers."""
    with _cluster(0) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local_crew() -> Iterator[Workers]:
    with Workers(jobs=2) as workers:
        yield workers


@pytest.fixture(scope="module")
def dask_crew(dask_address: str) -> Iterator[Workers]:
    with Workers("dask", address=dask_address) as workers:
        yield workers


@pytest.fixture(scope="module")
def ray_crew() -> Iterator[Workers]:
    """Workers of a Ray of our own, whose processes end with it."""
    before, files = _of_clusters(), set(Path.cwd().iterdir())
    with Workers("ray", jobs=2) as workers:
        yield workers
    assert set(Path.cwd().iterdir()) == files
    _gone(before)


@pytest.fixture
def crews(request: pytest.FixtureRequest) -> Crews:
    """Give an engine's workers, the same for all tests: starting them takes the most of this module's time."""
    return lambda engine: request.getfixturevalue(f"{engine}_crew")


def _threads(_: int) -> tuple[int, int, int, set[int]]:
    pools = {pool["num_threads"] for pool in threadpool_info()}
    return os.getpid(), pl.thread_pool_size(), numba.get_num_threads(), pools


def _solved(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    design: NDArray[np.float64] = rng.normal(size=(300, 60))
    return np.linalg.solve(design.T @ design, design.T @ rng.normal(size=300)).tobytes()


def _refuses(number: int) -> int:
    if number == 2:
        raise InputError("Two is refused.", where="test", hint="ask for three")
    return number


def _killed_once(folder: Path, number: int) -> int:
    """Note each try; the first try of 6 is killed, as by a system out of memory."""
    tries = len(list(folder.glob(f"{number}.*")))
    (folder / f"{number}.{tries}").touch()
    if number == 6 and tries == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number


def _killed_always(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _private_mib(values: NDArray[np.float64]) -> float:
    """Give this process's memory at its most; what it shares with others, as Ray's store of objects, is not its own."""
    more = values + 1
    assert more.sum() > 0
    memory = psutil.Process().memory_info()
    return float(memory.rss - memory.shared) / 2**20


def _of_clusters() -> set[int]:
    """Processes below this one that belong to a cluster."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            line = " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue
        if "ray" in line or ("spawn_main" in line and "tracker" not in line):
            found.add(child.pid)
    return found


def _gone(before: set[int]) -> None:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in _of_clusters() - before], timeout=20)
    assert not alive


def test_workers_on_this_machine_leave_with_a_parent_that_was_killed() -> None:
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
    """Have a worker that nobody starts again."""
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
def test_workers_have_one_thread_each(crews: Crews, engine: str) -> None:
    seen = list(crews(engine).map(_threads, range(6)))
    assert all(threads[2:] == (1, {1}) for threads in seen)
    if engine != "dask":  # whose workers here are not started by us
        assert all(threads[1] == 1 for threads in seen)
    pids = {pid for pid, *_ in seen}
    assert os.getpid() not in pids
    assert len(pids) <= 2


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_results_are_equal_to_the_last_bit_and_in_order(crews: Crews, engine: str) -> None:
    assert list(crews(engine).map(_solved, range(9))) == list(Workers(jobs=1).map(_solved, range(9)))


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_errors_reach_the_caller_as_they_are(crews: Crews, engine: str) -> None:
    with pytest.raises(InputError) as refused:
        list(crews(engine).map(_refuses, range(6)))
    assert (refused.value.what, refused.value.hint) == ("Two is refused.", "ask for three")
    assert list(crews(engine).map(_refuses, [3])) == [3]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_killed_worker_had_in_hand_is_done_again(crews: Crews, engine: str, tmp_path: Path) -> None:
    assert list(crews(engine).map(partial(_killed_once, tmp_path), range(12))) == list(range(12))
    tries = [len(list(tmp_path.glob(f"{number}.*"))) for number in range(12)]
    assert tries[6] == 2
    assert tries[:2] == [1, 1]  # what was had is kept: of 12, at most 4 were in flight
    assert sum(tries) <= 12 + 4


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_chunk_over_which_workers_always_die_is_named(crews: Crews, engine: str) -> None:
    _names_the_chunk(crews(engine))


def _names_the_chunk(crew: Workers) -> None:
    with pytest.raises(WorkerError, match=r"chunk 3 of 5 \(number 2\)"):
        list(crew.map(_killed_always, range(5), name=lambda number: f"number {number}"))
    assert list(crew.map(_killed_always, [7, 8])) == [7, 8]


@pytest.mark.slow
def test_a_dask_of_our_own_starts_workers_that_it_had_given_up() -> None:
    before = _of_clusters()
    # Dask gives up a worker that is gone for so long, as one is that starts slowly: here any that is killed.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}), Workers("dask", jobs=2) as crew:
        assert all(threads[1:] == (1, 1, {1}) for threads in crew.map(_threads, range(4)))
        _names_the_chunk(crew)
    _gone(before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_workers_memory_does_not_grow_with_the_number_of_chunks(crews: Crews, engine: str) -> None:
    chunks = [np.full(2**19, float(place)) + 1 for place in range(60)]  # 4 MiB each
    used = list(crews(engine).map(_private_mib, chunks))
    assert sum(chunk.nbytes for chunk in chunks) / 2**20 == 240
    assert max(used) - max(used[:12]) < 24  # six chunks: what is in flight, and the allocator's slack


@pytest.mark.usefixtures("ray_crew")
def test_another_programs_ray_is_used_at_its_address_and_left_running(crews: Crews) -> None:
    list(crews("ray").map(abs, [1]))
    address = ray.get_runtime_context().gcs_address
    done = subprocess.run([sys.executable, "-c", _RAY_CLIENT, address], check=True, capture_output=True, text=True)
    assert done.stdout.strip().endswith("[3, 2, 1]")
    assert list(crews("ray").map(abs, [-4])) == [4]


def _quick(engine: str, address: str | None) -> Settings:
    settings = load_settings()
    changes: dict[str, dict[str, Any]] = {
        "forecast": {"models": ["naive", "drift", "theta"], "horizon": 3, "window": 300, "origins": 8},
        "volatility": {"models": ["garch"], "windows": [500], "simulations": 500, "calibration_sessions": 0},
        "report": {"max_charts": 0},
        "run": {"chunk_size": 1, "jobs": 1 if engine == "local" else 2, "engine": engine, "address": address},
    }
    return settings.model_copy(
        update={name: settings.section(name).model_copy(update=values) for name, values in changes.items()}
    )


def test_a_night_gives_the_same_numbers_on_each_engine(crews: Crews, dask_address: str, tmp_path: Path) -> None:
    list(crews("ray").map(abs, [1]))  # a program that has connected to Ray has its own used
    nights: dict[str, dict[str, pl.DataFrame]] = {}
    for engine in ENGINES:
        settings = _quick(engine, dask_address if engine == "dask" else None)
        workspace = init_workspace(tmp_path / engine)
        with open_for_writing(workspace, settings) as lake:
            request = Request("sample", tickers=("AAPL", "FB", "IBM"))
            nightly_run(lake, workspace, settings, lambda _: None, request=request)
            nights[engine] = {
                name: lake.read(TABLES[name]).drop("run_id", "snapshot_id")
                for name in ("volatility", "forecasts", "exclusions")
            }
    local = nights.pop("local")
    assert local["forecasts"]["ticker"].n_unique() == local["volatility"]["ticker"].n_unique() == 3
    for frames in nights.values():
        for name, frame in frames.items():
            assert frame.write_ipc(None).getvalue() == local[name].write_ipc(None).getvalue()


@pytest.mark.parametrize("engine", ["dask", "ray"])
@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:1", "Nothing answers at 127.0.0.1:1"), ("nonsense", "'nonsense' is no address")]
)
def test_an_address_nobody_answers_at_is_said_before_any_work(engine: str, address: str, said: str) -> None:
    with pytest.raises(EngineError, match=said) as refused, Workers(engine, address=address):
        pass
    assert refused.value.hint


class _Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_something_else_at_the_address_is_told_from_a_cluster(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, http.server.HTTPServer(("127.0.0.1", 0), _Quiet) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        for port in (silent.getsockname()[1], web.server_port):
            with (
                pytest.raises(EngineError, match=f"at 127.0.0.1:{port} does not answer as a"),
                Workers(engine, address=f"127.0.0.1:{port}", patience=1),
            ):
                pass
        web.shutdown()


def test_a_cluster_without_workers_is_not_waited_for(bare_cluster: LocalCluster) -> None:
    with (
        Workers("dask", address=bare_cluster.scheduler_address, patience=1) as crew,
        pytest.raises(EngineError, match="has no workers") as refused,
    ):
        list(crew.map(_solved, range(2)))
    assert "dask worker" in refused.value.hint


def test_a_cluster_that_loses_all_its_workers_ends_the_work(bare_cluster: LocalCluster) -> None:
    with (
        _worker(bare_cluster, "--nthreads", "1"),
        Workers("dask", address=bare_cluster.scheduler_address, patience=2) as crew,
        pytest.raises(EngineError, match="for 4 seconds"),
    ):
        list(crew.map(_killed_always, range(5)))


def test_workers_of_several_threads_are_refused(bare_cluster: LocalCluster) -> None:
    with (
        _worker(bare_cluster, "--nthreads", "2"),
        Workers("dask", address=bare_cluster.scheduler_address) as crew,
        pytest.raises(EngineError, match="2 threads") as refused,
    ):
        list(crew.map(_solved, range(2)))
    assert "--nthreads 1" in refused.value.hint


def test_workers_of_another_version_are_refused(bare_cluster: LocalCluster, tmp_path: Path) -> None:
    other = tmp_path / "polars-0.1.dist-info" / "METADATA"
    other.parent.mkdir()
    other.write_text("Metadata-Version: 2.1\nName: polars\nVersion: 0.1\n")
    with (
        _worker(bare_cluster, "--nthreads", "1", path=tmp_path),
        Workers("dask", address=bare_cluster.scheduler_address) as crew,
        pytest.raises(EngineError, match=f"has polars 0.1, and pm runs here with {version('polars')}"),
    ):
        list(crew.map(_solved, range(2)))


def test_an_engine_that_cannot_be_is_refused_with_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="Did you mean 'dask'"):
        Workers("desk")
    with pytest.raises(EngineError, match="has none") as local:
        Workers("local", address="127.0.0.1:8786")
    assert "--engine dask" in local.value.hint
    monkeypatch.setitem(sys.modules, "distributed", None)  # as where it is not installed
    with pytest.raises(EngineError, match="not installed") as missing:
        Workers("dask")
    assert "portfolio-maximizer[dask]" in missing.value.hint
