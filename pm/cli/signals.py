"""`pm signals`: show the signals of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.age import age
from pm.cli.completion import complete_run
from pm.cli.context import open_workspace
from pm.cli.results import outputs_of, print_age, print_look, run_to_show
from pm.cli.visible import visible_line
from pm.clock import utc_today
from pm.errors import NoResultsError
from pm.plural import plural

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from pm.cli.render import CellFormat
    from pm.lake import Lake

__all__ = ["no_signals", "print_signals", "signals"]

_OPTIONAL = (("P(gain)", "P(loss)"), ("lower", "upper"), ("edge",))
"""Columns that a narrow terminal can do without, the first ones first."""
_COLUMNS = {
    "ticker": "ticker",
    "action": "action",
    "close": "close",
    "expected_return": "median",
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
        str | None,
        typer.Option(
            metavar="RUN",
            help="Run whose signals to show. [default: the newest whole run]",
            autocompletion=complete_run,
        ),
    ] = None,
) -> None:
    """Show the newest signals, and how old the newest bar is.

    A run with --as-of or --tickers is a look at the past or at a part: name it with --run to see it. A signal has an
    action, the median return with its interval, a position size, a stop and a target price.
    """
    from pm.pipeline import read_lake

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake, lake.reading():
        shown = run_to_show(lake, run)
        if not print_signals(lake, shown, max_age_days=settings.forecast.max_age_days):
            raise no_signals(shown, is_computed="signals" in outputs_of(lake, shown))


def no_signals(run_id: str, *, is_computed: bool = True) -> NoResultsError:
    """Return the error of a run without signals: the run computed none, or it ended before it could."""
    if not is_computed:
        return NoResultsError(
            "The run ended before it computed signals.", where=f"run {run_id}", hint=f"pm runs show {run_id}"
        )
    return NoResultsError(
        "There are no signals: every ticker was left out.",
        where=f"run {run_id}",
        hint=f"see why each was left out, in the list above; `pm runs show {run_id}` shows the stages",
    )


def print_signals(lake: Lake, run_id: str, *, max_age_days: int) -> bool:
    """Print the signals of a run, how good its forecasts were, and the tickers that were left out.

    Returns whether there are signals. Reads rows, not frames: what makes frames of query results takes longer to import
    than a run with nothing new.
    """
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification
    from pm.tables.vocabulary import Action

    outputs = outputs_of(lake, run_id)
    columns = (*_COLUMNS, "origin_date", "target_date", "horizon", "interval_level")
    rows = lake.select_rows("signals", columns=columns, run_id=outputs.get("signals"))
    verdicts = _verdicts(lake, outputs.get("forecast"))
    if not rows:
        print_look(lake, run_id)
    else:
        days = sorted({str(row["origin_date"]) for row in rows})
        day = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        probability = pl.max_horizontal("probability_gain", "probability_loss")
        frame = pl.DataFrame(rows, infer_schema_length=None).sort(
            pl.col("action") == Action.HOLD.value, -probability, "ticker", nulls_last=True
        )
        prices: dict[str, CellFormat] = dict.fromkeys(("close", "stop", "target"), price_specification)
        newest = max(row["origin_date"] for row in rows)
        print_lines("", f"Signals of {day}. The newest bar is of {age(newest, utc_today())}.")
        print_look(lake, run_id)
        print_age(lake, run_id, newest, max_age_days=max_age_days)
        table = frame.select(pl.col(name).alias(heading) for name, heading in _COLUMNS.items())
        ages = _ages(lake, run_id, table["ticker"], newest, max_age_days=max_age_days)
        table = table.insert_column(2, _edges(table["ticker"], verdicts))
        print_frame(
            table if ages is None else table.insert_column(1, ages),
            formats=prices
            | dict.fromkeys(("median", "lower", "upper"), "+z.1%")
            | dict.fromkeys(("P(gain)", "P(loss)"), ".0%")
            | {"size": ".1%"},
            title=f"Median return over {rows[0]['horizon']} sessions, and its "
            f"{rows[0]['interval_level']:.0%} interval:",
            optional=_OPTIONAL,
        )
        print_lines(
            "",
            "P(gain), P(loss): probability that a bought position gains, or loses, more than",
            "it costs to buy and sell it. These are forecasts, not advice.",
        )
        _print_edges(verdicts)
    _print_exclusions(lake, outputs)
    return bool(rows)


def _ages(lake: Lake, run_id: str, tickers: pl.Series, newest: date, *, max_age_days: int) -> pl.Series | None:
    """Return a column with the age of the last bar where it is too old; None if no vendor's is.

    Warns of such tickers if the newest bar of all is not too old, which `print_age` tells.
    """
    import polars as pl

    from pm.cli.render import join_names, print_lines
    from pm.pipeline import stale_tickers_of

    today = utc_today()
    stale = {
        each.ticker: each.last_date
        for each in stale_tickers_of(lake, run_id, max_age_days=max_age_days)
        if each.ticker in tickers
    }
    if not stale:
        return None
    if (today - newest).days <= max_age_days:
        have = "has no bar" if len(stale) == 1 else "have no bars"
        print_lines(
            f"WARNING: {join_names(list(stale), limit=_MAX_NAMED)} {have} of the last {plural(max_age_days, 'day')}",
            "(forecast.max_age_days): such signals are not about today. See `pm data health`; ask again: pm refresh",
        )
    words = {ticker: plural((today - day).days, "day") for ticker, day in stale.items()}
    return pl.Series("age of bar", [words.get(ticker) for ticker in tickers], pl.String)


def _verdicts(lake: Lake, forecast_run_id: str | None) -> dict[str, str]:
    """Return for each ticker whether its models have an edge, by ticker."""
    rows = lake.select_rows(
        "model_weights", columns=("ticker", "verdict"), order=("ticker",), run_id=forecast_run_id, model="ensemble"
    )
    return {row["ticker"]: row["verdict"] for row in rows}


def _edges(tickers: pl.Series, verdicts: dict[str, str]) -> pl.Series:
    """Return a column that says whether the models of each ticker have an edge."""
    import polars as pl

    from pm.tables.vocabulary import Verdict

    words = {Verdict.EDGE.value: "yes", Verdict.NO_EDGE.value: "no"}
    return pl.Series("edge", [words.get(verdicts.get(ticker, "")) for ticker in tickers], pl.String)


def _print_edges(verdicts: dict[str, str]) -> None:
    """Say for how many tickers the forecasting models were better than assuming no change of the price."""
    from pm.cli.render import join_names, print_lines
    from pm.tables.vocabulary import Verdict

    edges = [ticker for ticker, verdict in verdicts.items() if verdict == Verdict.EDGE]
    if edges:
        print_lines(
            f"Edge: for {len(edges):,} of {plural(len(verdicts), 'ticker')} the models did clearly better than",
            f"assuming no change, out of sample: {join_names(edges, limit=_MAX_NAMED)}.",
        )
    else:
        print_lines(
            "No edge: the models did not do clearly better than assuming no change",
            f"(0 of {plural(len(verdicts), 'ticker')}).",
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
        print_lines(f"  {visible_line(ticker)}: {visible_line(detail)}")
    if len(exclusions) > _MAX_EXCLUSIONS:
        print_lines(f"  … {len(exclusions) - _MAX_EXCLUSIONS:,} more: pm sql 'from latest_exclusions'")
