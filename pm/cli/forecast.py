"""`pm forecast`: show the newest forecast of a ticker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pm.age import age
from pm.cli.completion import complete_run, complete_ticker
from pm.cli.context import open_workspace
from pm.cli.results import outputs_of, print_age, print_look, run_to_show
from pm.clock import utc_today
from pm.errors import InputError, NoResultsError, UnknownTickerError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["forecast"]

_AT_MEAN = "geo mean"
"""Heading of the geometric mean of the price."""
_OPTIONAL = (("q25", "q75"), ("q10", "q90"), (_AT_MEAN,))
"""Columns that a narrow terminal can do without, the first ones first: the 90% interval and the median stay."""
_PRICES = ("mean", "q05", "q10", "q25", "q50", "q75", "q90", "q95")


def forecast(
    context: typer.Context,
    ticker: Annotated[
        str, typer.Argument(metavar="TICKER", help="Ticker whose forecast to show.", autocompletion=complete_ticker)
    ],
    model: Annotated[str, typer.Option(metavar="MODEL", help="Model whose forecast to show.")] = "ensemble",
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Run whose forecast to show. [default: the newest whole run]",
            autocompletion=complete_run,
        ),
    ] = None,
) -> None:
    """Show the newest forecast of a ticker.

    It shows quantiles of the price on each session, and the weights and errors of the models.
    """
    from pm.cli.known_tickers import as_known_of
    from pm.cli.render import print_frame, print_lines
    from pm.pipeline import read_lake

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake, lake.reading():
        shown = run_to_show(lake, run)
        outputs = outputs_of(lake, shown)
        made_by = outputs.get("forecast")
        known = lake.select("forecasts", columns=("ticker", "model", "origin_date"), run_id=made_by, step=1)
        (ticker,) = as_known_of(known["ticker"], [ticker])
        if ticker not in set(known["ticker"]):
            _refuse(lake, shown, outputs, ticker, set(known["ticker"]))
        models = sorted(known.filter(known["ticker"] == ticker)["model"])
        if model not in models:
            raise InputError(
                f"{ticker} has no forecast by model {model!r}.{did_you_mean(model, models)}",
                where="--model",
                hint=f"use one of: {', '.join(models)}",
            )
        print_look(lake, shown)
        newest = known.filter(known["ticker"] == ticker)["origin_date"][0]
        print_age(lake, shown, newest, max_age_days=settings.forecast.max_age_days)
        _print_path(lake, made_by, ticker, model)
        print_lines("")
        print_frame(
            _weights(lake, made_by, ticker),
            formats={"weight": ".1%", "RMSE": ".3f", "DM p": ".3f"},
            title="Weights of the models, and RMSE relative to that of naive (no change)",
            beside=True,
        )
        print_lines(
            "",
            "Errors are out of sample: an RMSE below 1 is better than that of naive. DM p:",
            "p-value of the Diebold-Mariano test; small if the model is significantly better",
            "than naive. in 90% set: whether it is in the 90% model confidence set.",
        )


def _refuse(lake: Lake, run_id: str, outputs: dict[str, str], ticker: str, known: set[str]) -> NoReturn:
    """Say why a run has no forecast of a ticker.

    Raises
    ------
    NoResultsError
        The run left the ticker out; the message has the reasons.
    UnknownTickerError
        The run was not about the ticker.
    """
    rows = lake.select_rows(
        "exclusions", columns=("run_id", "stage", "detail"), run_id=sorted(set(outputs.values())), ticker=ticker
    )
    reasons = sorted({row["detail"] for row in rows if outputs.get(row["stage"]) == row["run_id"]})
    if reasons:
        raise NoResultsError(
            f"{ticker} was not forecast: {'; '.join(reasons)}.",
            where=f"run {run_id}",
            hint="import newer or more bars: pm import PATH",
        )
    raise UnknownTickerError.from_missing([ticker], known, where=f"the forecasts of run {run_id}")


def _print_path(lake: Lake, made_by: str | None, ticker: str, model: str) -> None:
    """Print the quantiles of the price on each session."""
    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification

    path = lake.select(
        "forecasts",
        columns=("target_date", *_PRICES, "sigma", "origin_date", "origin_close"),
        order=("step",),
        run_id=made_by,
        ticker=ticker,
        model=model,
    )
    origin = path.row(0, named=True)
    price = price_specification(origin["origin_close"])
    print_frame(
        path.drop("origin_date", "origin_close").rename({"mean": _AT_MEAN, "target_date": "date"}),
        formats=dict.fromkeys((*_PRICES, _AT_MEAN), price) | {"sigma": ".4f"},
        title=f"{ticker} by {model}, from {origin['origin_close']:{price}} on {origin['origin_date']} "
        f"({age(origin['origin_date'], utc_today())})",
        optional=_OPTIONAL,
    )
    print_lines(
        "",
        "geo mean: geometric mean of the price, the last close × exp(mean log return).",
        "q05 to q95: its quantiles. sigma: standard deviation of the total log return.",
    )
    if origin["mean"] == origin["origin_close"]:
        print_lines("Without an edge, `pm signals` centres this on no change: prices × last close / q50.")


def _weights(lake: Lake, made_by: str | None, ticker: str) -> pl.DataFrame:
    """Return the models' weights and out-of-sample errors, the ensemble first, then by weight."""
    import polars as pl

    return (
        lake.select("model_weights", run_id=made_by, ticker=ticker)
        .sort("weight", pl.col("model"), descending=[True, False], nulls_last=False)
        .select(
            "model",
            "weight",
            "verdict",
            pl.col("relative_rmse").alias("RMSE"),
            pl.col("dm_p_value").alias("DM p"),
            pl.col("in_confidence_set").alias("in 90% set"),
            "origins",
            "reason",
        )
    )
