"""`pm evaluate`: forecast from past dates, and compare the forecasts with what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace
from pm.cli.options import AsOf, Jobs, Source, Tickers, parse_tickers
from pm.plural import plural

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["evaluate"]

_MAX_STEP = 250
"""Largest horizon in sessions."""
_MIN_DATES = 8
"""Minimum number of non-overlapping forecast dates for a t statistic to mean anything."""
_MAX_NAMED = 5
"""Maximum number of tickers named in a sentence."""


def evaluate(
    context: typer.Context,
    origins: Annotated[int, typer.Option(metavar="N", min=1, help="Number of past dates to forecast from.")] = 20,
    horizon: Annotated[
        str, typer.Option(metavar="STEPS", help="Comma-separated numbers of sessions ahead to score.")
    ] = "1,5,20",
    source: Source = None,
    tickers: Tickers = None,
    as_of: AsOf = None,
    jobs: Jobs = 0,
) -> None:
    """Forecast from past dates, and score the forecasts.

    From each date the forecast is the one that `pm run` would have made, from the bars up to that date.

    The forecasts are stored in the same tables as those of a run. The views forecast_scores, interval_coverage,
    volatility_scores and model_leaderboard score them.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import progress_shown
    from pm.cli.render import print_lines
    from pm.pipeline import Request, evaluate_history, open_lake

    steps = _parse_steps(horizon)
    names = parse_tickers(tickers)
    workspace, settings = open_workspace(context, create=True)
    message = "Interrupted. Nothing of the evaluation was written."
    with open_lake(workspace, settings) as lake:
        with interruptible(message) as wrap, progress_shown() as observer:
            request = Request(source, names, as_of.date() if as_of else None, jobs)
            result = evaluate_history(
                lake, workspace, settings, wrap(observer), request=request, origins=origins, steps=steps
            )
        _print_evaluation(lake, result.outputs["evaluate"])
    if not result.worked:
        print_lines(f"Nothing is new since run {result.outputs['evaluate']}. ({result.seconds:.2f} s)")


def _parse_steps(horizon: str) -> list[int]:
    """Return the numbers of a comma-separated list, sorted and without repetitions."""
    try:
        steps = sorted({int(part) for part in horizon.split(",") if part.strip()})
    except ValueError:
        steps = []
    if not steps or steps[0] < 1 or steps[-1] > _MAX_STEP:
        raise typer.BadParameter(f"write whole numbers from 1 to {_MAX_STEP}, such as 1,5,20", param_hint="--horizon")
    return steps


def _print_evaluation(lake: Lake, run_id: str) -> None:
    """Print the scores of the models, the coverage of the ensemble's intervals, and the scores of the volatilities."""
    from pm.cli.render import print_frame, print_lines
    from pm.tables.vocabulary import Verdict

    scores = _scores(lake, run_id)
    if scores.is_empty():
        print_lines("", "No ticker could be forecast from any of the dates.")
        _print_exclusions(lake, run_id)
        return
    print_lines(
        "",
        "Errors relative to a random walk without drift and with constant volatility:",
        "below 1 is better",
    )
    print_frame(
        scores,
        formats=dict.fromkeys(("forecasts", "dates"), ",d")
        | dict.fromkeys(("RMSE", "CRPS"), ".4f")
        | dict.fromkeys(("t of RMSE", "t of CRPS"), "+.1f"),
    )
    print_lines(
        "RMSE measures the error of the mean, CRPS that of the whole distribution. The",
        "model naive assumes no change, with the current volatility. t: t statistic of",
        f"the improvement on the random walk, significant above 2; from {_MIN_DATES} dates on.",
        "",
        "Share of outcomes inside the ensemble's intervals, by volatility regime",
    )
    shares = ("50%", "80%", "90%", "90% from", "to", "95%")
    print_frame(_coverage(lake, run_id), formats={"forecasts": ",d", **dict.fromkeys(shares, ".1%")})
    print_lines(
        "Each share should be near the level that heads its column. `90% from` and `to`",
        "are the 95% confidence interval of the share inside the 90% interval, if the",
        "outcomes are independent.",
        "",
        "Variance forecasts: a lower QLIKE is better; realised / forecast above 1 means",
        "that the forecast variance was too low",
    )
    print_frame(_volatility(lake, run_id), formats={"forecasts": ",d", "QLIKE": ".4g", "realised / forecast": ".4g"})
    verdicts = lake.select("model_weights", columns=("verdict",), run_id=run_id, model="ensemble")["verdict"]
    edges = verdicts.to_list().count(Verdict.EDGE)
    print_lines(
        "",
        f"In {edges:,} of {verdicts.len():,} cases (a ticker on a date) the models had done",
        "significantly better than assuming no change; in the others the ensemble",
        "assumes no change.",
    )
    _print_outliers(lake, run_id)
    _print_exclusions(lake, run_id)
    print_lines(
        "For the scores by month, ticker and regime:", f"  pm sql \"from forecast_scores where basis = '{run_id}'\""
    )


