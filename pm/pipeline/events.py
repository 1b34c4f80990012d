"""What a run tells while it runs; a front end shows it as it likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Event", "Observer", "RunStarted", "StageEnded", "StageProgressed", "StageStarted", "Told"]


@dataclass(frozen=True)
class RunStarted:
    """A run has something to do."""

    run_id: str
    resumed: bool


@dataclass(frozen=True)
class StageStarted:
    """A stage begins."""

    stage: str


@dataclass(frozen=True)
class StageProgressed:
    """A stage has done so much of so much."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class StageEnded:
    """A stage is done, was skipped, or failed."""

    stage: str
    status: str
    seconds: float
    summary: str


@dataclass(frozen=True)
class Told:
    """A stage has a line for the user."""

    line: str


Event = RunStarted | StageStarted | StageProgressed | StageEnded | Told
Observer = Callable[[Event], None]
