"""`pm forecast`: show the newest forecast of a ticker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader
from pm.errors import InputError, UnknownTickerError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["forecast"]

_PRICES = ("mean", "q05", "q10", "q25", "q50", "q75", "q90", "q95")


def forecast(
    context: typer.Context,
    ticker: Annotated[str, typer.Argument(metavar="TICKER", help="Ticker whose forecast to show.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help="Model whose forecast to show.")] = "ensemble",
) -> None:
    """Show the newest forecast of a ticker.

    It shows quantiles of the price on each session, and the weights and errors of the models.
    """
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        known = lake.select("latest_forecasts", columns=("ticker", "model"), step=1)
        if known.is_empty():
            print_lines("There are no forecasts yet; compute some with `pm run`.")
            return
        if ticker not in set(known["ticker"]):
            exclusions = lake.select("latest_exclusions", columns=("detail",), ticker=ticker)["detail"]
            if not exclusions.is_empty():
                print_lines(f"{ticker} was not forecast: {'; '.join(exclusions)}")
                return
            raise UnknownTickerError.from_missing([ticker], set(known["ticker"]), where="the newest run's forecasts")
        models = sorted(known.filter(known["ticker"] == ticker)["model"])
        if model not in models:
            raise InputError(
                f"{ticker} has no forecast by model {model!r}.{did_you_mean(model, models)}",
                where="--model",
                hint=f"use one of: {', '.join(models)}",
            )
        _print_path(lake, ticker, model)
        print_lines("")
        print_frame(
            _weights(lake, ticker),
            formats={"weight": ".1%", "RMSE": ".3f", "DM p": ".3f"},
            title="Weights of the models, and RMSE relative to that of naive (no change)",
        )
        print_lines(
            "",
            "Errors are out of sample: an RMSE below 1 is better than that of naive. DM p:",
            "p-value of the Diebold-Mariano test; small if the model is significantly better",
            "than naive. in 90% set: whether it is in the 90% model confidence set.",
        )


def _print_path(lake: Lake, ticker: str, model: str) -> None:
    """Print the quantiles of the price on each session."""
    from pm.cli.render import print_frame
    from pm.price_format import price_specification

    path = lake.select(
        "latest_forecasts",
        columns=("target_date", *_PRICES, "sigma", "origin_date", "origin_close"),
        order=("step",),
        ticker=ticker,
        model=model,
    )
    origin = path.row(0, named=True)
    price = price_specification(origin["origin_close"])
    print_frame(
        path.drop("origin_date", "origin_close"),
        formats=dict.fromkeys(_PRICES, price) | {"sigma": ".4f"},
        title=f"{ticker} by {model}, from {origin['origin_close']:{price}} on {origin['origin_date']}",
    )


def _weights(lake: Lake, ticker: str) -> pl.DataFrame:
    """Return the models' weights and out-of-sample errors, the ensemble first, then by weight."""
    import polars as pl

    return (
        lake.select("latest_weights", ticker=ticker)
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
