from __future__ import annotations

from datetime import date
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.lake import Lake
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.llm import LLM_CALLS
from pm.tables.pipeline import STAGE_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = [0.5, 1.0, 4.0, 2.0, 6.0]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    rows = pl.DataFrame(
        {
            "role": ["analyst"] * 4 + ["reader"],
            "call": [1, 2, 3, 4, 1],
            "model": "default",
            "model_sha256": "5" * 64,
            "prompt_hash": list("abcde"),
            "seed": [None] * 4 + [3],
            "prompt_tokens": [100] * 5,
            "output_tokens": [10] * 5,
            "seconds_to_first": [0.1] * 5,
            "seconds": SECONDS,
            "processor_seconds": [0.25] * 5,
            "memory_bytes": [1, 2, 9, 4, 5],
            "deadline_seconds": [5.0] * 5,
            "deadline_met": [True, True, True, True, False],
            "valid": [True, True, False, True, False],
            "output": "[]",
            "run_id": ["r1", "r1", "r2", "r3", "r4"],
            "snapshot_id": 1,
            "cutoff": date(2026, 1, 2),
        },
        schema=LLM_CALLS.polars_schema,
    )
    with Lake(tmp_path / "lake", load_settings().lake, TABLES, views=[sql_dir()]) as opened:
        events = pl.DataFrame(
            dict.fromkeys(STAGE_EVENTS.polars_schema, None)
            | {
                "run_id": ["r3", "r5", "r5", "r5", "r1"],
                "stage": ["llm", "opinions", "llm", "land", "llm"],
                "attempt": 1,
                "status": "done",
                "degraded": ["it died", "it died", "too slow", "a vendor was silent", None],
            },
            schema=STAGE_EVENTS.polars_schema,
        )
        opened.commit("rows", lambda transaction: transaction.append(LLM_CALLS, rows))
        opened.commit("events", lambda transaction: transaction.append(STAGE_EVENTS, events))
        yield opened


def test_latency_is_that_of_numpy(lake: Lake) -> None:
    analyst, reader = lake.rows("FROM llm_latency ORDER BY role")
    assert (analyst["calls"], reader["calls"]) == (4, 1)
    assert analyst["p50_seconds"] == pytest.approx(median(SECONDS[:4]))
    assert analyst["p95_seconds"] == pytest.approx(np.quantile(SECONDS[:4], 0.95))
    assert analyst["slowest_seconds"] == 4
    assert analyst["tokens_per_second"] == pytest.approx(440 / 7.5)
    assert analyst["tokens_per_processor_second"] == pytest.approx(440)
    assert (analyst["deadline_misses"], reader["deadline_misses"]) == (0, 1)
    assert analyst["memory_bytes"] == 9


def test_health_is_told_for_each_run(lake: Lake) -> None:
    rows = lake.rows("FROM llm_health ORDER BY run_id")
    assert [(row["run_id"], row["calls"], row["status"]) for row in rows] == [
        ("r1", 2, "good"), ("r2", 1, "invalid"), ("r3", 1, "degraded"), ("r4", 1, "slow"), ("r5", 0, "degraded"),
    ]  # fmt: skip
    assert [row["degraded"] for row in rows] == [None, None, "llm: it died", None, "llm: too slow; opinions: it died"]
