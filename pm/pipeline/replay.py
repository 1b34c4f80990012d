"""Compute stages as of past dates, each date as a run on that day would have computed it.

The stages are those of a run, unchanged: they get a context whose day is the past date, in which what one stage
computed replaces the table that the next one reads. Nothing is written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.graph import in_order, producers
from pm.pipeline.writes import Append, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from pm.pipeline.stage import Context, Stage
    from pm.settings import Settings
    from pm.tables.declaration import Table

__all__ = ["ReplayProgress", "replay", "replayed_past", "replayed_reads", "replayed_writes"]


def replay(
    context: Context,
    stages: Sequence[Stage],
    dates: Sequence[date],
    *,
    settings: Settings,
    frames: Mapping[str, pl.DataFrame],
) -> Iterator[tuple[date, dict[str, pl.DataFrame]]]:
    """Compute stages as of each date and return what they would write, by table, stamped with the context's run.

    One date at a time, so that memory does not grow with their number.

    Parameters
    ----------
    context
        The context of the stage that replays. It must declare all tables that the stages read.
    stages
        Stages that only append rows which carry their run.
    dates
        Days to take for today.
    settings
        Settings of the stages.
    frames
        Frames to read in the place of tables, by the tables' names: bars that would be read again for every date.
    """
    ordered = in_order(stages)
    progress = ReplayProgress(context.progress, len(dates) * len(ordered))
    for place, day in enumerate(dates):
        computed: dict[str, list[pl.DataFrame]] = {}
        for stage_place, stage in enumerate(ordered):
            earlier = ordered[:stage_place]
            inner = replace(
                context,
                stage=stage,
                settings=settings,
                request=replace(context.request, as_of=day),
                outputs={other.name: context.run_id for other in earlier},
                producers=producers(earlier),
                frames={**frames, **{name: pl.concat(parts) for name, parts in computed.items()}},
                progress=progress.of(place * len(ordered) + stage_place),
            )
            result = stage.compute(inner)
            if not isinstance(result, Result):
                raise TypeError(f"Stage {stage.name} lands as it goes: it cannot be replayed.")
            for change in result.writes:
                if not isinstance(change, Append) or not isinstance(change.rows, pl.DataFrame):
                    raise TypeError(f"Stage {stage.name} does more than append rows: it cannot be replayed.")
                computed.setdefault(change.table.qualified, []).append(change.table.conform(change.rows))
        yield day, {name: pl.concat(parts) for name, parts in computed.items()}


def replayed_reads(stages: Sequence[Stage]) -> tuple[Table, ...]:
    """Return the tables that stages read and do not compute themselves."""
    computed = replayed_writes(stages)
    return tuple(dict.fromkeys(table for stage in stages for table in stage.reads if table not in computed))


def replayed_past(stages: Sequence[Stage]) -> tuple[Table, ...]:
    """Return the tables that stages read as earlier runs left them."""
    return tuple(dict.fromkeys(table for stage in stages for table in stage.past))


def replayed_writes(stages: Sequence[Stage]) -> tuple[Table, ...]:
    """Return the tables that stages compute."""
    return tuple(dict.fromkeys(table for stage in stages for table in stage.writes))


class ReplayProgress:
    """Report the progress of each part of a replay as that of the whole, never less than before.

    A stage can go through its tickers several times, and starts from nothing each time.

    Parameters
    ----------
    report
        Called with how much is done, and of how much, in thousandths of a part.
    parts
        Number of parts.
    """

    def __init__(self, report: Callable[[int, int], None], parts: int) -> None:
        self._report = report
        self._parts = parts
        self._reached = 0

    def of(self, part: int) -> Callable[[int, int], None]:
        """Return the function that a part is to call with its own progress."""

        def report(done: int, total: int) -> None:
            now = 1000 * part + 1000 * done // max(1, total)
            if now >= self._reached:
                self._reached = now
                self._report(now, 1000 * self._parts)

        return report
