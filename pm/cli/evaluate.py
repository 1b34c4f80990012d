"""`pm evaluate`: forecast from past dates, and compare the forecasts with what happened."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace, open_writer
from pm.cli.options import AsOf, Jobs, NoWait, Source, Tickers, parse_tickers
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
_MEMBERS = {"garch_pool", "panel"}
"""Models of the leaderboard that are members of the combined volatility."""


class _Slice(StrEnum):
    """What the scores can be printed for."""

    TICKER = "ticker"
    MONTH = "month"
    REGIME = "regime"


def evaluate(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    origins: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Largest number of past dates to forecast from. [default: 20; all with --from]"
        ),
    ] = None,
    horizon: Annotated[
        str, typer.Option(metavar="STEPS", help="Comma-separated numbers of sessions ahead to score.")
    ] = "1,5,20",
    every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of sessions from one date to the next. [default: the horizon, so that windows do not overlap]",
        ),
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", metavar="DATE", formats=["%Y-%m-%d"], help="First date to forecast from."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", metavar="DATE", formats=["%Y-%m-%d"], help="Last date to forecast from."),
    ] = None,
    by: Annotated[
        _Slice | None,
        typer.Option(help="Print the ensemble's scores for each of these as well: its errors and its 90% intervals."),
    ] = None,
    source: Source = None,
    tickers: Tickers = None,
    as_of: AsOf = None,
    jobs: Jobs = 0,
    no_wait: NoWait = False,
) -> None:
    """Forecast from past dates, and score the forecasts.

    From each date the forecast is the one that `pm run` would have made, from the bars up to that date.

    Without --from, the dates are counted back from the last one that has the whole horizon after it.

    If the command is interrupted, the same command continues after the dates that were done.

    The forecasts and signals are stored in the same tables as those of a run. The views forecast_scores,
    interval_coverage, volatility_scores, model_leaderboard and signal_scores score them: one evaluation under its run,
    all of them together under the basis 'evaluations'.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.cli.render import print_lines
    from pm.pipeline import Request, check_first_run, evaluate_history
    from pm.pipeline.origin_dates import ChosenDates

    steps = _parse_steps(horizon)
    if first is not None and last is not None and first > last:
        raise typer.BadParameter(f"{first:%Y-%m-%d} is after --to {last:%Y-%m-%d}", param_hint="--from")
    request = Request(source, parse_tickers(tickers), as_of.date() if as_of else None, jobs)
    workspace, settings = open_workspace(
        context, create=True, check=lambda settings: check_first_run(settings, request)
    )
    message = "Interrupted. The dates done are kept: the same command continues after them."
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible(message) as wrap, progress_shown() as observer:
            result = evaluate_history(
                lake,
                workspace,
                settings,
                wrap(observer),
                request=of_known(lake, request),
                steps=steps,
                dates=ChosenDates(origins, every, first and first.date(), last and last.date()),
            )
        _print_evaluation(lake, result.outputs["evaluate"], by)
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


def _print_evaluation(lake: Lake, run_id: str, by: _Slice | None) -> None:
    """Print the scores of models, the coverage of the ensemble's intervals, the scores of volatilities and signals."""
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
        scores.drop("missing"),
        formats=dict.fromkeys(("forecasts", "dates"), ",d")
        | dict.fromkeys(("RMSE", "CRPS"), ".4f")
        | dict.fromkeys(("t of RMSE", "t of CRPS"), "+.1f"),
    )
    print_lines(
        "RMSE measures the error of the mean, CRPS that of the whole distribution. The",
        "model naive assumes no change, with the current volatility. t: t statistic of",
        f"the improvement on the random walk, significant above 2; from {_MIN_DATES} dates on.",
        *_unplaced(scores, run_id),
        "",
        "Share of outcomes inside the ensemble's intervals, by volatility regime",
    )
    shares = ("50%", "80%", "90%", "90% from", "to", "95%")
    print_frame(_coverage(lake, run_id), beside=True, formats={"forecasts": ",d", **dict.fromkeys(shares, ".1%")})
    print_lines(
        "Each share should be near the level that heads its column. `90% from` and `to`",
        "are the 95% confidence interval of the share inside the 90% interval, if the",
        "outcomes are independent.",
        "",
        "Variance forecasts: a lower QLIKE is better; realised / forecast above 1 means",
        "that the forecast variance was too low",
    )
    numbers = dict.fromkeys(("QLIKE", "QLIKE, ranges", "realised / forecast"), ".4g")
    print_frame(_volatility(lake, run_id), beside=True, formats={"forecasts": ",d", **numbers})
    _print_combination(lake, run_id)
    _print_signals(lake, run_id)
    if by is not None:
        print_lines("", f"The ensemble by {by.value}")
        print_frame(
            _sliced(lake, run_id, by),
            beside=True,
            formats={"forecasts": ",d", "RMSE": ".4f", "CRPS": ".4f", "inside 90%": ".1%"},
        )
    verdicts = lake.select("model_weights", columns=("verdict",), run_id=run_id, model="ensemble")["verdict"]
    edges = verdicts.to_list().count(Verdict.EDGE)
    print_lines(
        "",
        f"In {edges:,} of {verdicts.len():,} cases (a ticker on a date) the models had done",
        "clearly better than assuming no change; in the others the ensemble",
        "assumes no change.",
    )
    _print_outliers(lake, run_id)
    _print_exclusions(lake, run_id)
    print_lines(
        "For the scores by month, ticker and regime:",
        f"  pm sql \"from forecast_scores where basis = '{run_id}'\"",
        "For those of all evaluations together:",
        "  pm sql \"from model_leaderboard where basis = 'evaluations' and slice = 'all'\"",
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
            "missing",
            "dates",
            pl.col("relative_rmse").alias("RMSE"),
            pl.col("relative_crps").alias("CRPS"),
            pl.when(enough).then("gain_t").alias("t of RMSE"),
            pl.when(enough).then("crps_gain_t").alias("t of CRPS"),
        )
    )