def _scores(lake: Lake, run_id: str) -> pl.DataFrame:
    """Return the models' errors at each step, the best first."""
    import polars as pl

    enough = pl.col("dates") >= _MIN_DATES
    return (
        lake.select("model_leaderboard", basis=run_id, slice="all")
        .sort("step", "place", "model", nulls_last=True)
        .select(
            "step",
            "place",
            "model",
            "forecasts",
            "dates",
            pl.col("relative_rmse").alias("RMSE"),
            pl.col("relative_crps").alias("CRPS"),
            pl.when(enough).then("gain_t").alias("t of RMSE"),
            pl.when(enough).then("crps_gain_t").alias("t of CRPS"),
        )
    )


def _coverage(lake: Lake, run_id: str) -> pl.DataFrame:
    """Return the share of outcomes inside the ensemble's intervals, for all forecasts and by volatility regime."""
    import polars as pl

    wide = (
        lake.select("interval_coverage", basis=run_id, model="ensemble", slice=["all", "regime"])
        .with_columns(regime=pl.col("value").fill_null("all"))
        .pivot("level", index=("step", "regime"), values=("forecasts", "coverage", "lower", "upper"))
    )
    return wide.sort("step", pl.col("regime").cast(pl.Enum(["all", "low", "middle", "high"]))).select(
        "step",
        "regime",
        pl.col("forecasts_0.9").alias("forecasts"),
        pl.col("coverage_0.5").alias("50%"),
        pl.col("coverage_0.8").alias("80%"),
        pl.col("coverage_0.9").alias("90%"),
        pl.col("lower_0.9").alias("90% from"),
        pl.col("upper_0.9").alias("to"),
        pl.col("coverage_0.95").alias("95%"),
    )


def _volatility(lake: Lake, run_id: str) -> pl.DataFrame:
    """Return the scores of the volatility models at each step, the best first."""
    import polars as pl

    return (
        lake.select("volatility_scores", basis=run_id, slice="all")
        .sort("step", pl.col("qlike").round(9), "model")
        .select(
            "step",
            pl.col("model").alias("model, window"),
            "forecasts",
            pl.col("qlike").alias("QLIKE"),
            pl.col("variance_ratio").alias("realised / forecast"),
        )
    )


def _print_outliers(lake: Lake, run_id: str) -> None:
    """Name the tickers with a return so far from its forecast that the data is the likeliest cause."""
    import polars as pl

    from pm.cli.render import join_names, print_lines
    from pm.statistics.robust import OUTLIER_SIGMAS

    outcomes = lake.select("forecast_outcomes", columns=("ticker", "error", "sigma"), basis=run_id, model="ensemble")
    outliers = outcomes.filter(pl.col("error").abs() > OUTLIER_SIGMAS * pl.col("sigma"))
    if not outliers.is_empty():
        print_lines(
            f"Returns more than {OUTLIER_SIGMAS:g} forecast standard deviations away dominate the averages above:",
            f"  {join_names(sorted(set(outliers['ticker'])), limit=_MAX_NAMED)}",
            "Is a split missing from the adjustment factors? See: pm sql 'from bar_flags'",
        )


def _print_exclusions(lake: Lake, run_id: str) -> None:
    """Count the tickers that were left out or simplified."""
    from pm.cli.render import print_lines

    count = lake.select("exclusions", columns=("ticker",), run_id=run_id)["ticker"].n_unique()
    if count:
        print_lines(
            f"Left out on some date, or forecast with a simpler model or less data: {plural(count, 'ticker')}.",
            "For the reasons:",
            f"  pm sql \"from exclusions where run_id = '{run_id}'\"",
        )
