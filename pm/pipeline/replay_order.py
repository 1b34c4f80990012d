"""Compute an order anew from the snapshots and the settings that are stored with its runs.

Each stage is computed as it was: reading the lake at the snapshot that it read then, with the settings of its run. What
it computes is compared with the rows that it wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pm.errors import InputError
from pm.lake import Lake
from pm.llm.opening import ModelOfRun
from pm.parallel import Workers
from pm.pipeline.graph import producers
from pm.pipeline.request import Request
from pm.pipeline.stage import Context
from pm.pipeline.writes import Append, Result
from pm.settings import Settings
from pm.tables.catalogue import TABLES
from pm.tables.ledger import ORDERS
from pm.tables.portfolio import TARGETS
from pm.tables.risk import proposed
from pm.tables.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from pm.pipeline.stage import Stage
    from pm.tables.declaration import Table
    from pm.workspace import Workspace

__all__ = ["OrderReplay", "replay_order"]

_RISK = "portfolio_risk"
_WHEN = {"recorded_at", "sequence", "hash"}
"""Columns that say when a row was recorded, and not what it says."""


@dataclass(frozen=True)
class OrderReplay:
    """The fields of an order and of what it was made from: as recorded, computed anew, and whether they are equal."""

    order_id: str
    fields: pl.DataFrame

    @property
    def is_equal(self) -> bool:
        """Whether there are fields, and every one is equal: an order of which nothing was computed is not."""
        return not self.fields.is_empty() and bool((self.fields["equal"] == "yes").all())


def replay_order(
    workspace: Workspace, settings: Settings, beginning: str, *, stages: Sequence[Stage] | None = None
) -> OrderReplay:
    """Compute the signal, the risk, the target and the order anew, and compare each field with the one recorded.

    Parameters
    ----------
    beginning
        Beginning of the order's name.
    stages
        Stages of the run that made it; those of `pm run` by default.

    Raises
    ------
    InputError
        There is no such order, or several.
    """
    import polars as pl

    from pm.pipeline.run_stages import RUN_STAGES

    stages = RUN_STAGES if stages is None else stages
    with Lake(workspace.lake, settings.lake, TABLES, read_only=True) as lake:
        found = lake.rows("SELECT order_id, run_id, ticker FROM orders WHERE starts_with(order_id, ?)", [beginning])
        if len(found) != 1:
            what = "There is no order" if not found else "There are several orders"
            raise InputError(f"{what} {beginning!r}.", where="table orders", hint="list them: pm trade orders --all")
        order = found[0]
        events = lake.rows("SELECT stage, output_run_id FROM run_outputs WHERE run_id = ?", [order["run_id"]])
        outputs = {row["stage"]: row["output_run_id"] for row in events}
        rows: list[tuple[str, str, str, str, str]] = []
        for stage in stages:
            tables = [table for table in stage.writes if _is_of_interest(stage, table)]
            if not tables or stage.name not in outputs:
                continue
            computed = _recompute(workspace, lake, stage, outputs[stage.name], stages)
            for table in tables:
                condition = "order_id = ?" if table is ORDERS else "run_id = ?"
                value = order["order_id"] if table is ORDERS else outputs[stage.name]
                stored = lake.read(table, condition, [value])
                if table.qualified == _RISK:  # to which the stage of the targets adds the proposed portfolios
                    is_proposed = pl.col("portfolio").str.ends_with(proposed(""))
                    stored = stored.filter(is_proposed if TARGETS in stage.writes else ~is_proposed)
                rows += _compared(stage.name, table, stored, computed[table.qualified], order)
    names = ("stage", "field", "recorded", "computed", "equal")
    return OrderReplay(order["order_id"], pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row"))


def _is_of_interest(stage: Stage, table: Table) -> bool:
    """Return whether a stage makes rows that an order is made from, or the order itself: from the targets it reads."""
    if table is ORDERS:
        return TARGETS in stage.reads
    return table in {SIGNALS, TARGETS} or table.qualified == _RISK


def _recompute(
    workspace: Workspace, lake: Lake, stage: Stage, run_id: str, stages: Sequence[Stage]
) -> dict[str, pl.DataFrame]:
    """Return what a stage of a run appends now, by table, from the snapshot and with the settings that it had then."""
    (event,) = lake.rows(
        "SELECT snapshot_id FROM stage_events WHERE run_id = ? AND stage = ? AND status = 'done' "
        "ORDER BY attempt DESC LIMIT 1",
        [run_id, stage.name],
    )
    (run,) = lake.rows("SELECT settings, source, tickers, as_of, kind FROM runs WHERE run_id = ?", [run_id])
    outputs = {
        row["stage"]: row["output_run_id"]
        for row in lake.rows("SELECT stage, output_run_id FROM run_outputs WHERE run_id = ?", [run_id])
    }
    earlier = stages[: [one.name for one in stages].index(stage.name)]
    settings = Settings.model_validate(json.loads(run["settings"]))
    tickers = tuple(run["tickers"].split(",")) if run["tickers"] else None
    # A run without the option --as-of had no such request; its row has the day that it found.
    request = Request(run["source"], tickers, None)
    with (
        Lake(workspace.lake, settings.lake, TABLES, read_only=True, at=event["snapshot_id"]) as past,
        ModelOfRun(workspace.models, settings.llm) as model,
    ):
        context = Context(
            stage=stage,
            lake=past,
            settings=settings,
            workspace=workspace,
            request=request,
            run_id=run_id,
            snapshot=event["snapshot_id"],
            outputs={one.name: outputs[one.name] for one in earlier if one.name in outputs},
            producers=producers(earlier),
            workers=Workers(jobs=1),
            model=model,
            code_hash="",
            previous_code_hash=None,
            progress=_nothing,
            notify=_nothing,
        )
        result = stage.compute(context)
        assert isinstance(result, Result)  # noqa: S101 - these stages do not land in pieces
    return {table.qualified: _rows_of(result, table) for table in stage.writes}


def _rows_of(result: Result, table: Table) -> pl.DataFrame:
    import polars as pl

    frames = [
        table.conform(write.rows)
        for write in result.writes
        if isinstance(write, Append) and write.table is table and isinstance(write.rows, pl.DataFrame)
    ]
    return pl.concat(frames) if frames else table.polars_schema.to_frame()


def _compared(
    stage: str, table: Table, stored: pl.DataFrame, computed: pl.DataFrame, order: dict[str, Any]
) -> list[tuple[str, str, str, str, str]]:
    """Return a line for each field of the rows of the order's ticker."""
    if table is ORDERS:
        computed = computed.filter(order_id=order["order_id"])
    elif "ticker" in stored.columns:
        stored, computed = (frame.filter(ticker=order["ticker"]) for frame in (stored, computed))
    old, new = (frame.sort(table.key).drop(_WHEN, strict=False).to_dicts() for frame in (stored, computed))
    if len(old) != len(new):
        return [(stage, "rows", str(len(old)), str(len(new)), "no")]
    lines = []
    for before, after in zip(old, new, strict=True):
        for name, value in before.items():
            equal = value == after[name] or (value != value and after[name] != after[name])  # noqa: PLR0124 - NaN
            lines.append((stage, name, _text(value), _text(after[name]), "yes" if equal else "no"))
    return lines


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return "" if value is None else str(value)


_nothing: Callable[..., None] = lambda *_: None  # noqa: E731 - a function that does nothing
