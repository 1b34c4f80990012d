"""What runs log as lines of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pm.pipeline.event_log import EVENT_LOG, logged
from pm.pipeline.events import Notice, RunStarted, StageEnded, StageProgressed, StageStarted

if TYPE_CHECKING:
    from pathlib import Path

    from pm.pipeline.events import Event

EVENTS: list[Event] = [
    RunStarted("20260129T223000-abcd", resumed=False),
    StageStarted("land"),
    StageProgressed("land", 1, 2),
    Notice("tcp://me:secret@10.0.0.1:8786 is slow\nand has two lines"),
    StageEnded("land", "done", 1.23456, "3 bars"),
    StageStarted("check"),
    StageEnded("check", "failed", 0.5, ""),
]


@pytest.mark.parametrize(("level", "count"), [("debug", 7), ("info", 4), ("warning", 2), ("error", 1)])
def test_every_line_is_json_with_its_run_and_stage(tmp_path: Path, level: str, count: int) -> None:
    seen: list[Event] = []
    observer = logged(seen.append, tmp_path / "logs", level)
    for event in EVENTS:
        observer(event)

    assert seen == EVENTS
    text = (tmp_path / "logs" / EVENT_LOG).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == count
    assert {line["run"] for line in lines} == {"20260129T223000-abcd"}
    assert "secret" not in text
    assert (lines[-1]["level"], lines[-1]["stage"], lines[-1]["event"]) == ("error", "check", "stage failed")
    if level == "info":
        assert (lines[2]["stage"], lines[2]["seconds"], lines[2]["message"]) == ("land", 1.235, "3 bars")


def test_the_file_is_rotated_and_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    observer = logged(lambda _: None, tmp_path, "info")
    for _ in range(600):
        observer(Notice("x " * 3_000))
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == [EVENT_LOG, f"{EVENT_LOG}.1", f"{EVENT_LOG}.2"]
    assert all(file.stat().st_size < 1_200_000 for file in tmp_path.iterdir())

    (tmp_path / "file").write_text("not a folder")
    seen: list[Event] = []
    logged(seen.append, tmp_path / "file" / "logs", "info")(EVENTS[0])
    assert seen == EVENTS[:1]
