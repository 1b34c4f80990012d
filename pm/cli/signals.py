"""`pm signals`: show the signals of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader
from pm.errors import InputError, did_you_mean
from pm.plural import plural

if TYPE_CHECKING:
    from pm.cli.render import CellFormat
    from pm.lake import Lake

__all__ = ["print_signals", "signals"]

_COLUMNS = {
    "ticker": "ticker",
    "action": "action",
    "close": "close",
    "expected_return": "expected",
    "lower": "lower",
    "upper": "upper",
    "probability_gain": "P(gain)",
    "probability_loss": "P(loss)",
    "size": "size",
    "stop": "stop",
    "target": "target",
}
"""Columns of table `signals` that are shown, and their headings."""

_MAX_NAMED = 8
"""Maximum number of tickers named in a sentence."""
_MAX_EXCLUSIONS = 10
"""Maximum number of exclusions listed."""


def signals(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run whose signals to show. [default: the newest]")
    ] = None,
) -> None:
    """Show the newest signals.

    A signal has an action, the expected return with its interval, a position size, a stop and a target price.
    """
    from pm.cli.render import print_lines

    with open_reader(context) as lake:
        if run is not None:
            _check_run(lake, run)
        else:
            newest = lake.select_rows("latest_run", columns=("run_id",))
            if not newest:
                print_lines("There are no signals yet; compute some with `pm run`.")
                return
            run = newest[0]["run_id"]
        print_signals(lake, run)


def _check_run(lake: Lake, run_id: str) -> None:
    known = sorted(row["run_id"] for row in lake.select_rows("runs", columns=("run_id",), kind="run"))
    if run_id not in known:
        raise InputError(
            f"There is no run {run_id!r}.{did_you_mean(run_id, known)}",
            where="table runs",
            hint="list the runs with `pm runs`",
        )


def print_signals(lake: Lake, run_id: str) -> None:
    """Print the signals of a run, how good its forecasts were, and the tickers that were left out.

    Reads rows, not frames: what makes frames of query results takes longer to import than a run with nothing new.
    """
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification
    from pm.tables.vocabulary import Action

    outputs = {
        row["stage"]: row["output_run_id"]
        for row in lake.select_rows("run_outputs", columns=("stage", "output_run_id"), run_id=run_id)
    }
    columns = (*_COLUMNS, "origin_date", "target_date", "horizon", "interval_level")
    rows = lake.select_rows("signals", columns=columns, run_id=outputs.get("signals"))
    if not rows:
        print_lines(f"Run {run_id} has no signals.")
    else:
        days = sorted({str(row["origin_date"]) for row in rows})
        day = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        probability = pl.max_horizontal("probability_gain", "probability_loss")
        frame = pl.DataFrame(rows, infer_schema_length=None).sort(
            pl.col("action") == Action.HOLD.value, -probability, "ticker", nulls_last=True
        )
        prices: dict[str, CellFormat] = dict.fromkeys(("close", "stop", "target"), price_specification)
        print_lines("")
        print_frame(
            frame.select(pl.col(name).alias(heading) for name, heading in _COLUMNS.items()),
            formats=prices
            | dict.fromkeys(("expected", "lower", "upper"), "+z.1%")
            | dict.fromkeys(("P(gain)", "P(loss)"), ".0%")
            | {"size": ".1%"},
            title=f"Signals of {day}: return over the next {rows[0]['horizon']} sessions, "
            f"with its {rows[0]['interval_level']:.0%} interval",
        )
        print_lines(
            "",
            "P(gain), P(loss): probability that a bought position gains, or loses, more than",
            "it costs to buy and sell it. These are forecasts, not advice.",
        )
        _print_edges(lake, outputs.get("forecast"))
    _print_exclusions(lake, outputs)


def _print_edges(lake: Lake, forecast_run_id: str | None) -> None:
    """Say for how many tickers the forecasting models were better than assuming no change of the price."""
    from pm.cli.render import join_names, print_lines
    from pm.tables.vocabulary import Verdict

    rows = lake.select_rows(
        "model_weights", columns=("ticker", "verdict"), order=("ticker",), run_id=forecast_run_id, model="ensemble"
    )
    edges = [row["ticker"] for row in rows if row["verdict"] == Verdict.EDGE]
    if edges:
        print_lines(
            f"Edge: for {len(edges):,} of {plural(len(rows), 'ticker')} the models did significantly better than",
            f"assuming no change, out of sample: {join_names(edges, limit=_MAX_NAMED)}.",
        )
    else:
        print_lines(
            "No edge: the models did not do significantly better than assuming no change",
            f"(0 of {plural(len(rows), 'ticker')}).",
        )


def _print_exclusions(lake: Lake, outputs: dict[str, str]) -> None:
    """List the tickers that a run left out or simplified, with the reason.

    Parameters
    ----------
    outputs
        For each stage, the run whose rows are its result.
    """
    from pm.cli.render import print_lines

    rows = lake.select_rows(
        "exclusions", columns=("run_id", "stage", "ticker", "detail"), run_id=sorted(set(outputs.values()))
    )
    exclusions = sorted({(row["ticker"], row["detail"]) for row in rows if outputs.get(row["stage"]) == row["run_id"]})
    if not exclusions:
        return
    print_lines("Left out, or forecast with a simpler model or less data:")
    for ticker, detail in exclusions[:_MAX_EXCLUSIONS]:
        print_lines(f"  {ticker}: {detail}")
    if len(exclusions) > _MAX_EXCLUSIONS:
        print_lines(f"  … {len(exclusions) - _MAX_EXCLUSIONS:,} more: pm sql 'from latest_exclusions'")
