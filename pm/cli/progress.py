"""Show a run while it runs: one progress bar per stage on a terminal, and lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from pm.cli.visible import visible, visible_line
from pm.pipeline.events import Event, Notice, Observer, RunStarted, StageEnded, StageProgressed, StageStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["bar_shown", "progress_shown"]

_PAUSE = 30.0
"""Seconds between two lines of a stage where there is no terminal."""
_MARKS = {"done": "[green]✓[/green]", "skipped": "[dim]·[/dim]", "failed": "[red]✗[/red]"}


@contextmanager
def progress_shown() -> Iterator[Observer]:
    """Yield an observer that shows progress on standard error until the run ends."""
    console = Console(stderr=True, highlight=False, emoji=False)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=8, table_column=Column(no_wrap=True)),
        TaskProgressColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[summary]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        yield _Bars(progress)


@contextmanager
def bar_shown(line: str, total: int) -> Iterator[Callable[[int], None]]:
    """Print a line on standard error, on a terminal with a progress bar, and yield a function of how much is done."""
    console = Console(stderr=True, highlight=False, emoji=False)
    if not console.is_terminal:
        console.print(escape(line), soft_wrap=True)
        yield lambda _: None
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"),
        TimeElapsedColumn(), console=console,
    ) as progress:  # fmt: skip
        task = progress.add_task(escape(line), total=total)
        yield lambda done: progress.update(task, completed=done)


class _TimeLeft:
    """An estimate of the time that a stage still needs, from the time that its parts have taken so far.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()

    def text(self, done: int, total: int) -> str:
        """Return the time left in words; nothing before the first part is done, and none after the last."""
        if not 0 < done < total:
            return ""
        seconds = (self._clock() - self._begun) * (total - done) / done
        if seconds < 90:
            return f"about {max(1, round(seconds)):,} s left"
        if seconds < 5400:
            return f"about {round(seconds / 60)} min left"
        return f"about {seconds / 3600:.1f} h left"


class _Lines:
    """An observer that prints a line when a stage ends, and now and then one while it goes on.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._left = _TimeLeft(clock)
        self._printed = clock()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted(run_id, resumed):
                self._console.print(_headline(run_id, resumed=resumed), soft_wrap=True)
            case StageEnded(stage, status, seconds, summary):
                # The error that ends the command describes a failure.
                result = "" if status == "failed" else f"{seconds:6.1f} s  {escape(visible_line(summary))}"
                self._console.print(f"{stage:<10} {status:<7} {result}".rstrip(), soft_wrap=True)
            case Notice(line):
                self._console.print(escape(visible(line)), soft_wrap=True)
            case StageStarted():
                self._left, self._printed = _TimeLeft(self._clock), self._clock()
            case StageProgressed(stage, done, total):
                if self._clock() - self._printed >= _PAUSE and done < total:
                    self._printed = self._clock()
                    left = self._left.text(done, total)
                    self._console.print(f"{stage:<10} {done / total:4.0%}    {left}".rstrip(), soft_wrap=True)


class _Bars:
    """An observer that draws a progress bar for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._left = _TimeLeft(time.monotonic)

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted(run_id, resumed):
                self._progress.console.print(_headline(run_id, resumed=resumed), soft_wrap=True)
            case StageStarted(stage):
                self._left = _TimeLeft(time.monotonic)
                self._tasks[stage] = self._progress.add_task(stage, total=None, mark=" ", summary="")
            case StageProgressed(stage, done, total):
                left = self._left.text(done, total)
                self._progress.update(self._tasks[stage], completed=done, total=total, summary=left)
            case StageEnded(stage, status, _, summary):
                task = self._tasks[stage]
                self._progress.update(
                    task,
                    total=1,
                    completed=1,
                    mark=_MARKS[status],
                    summary="" if status == "failed" else escape(visible_line(summary)),
                )
                self._progress.stop_task(task)
            case Notice(line):
                self._progress.console.print(escape(visible(line)), soft_wrap=True)


def _headline(run_id: str, *, resumed: bool) -> str:
    return f"Run {run_id}" + (", resumed where it was cut off" if resumed else "")
