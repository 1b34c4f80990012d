"""`pm portfolio`: show the portfolio that a run proposes, and compare the allocators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.completion import complete_run
from pm.cli.context import open_workspace
from pm.cli.results import outputs_of, print_look, run_to_show
from pm.cli.visible import visible_line
from pm.errors import NoResultsError

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["app"]

_Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="Run whose portfolio to show. [default: the newest whole run]",
        autocompletion=complete_run,
    ),
]

_COLUMNS = {
    "ticker": "ticker",
    "weight": "weight",
    "previous_weight": "before",
    "core_weight": "core",
    "tilt": "tilt",
    "shares": "shares",
    "reason": "reason",
}
"""Columns of table `targets` that are shown, and their headings."""
_COMPARED = {
    "allocator": "allocator",
    "annual_volatility": "volatility",
    "es_975": "ES 97.5%",
    "invested": "invested",
    "largest_weight": "largest",
    "effective_number": "effective",
    "positions": "positions",
    "turnover": "turnover",
    "cost": "cost",
    "status": "status",
}
"""Columns of table `portfolio_runs` that are compared, and their headings."""

app = typer.Typer(help="Show the portfolio that a run proposes, and compare the allocators.", no_args_is_help=True)


@app.command("show")
def show(context: typer.Context, run: _Run = None) -> None:
    """Show how much of each ticker to hold, and why.

    core is the weight by the allocator alone, tilt what discovered edges add to it, before the weight today.
    """
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.pipeline import read_lake

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake, lake.reading():
        shown, made_by = _portfolio_run(lake, run)
        print_look(lake, shown)
        for used in lake.select_rows("portfolio_runs", order=("portfolio",), run_id=made_by, in_use=True):
            _print_head(used)
            rows = lake.select_rows("targets", columns=tuple(_COLUMNS), run_id=made_by, portfolio=used["portfolio"])
            frame = pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"shares": pl.Float64})
            if frame.is_empty():
                print_lines("There is no ticker that can be held.")
                continue
            frame = frame.sort(-pl.col("weight").abs(), "ticker")
            if used["equity"] is None:  # so that no weight is known
                weights = ("weight", "previous_weight", "core_weight", "tilt")
                frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in weights)
            print_frame(
                frame.select(pl.col(name).alias(heading) for name, heading in _COLUMNS.items()),
                formats=dict.fromkeys(("weight", "before", "core"), ".1%") | {"tilt": "+z.1%", "shares": ",.6g"},
                optional=(("core", "tilt"),),
            )
        print_lines(
            "",
            "This is a proposal computed from forecasts of risk, not advice. What the reasons",
            "mean: docs/vocabulary.md. Other allocators: pm portfolio compare",
        )


@app.command("compare")
def compare(context: typer.Context, run: _Run = None) -> None:
    """Compare the allocator in use with others, and always with equal weights.

    effective is the effective number of positions: that of equal weights is their number.
    """
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.pipeline import read_lake

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake, lake.reading():
        shown, made_by = _portfolio_run(lake, run)
        print_look(lake, shown)
        rows = lake.select_rows("portfolio_runs", run_id=made_by)
        for portfolio in sorted({row["portfolio"] for row in rows}):
            own = sorted((row for row in rows if row["portfolio"] == portfolio), key=lambda row: not row["in_use"])
            _print_head(own[0])
            frame = pl.DataFrame(own, infer_schema_length=None)
            print_frame(
                frame.select(pl.col(name).alias(heading) for name, heading in _COMPARED.items()),
                formats=dict.fromkeys(("volatility", "ES 97.5%", "invested", "largest", "turnover"), ".1%")
                | {"cost": ".2%", "effective": ".1f"},
                title=f"ES 97.5%: mean loss over {own[0]['horizon']} sessions in the worst 2.5% of the scenarios.",
                optional=(("cost",), ("positions",), ("largest",)),
            )
            for row in own:
                if row["detail"] is not None and not row["in_use"]:
                    print_lines(f"{row['allocator']}: {visible_line(row['detail'])}")
        print_lines(
            "",
            "In the past no allocator had a significantly higher return than equal weights: docs/portfolio.md.",
        )


def _portfolio_run(lake: Lake, run: str | None) -> tuple[str, str]:
    """Return the run to show, and the run whose rows are its portfolio.

    Raises
    ------
    NoResultsError
        The run has no portfolio: it ended before, or is of an older version.
    """
    shown = run_to_show(lake, run)
    made_by = outputs_of(lake, shown).get("portfolio")
    if made_by is None:
        raise NoResultsError("The run has no portfolio.", where=f"run {shown}", hint="pm run")
    return shown, made_by


def _print_head(used: dict[str, Any]) -> None:
    """Print which portfolio it is, how it was made, and what was relaxed or failed."""
    from pm.cli.render import print_lines
    from pm.plural import plural
    from pm.tables.risk import MODEL_PORTFOLIO
    from pm.tables.vocabulary import PortfolioStatus

    name, currency = visible_line(used["portfolio"]), used["currency"]
    worth = "of unknown value" if used["equity"] is None else f"worth {used['equity']:,.0f} {currency}"
    print_lines("", f"Portfolio {name!r} of {used['cutoff']}, {worth}, by {used['allocator']}.")
    if used["portfolio"] == MODEL_PORTFOLIO:
        print_lines("There is no account: this is a model portfolio, which follows its own targets.")
    if used["equity"] is not None:
        print_lines(
            f"{used['invested']:.0%} invested, forecast volatility {used['annual_volatility']:.1%} per year; "
            f"{plural(used['views'], 'view')} about discovered edges; turnover {used['turnover']:.0%}."
        )
    if used["status"] == PortfolioStatus.RELAXED:
        print_lines(f"RELAXED, since no weights keep all limits: {visible_line(used['detail'])}.")
    elif used["status"] == PortfolioStatus.KEPT:
        print_lines(f"The weights held STAY: {visible_line(used['detail'])}.")
