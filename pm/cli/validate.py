"""`pm validate`: test what came of the signals, forecasts, risk and accounts of the nights that were really run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 - Typer reads annotations

from pm.cli.context import open_workspace, open_writer
from pm.cli.options import NoWait  # noqa: TC001 - Typer reads annotations
from pm.plural import plural

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["count_outcomes", "validate"]


def validate(context: typer.Context, no_wait: NoWait = False) -> None:
    """Test what came of the signals, forecasts, risk and accounts of all nights that were really run.

    `pm run` does so every night. Backtests and evaluations do not count. The verdicts are in table validations.
    """
    import polars as pl

    from pm.cli.progress import progress_shown
    from pm.cli.render import print_frame, print_lines
    from pm.pipeline import validate as run_validation

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with progress_shown() as observer:
            run_validation(lake, workspace, settings, observer)
        print_lines(*count_outcomes(lake))
        newest = lake.select("validations", columns=("run_id",), order=("run_id",), descending=("run_id",), limit=1)
        if newest.is_empty():
            return
        rows = lake.select("validations", run_id=newest["run_id"].item())
    order = ["signals", "forecasts", "edges", "risk", "account"]
    # A portfolio has a dozen tests of its risk, by level and horizon, which are too early for years.
    early = (pl.col("subject") == "risk") & (pl.col("verdict") == "too_early") & (pl.col("part") != "")
    waiting = rows.filter(early).height
    shown = rows.filter(~early).with_columns(pl.col("subject").cast(pl.Enum(order))).sort("subject", "measure", "part")
    print_lines("")
    print_frame(
        shown.select(
            pl.col("subject").cast(pl.String),
            "measure",
            "part",
            "outcomes",
            "independent",
            "value",
            against="reference",
            q="q_value",
            verdict=pl.col("verdict").str.replace_all("_", " "),
        ),
        formats={"outcomes": ",d", "independent": ",d", "value": ".4g", "against": ".4g", "q": ".3f"},
        title=f"Tests of the nights up to {rows['cutoff'].to_list()[0]}",
        optional=[["independent"], ["against"]],
    )
    if waiting:
        print_lines(f"Besides, {plural(waiting, 'test')} of value at risk, for which it is too early.")
    print_lines(
        "independent: dates whose windows do not overlap, which the test counts. q: p-value",
        "adjusted for the number of tests; from 5% on a verdict is no more than `holds`,",
        "`not better` or `too early`. For the reasons: pm sql 'from validations'",
    )


def count_outcomes(lake: Lake) -> list[str]:
    """Return in sentences how many signals of real nights have an outcome, and when the next is due."""
    nights = lake.select("night_scores", columns=("night", "signals", "resolved", "due"))
    if nights.is_empty():
        return ["There are no signals of a night yet: `pm run` makes some, and their outcomes come with later bars."]
    made, resolved = int(nights["signals"].sum()), int(nights["resolved"].sum())
    days = nights["night"].sort().to_list()
    have = "has" if resolved == 1 else "have"
    counted = f"{resolved:,} of {plural(made, 'signal')} {have} an outcome."
    told = [f"{plural(nights.height, 'night')} from {days[0]} to {days[-1]}: {counted}"]
    due = nights["due"].drop_nulls().sort().to_list()
    if due:
        told.append(f"The next outcome of a signal is due with the bars of {due[0]}.")
    return told
