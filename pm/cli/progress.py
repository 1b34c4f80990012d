"""Show a run while it runs: one progress bar per stage on a terminal, one line per stage elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from pm.pipeline.events import Event, Notice, Observer, RunStarted, StageEnded, StageProgressed, StageStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["progress_shown"]

_MARKS = {"done": "[green]✓[/green]", "skipped": "[dim]·[/dim]", "failed": "[red]✗[/red]"}


@contextmanager
def progress_shown() -> Iterator[Observer]:
    """Yield an observer that shows progress on standard error until the run ends."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=8, table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[summary]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        yield _Bars(progress)


class _Lines:
    """An observer that prints a line when a stage ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted(run_id, resumed):
                self._console.print(_headline(run_id, resumed=resumed), soft_wrap=True)
            case StageEnded(stage, status, seconds, summary):
                # The error that ends the command describes a failure.
                result = "" if status == "failed" else f"{seconds:6.1f} s  {escape(summary)}"
                self._console.print(f"{stage:<10} {status:<7} {result}".rstrip(), soft_wrap=True)
            case Notice(line):
                self._console.print(escape(line), soft_wrap=True)
            case StageStarted() | StageProgressed():
                pass


class _Bars:
    """An observer that draws a progress bar for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted(run_id, resumed):
                self._progress.console.print(_headline(run_id, resumed=resumed), soft_wrap=True)
            case StageStarted(stage):
                self._tasks[stage] = self._progress.add_task(stage, total=None, mark=" ", summary="")
            case StageProgressed(stage, done, total):
                self._progress.update(self._tasks[stage], completed=done, total=total)
            case StageEnded(stage, status, _, summary):
                task = self._tasks[stage]
                self._progress.update(
                    task,
                    total=1,
                    completed=1,
                    mark=_MARKS[status],
                    summary="" if status == "failed" else escape(summary),
                )
                self._progress.stop_task(task)
            case Notice(line):
                self._progress.console.print(escape(line), soft_wrap=True)


def _headline(run_id: str, *, resumed: bool) -> str:
    return f"Run {run_id}" + (", resumed where it was cut off" if resumed else "")
