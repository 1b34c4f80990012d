"""The order of stages, and a picture of them, from the tables that they declare to read and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.stage import Stage
    from pm.tables.declaration import Table

__all__ = ["CircularStagesError", "draw", "in_order", "producers"]


class CircularStagesError(Exception):
    """Stages that wait for each other: a bug in their declarations."""


def in_order(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return stages such that each comes after those that write what it reads.

    Stages that do not depend on each other stay in the order given. What a stage itself writes it may also read.

    Raises
    ------
    CircularStagesError
        Some stages wait for each other.
    """
    waiting, ordered = list(stages), []
    while waiting:
        ready = next((stage for stage in waiting if not _before(stage, waiting)), None)
        if ready is None:
            raise CircularStagesError(f"Stages wait for each other: {', '.join(_circle(waiting))}.")
        waiting.remove(ready)
        ordered.append(ready)
    return tuple(ordered)


def producers(stages: Sequence[Stage]) -> dict[str, tuple[str, ...]]:
    """Return the names of the stages that write each table, by the table's name, in the order of the stages."""
    found: dict[str, tuple[str, ...]] = {}
    for stage in stages:
        for table in stage.writes:
            found[table.qualified] = (*found.get(table.qualified, ()), stage.name)
    return found


def draw(stages: Sequence[Stage]) -> str:
    """Return a Mermaid flowchart: an arrow from each stage to the stages that read what it writes, with the tables.

    A table that several stages write, such as the exclusions, has an arrow from each. Where a table passes through
    stages that read and rewrite it, every later reader has its arrow.
    """
    ordered = in_order(stages)
    lines = ["flowchart LR"]
    for place, reader in enumerate(ordered):
        for writer in ordered[:place]:
            tables = sorted(table.qualified for table in _passed(writer, reader))
            if tables:
                lines.append(f'    {writer.name} -- "{", ".join(tables)}" --> {reader.name}')
    return "\n".join(lines)


def _passed(writer: Stage, reader: Stage) -> list[Table]:
    return [table for table in writer.writes if table in reader.reads]


def _before(stage: Stage, others: Sequence[Stage]) -> list[Stage]:
    """Return the other stages that write what a stage reads; of a table that both write, neither is before."""
    return [
        other
        for other in others
        if other is not stage and any(table in stage.reads and table not in stage.writes for table in other.writes)
    ]


def _circle(waiting: Sequence[Stage]) -> list[str]:
    path = [waiting[0]]
    while True:
        previous = _before(path[-1], waiting)[0]
        if previous in path:
            return [stage.name for stage in reversed([*path[path.index(previous) :], previous])]
        path.append(previous)
