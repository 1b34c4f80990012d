from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pm.errors import EngineError
from pm.parallel import dask


def _timed_out() -> None:
    raise TimeoutError("the work's own")


def test_a_result_is_waited_for_while_the_client_lives_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr(dask, "_ASKED_AGAIN_SECONDS", 0.2)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        ThreadPoolExecutor(1) as thread,
    ):
        client = Client(cluster)
        assert dask._result(client.submit(time.sleep, 1, pure=False)) is None
        with pytest.raises(TimeoutError, match="the work's own"):
            dask._result(client.submit(_timed_out, pure=False))
        waiting = thread.submit(dask._result, client.submit(time.sleep, 60, pure=False))
        time.sleep(0.5)
        client.close()
        with pytest.raises(EngineError, match="gone"):
            waiting.result(timeout=30)
