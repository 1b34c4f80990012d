"""`pm audit` and `pm replay`: whether the ledger was changed, and whether an order follows from its inputs."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.context import open_reader, open_workspace

__all__ = ["app", "replay"]

app = typer.Typer(help="Check that nobody has changed the ledger, or a trial.", no_args_is_help=True)


@app.command()
def verify(
    context: typer.Context,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HASH", help="Hash that must be in the chain, such as one of a report.", show_default=False
        ),
    ] = None,
) -> None:
    """Compute the hashes of the ledger, the limits' events and all trials anew, and compare them with those recorded.

    Without --head, rows that are missing at the end of a chain are not always noticed: compare with a report's head, or
    with that of the trials, which `pm trials` prints.
    """
    from pm.audit.chain import verify_chain
    from pm.cli.render import print_lines
    from pm.errors import AuditError
    from pm.plural import plural
    from pm.tables.ledger import CHAINED_TABLES
    from pm.tables.risk import LIMIT_EVENTS, STAGES_WITH_LIMITS
    from pm.tables.validation import (
        OVERFITTING_TESTS,
        TRIAL_FILLS,
        TRIAL_JUDGEMENTS,
        TRIAL_RETURNS,
        TRIAL_TARGETS,
        TRIAL_TESTS,
        TRIALS,
    )
    from pm.validation.ledger import RecordedTrials, verify_trials

    with open_reader(context) as lake, lake.reading():
        rows = {table.qualified: lake.read(table).to_dicts() for table in CHAINED_TABLES}
        outputs = lake.select("run_outputs", columns=["run_id", "output_run_id"], stage=list(STAGES_WITH_LIMITS))
        events = outputs.unique().join(
            lake.read(LIMIT_EVENTS).rename({"run_id": "output_run_id"}), on="output_run_id", how="inner"
        )
        recorded = RecordedTrials(
            trials=lake.read(TRIALS).to_dicts(),
            returns=lake.read(TRIAL_RETURNS),
            fills=lake.read(TRIAL_FILLS),
            targets=lake.read(TRIAL_TARGETS),
            judgements=lake.read(TRIAL_JUDGEMENTS).to_dicts(),
            tests=lake.read(TRIAL_TESTS),
            splits=lake.read(OVERFITTING_TESTS),
            named=set(lake.select("stage_events", columns=["run_id"], stage="backtest", status="done")["run_id"]),
        )
    by_run = {
        str(run_id): [{**row, "run_id": row["output_run_id"]} for row in own.to_dicts()]
        for (run_id,), own in events.group_by("run_id")
    }
    of_trials = any(row["hash"] == head for row in (*recorded.trials, *recorded.judgements))
    end, fault = verify_chain(rows, head=None if of_trials else head, limit_events=by_run)
    last, broken = verify_trials(recorded)
    for chain, found in (("the chain", fault), ("the chain of trials", broken)):
        if found is not None:
            raise AuditError(
                found.reason,
                where=f"position {found.sequence} of {chain}",
                hint="restore a backup: docs/damage.md; the rows before it are as they were recorded",
            )
    print_lines(f"{plural(end.sequence, 'row')}, none changed. Head: {end.hash}")
    if recorded.trials:
        print_lines(f"Trials: {plural(last.sequence, 'row')}, none changed. Head: {last.hash}")


def replay(
    context: typer.Context,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Order; the beginning of its name is enough.")],
) -> None:
    """Compute an order anew from the stored snapshots and settings, and compare it field by field."""
    from pm.cli.render import print_frame, print_lines
    from pm.errors import AuditError
    from pm.pipeline.replay_order import replay_order

    workspace, settings = open_workspace(context)
    result = replay_order(workspace, settings, order)
    print_frame(result.fields)
    if not result.is_equal:
        raise AuditError(
            "The order is not what its inputs make of it now.",
            where=f"order {result.order_id}",
            hint="the fields marked 'no' differ; if the version of pm is another, its rules can be",
        )
    print_lines("Every field is equal.")
