from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pm.errors import EngineError
from pm.parallel import dask


def _time_out() -> None:
    raise TimeoutError("raised by the work")


def test_a_result_is_waited_for_only_while_the_client_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr(dask, "_CLIENT_CHECK_SECONDS", 0.2)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        ThreadPoolExecutor(1) as thread,
    ):
        client = Client(cluster)
        assert dask._result(client.submit(time.sleep, 1, pure=False)) is None
        with pytest.raises(TimeoutError, match="raised by the work"):
            dask._result(client.submit(_time_out, pure=False))
        waiting = thread.submit(dask._result, client.submit(time.sleep, 60, pure=False))
        time.sleep(0.5)
        client.close()
        with pytest.raises(EngineError, match="has stopped"):
            waiting.result(timeout=30)