def _unplaced(scores: pl.DataFrame, run_id: str) -> list[str]:
    """Return a sentence for each model without a place that says why, and where the reasons are."""
    import polars as pl

    lacking = (
        scores.filter(pl.col("place").is_null())
        .group_by("model", maintain_order=True)
        .agg(pl.col("missing").max(), (pl.col("forecasts") + pl.col("missing")).max().alias("all"))
    )
    if lacking.is_empty():
        return []
    reasons = f"from model_weights where run_id = '{run_id}' and reason is not null"
    lines = [
        f"{model} has no place: it lacks {missing:,} of {count:,} forecasts that others made."
        for model, missing, count in lacking.iter_rows()
    ]
    names = set(lacking["model"])
    if names & _MEMBERS:
        lines.append("Of garch_pool and panel there are forecasts only where a ticker has both.")
    return lines + (["For the reasons:", f'  pm sql "{reasons}"'] if names - _MEMBERS else [])


def _print_signals(lake: Lake, run_id: str) -> None:
    """Print what became of the signals."""
    from pm.cli.render import print_frame, print_lines

    scores = lake.select("signal_scores", basis=run_id, slice="all").sort("action")
    if scores.is_empty():
        return
    print_lines("", "Signals over the whole horizon")
    shares = ("confidence", "came true", "expected", "realised", "after costs")
    print_frame(
        scores.select(
            "action",
            "signals",
            "confidence",
            scores["came_true"].alias("came true"),
            scores["expected_return"].alias("expected"),
            scores["mean_return"].alias("realised"),
            scores["net_return"].alias("after costs"),
        ),
        beside=True,
        formats={"signals": ",d", **dict.fromkeys(shares, ".1%")},
    )
    print_lines(
        "came true: share with a gain (BUY), a loss (SELL) or neither (HOLD) beyond the",
        "costs, which should be near the confidence. expected: mean of the median",
        "returns; after costs: mean return of following the signals, short for SELL.",
    )


def _sliced(lake: Lake, run_id: str, by: _Slice) -> pl.DataFrame:
    """Return the errors of the ensemble relative to the random walk, and its coverage, for each ticker, say."""
    import polars as pl

    covered = lake.select("interval_coverage", basis=run_id, model="ensemble", slice=by.value, level=0.9)
    return (
        lake.select("model_leaderboard", basis=run_id, model="ensemble", slice=by.value)
        .join(covered.select("step", "value", "coverage"), on=["step", "value"], how="left")
        .sort("value", "step")
        .select(
            pl.col("value").alias(by.value),
            "step",
            "forecasts",
            pl.col("relative_rmse").alias("RMSE"),
            pl.col("relative_crps").alias("CRPS"),
            pl.col("coverage").alias("inside 90%"),
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
            pl.col("range_qlike").alias("QLIKE, ranges"),
            pl.col("variance_ratio").alias("realised / forecast"),
        )
    )


def _print_combination(lake: Lake, run_id: str) -> None:
    """Print whether combining the pool and the panel model was better than either alone."""
    from pm.cli.render import print_frame, print_lines

    scores = lake.select("combination_scores", basis=run_id).sort("step", "member")
    if scores.is_empty():
        return
    print_lines(
        "", "CRPS of the combined volatility relative to each of its members alone: below 1,", "combining is better"
    )
    print_frame(
        scores.select(
            "step",
            "member",
            "forecasts",
            "weight",
            scores["relative_crps"].alias("CRPS"),
            "quarters",
            scores["gain_t"].alias("t of CRPS"),
            scores["mcs_p_value"].alias("MCS p"),
        ),
        beside=True,
        formats={
            "forecasts": ",d",
            "weight": ".2f",
            "CRPS": ".4f",
            "quarters": ",d",
            "t of CRPS": "+.1f",
            "MCS p": ".2f",
        },
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
