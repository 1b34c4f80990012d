"""What a run reports while it runs; a front end shows it as it likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Event", "Notice", "Observer", "RunStarted", "StageEnded", "StageProgressed", "StageStarted"]


@dataclass(frozen=True)
class RunStarted:
    """A run has found something to do."""

    run_id: str
    resumed: bool


@dataclass(frozen=True)
class StageStarted:
    """A stage begins."""

    stage: str


@dataclass(frozen=True)
class StageProgressed:
    """A stage has done part of its work: `done` of `total` pieces."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class StageEnded:
    """A stage is done, was skipped, or failed: `status` is a `StageStatus`."""

    stage: str
    status: str
    seconds: float
    summary: str


@dataclass(frozen=True)
class Notice:
    """A stage has a line that the user should read."""

    line: str


Event = RunStarted | StageStarted | StageProgressed | StageEnded | Notice
Observer = Callable[[Event], None]
