from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from pm.cli.progress import _Lines
from pm.pipeline.events import StageEnded, StageProgressed, StageStarted


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(steps: list[tuple[float, int]], total: int) -> list[str]:
    """Return what is printed of a stage, given how long each part takes and how many parts are then done."""
    clock, out = Clock(), StringIO()
    show = _Lines(Console(file=out, width=80), clock)
    show(StageStarted("evaluate"))
    for seconds, done in steps:
        clock.now += seconds
        show(StageProgressed("evaluate", done, total))
    show(StageEnded("evaluate", "done", 9.0, "fine"))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_long_stage_says_now_and_then_how_far_it_is_and_how_long_it_takes() -> None:
    lines = told([(10.0, n) for n in range(1, 13)], 12)
    assert lines == [
        "evaluate 25% about 2 min left",
        "evaluate 50% about 60 s left",
        "evaluate 75% about 30 s left",
        "evaluate done 9.0 s fine",
    ]


def test_a_short_stage_says_only_that_it_has_ended() -> None:
    assert told([(0.5, n) for n in range(1, 21)], 20) == ["evaluate done 9.0 s fine"]


@pytest.mark.parametrize(
    ("seconds", "total", "left"), [(60, 80, "79 min"), (60, 120, "2.0 h"), (30, 2, "30 s"), (7000, 2, "1.9 h")]
)
def test_the_time_left_is_in_the_unit_that_fits(seconds: float, total: int, left: str) -> None:
    assert told([(seconds, 1)], total)[0].endswith(f"about {left} left")
