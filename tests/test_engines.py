"""The same work on this machine's processes, on a real Dask and on a real Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import polars as pl
import psutil
import pytest
from distributed import LocalCluster
from threadpoolctl import threadpool_info

from pm.errors import EngineError, InputError, WorkerError
from pm.parallel import ENGINES, Workers
from pm.pipeline import Request, nightly_run, open_for_writing
from pm.settings import load_settings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from pm.settings import Settings

    Started = Callable[[str], Workers]

# Ray keeps its processes a while; the first start of all takes the most of this module's time.
_RAY = """
import sys, ray
started = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
print(started.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def _ray_alone() -> Iterator[None]:
    """Let Ray neither ask for a token nor tell its makers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", _RAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as head:
        assert head.stdout is not None
        yield head.stdout.readline().decode().strip()
        head.communicate(timeout=30)


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest) -> Callable[[str], str | None]:
    """Give the address of an engine's running cluster; none for 'local'."""
    return lambda engine: None if engine == "local" else str(request.getfixturevalue(f"{engine}_address"))


@pytest.fixture
def workers(address: Callable[[str], str | None]) -> Callable[[str], Workers]:
    return lambda engine: Workers(engine, address=address(engine), jobs=2)


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


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_started_here_have_one_thread_each_and_end(engine: str) -> None:
    before, files = _of_clusters(), set(Path.cwd().iterdir())
    with Workers(engine, jobs=2) as workers:
        seen = list(workers.map(_threads, range(4)))
        again = list(workers.map(_threads, range(2)))
    assert all(threads[1:] == (1, 1, {1}) for threads in seen + again)
    pids = {pid for pid, *_ in seen + again}
    assert os.getpid() not in pids
    assert len(pids) <= 2
    assert set(Path.cwd().iterdir()) == files
    if engine != "local":  # whose processes wait ten seconds for more
        _, alive = psutil.wait_procs([psutil.Process(pid) for pid in _of_clusters() - before], timeout=20)
        assert not alive


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_equal_to_the_last_bit_and_in_order(workers: Started, engine: str) -> None:
    with workers(engine) as crew:
        assert list(crew.map(_solved, range(9))) == list(Workers(jobs=1).map(_solved, range(9)))
        pids = {seen[0] for seen in crew.map(_threads, range(4))}
        assert os.getpid() not in pids
        assert all(seen[2:] == (1, {1}) for seen in crew.map(_threads, range(4)))


@pytest.mark.parametrize("engine", ENGINES)
def test_errors_reach_the_caller_as_they_are(workers: Started, engine: str) -> None:
    with workers(engine) as crew:
        with pytest.raises(InputError) as refused:
            list(crew.map(_refuses, range(6)))
        assert (refused.value.what, refused.value.hint) == ("Two is refused.", "ask for three")
        assert list(crew.map(_refuses, [3])) == [3]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_killed_worker_had_in_hand_is_done_again(workers: Started, engine: str, tmp_path: Path) -> None:
    with workers(engine) as crew:
        assert list(crew.map(partial(_killed_once, tmp_path), range(12))) == list(range(12))
    tries = [len(list(tmp_path.glob(f"{number}.*"))) for number in range(12)]
    assert tries[6] == 2
    assert tries[:2] == [1, 1]  # what was had is kept: of 12, at most 4 were in flight
    assert sum(tries) <= 12 + 4


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_chunk_over_which_workers_always_die_is_named(workers: Started, engine: str) -> None:
    with workers(engine) as crew:
        with pytest.raises(WorkerError, match=r"chunk 3 of 5 \(number 2\)"):
            list(crew.map(_killed_always, range(5), name=lambda number: f"number {number}"))
        assert list(crew.map(_killed_always, [7, 8])) == [7, 8]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_workers_memory_does_not_grow_with_the_number_of_chunks(workers: Started, engine: str) -> None:
    chunks = [np.full(2**19, float(place)) + 1 for place in range(60)]  # 4 MiB each
    with workers(engine) as crew:
        used = list(crew.map(_private_mib, chunks))
    assert sum(chunk.nbytes for chunk in chunks) / 2**20 == 240
    assert max(used) - max(used[:12]) < 24  # six chunks: what is in flight, and the allocator's slack


def _quick(engine: str, address: str | None) -> Settings:
    settings = load_settings()
    changes: dict[str, dict[str, Any]] = {
        "forecast": {"models": ["naive", "drift", "theta"], "horizon": 5},
        "volatility": {"simulations": 500},
        "run": {"chunk_size": 2, "jobs": 1 if engine == "local" else 2, "engine": engine, "address": address},
    }
    return settings.model_copy(
        update={name: settings.section(name).model_copy(update=values) for name, values in changes.items()}
    )


def test_a_night_gives_the_same_numbers_on_each_engine(address: Callable[[str], str | None], tmp_path: Path) -> None:
    nights: dict[str, dict[str, pl.DataFrame]] = {}
    for engine in ENGINES:
        workspace, settings = init_workspace(tmp_path / engine), _quick(engine, address(engine))
        with open_for_writing(workspace, settings) as lake:
            nightly_run(lake, workspace, settings, lambda _: None, request=Request("sample"))
            nights[engine] = {
                name: lake.read(name).drop("run_id", "snapshot_id")
                for name in ("volatility", "forecasts", "exclusions")
            }
    local = nights.pop("local")
    assert local["forecasts"]["ticker"].n_unique() == local["volatility"]["ticker"].n_unique() == 5
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


def test_workers_of_several_threads_are_refused() -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Workers("dask", address=cluster.scheduler_address) as crew,
        pytest.raises(EngineError, match="2 threads") as refused,
    ):
        list(crew.map(_solved, range(2)))
    assert "--nthreads 1" in refused.value.hint


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
