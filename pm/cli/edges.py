"""`pm edges`: whether observations and features help forecasts, by the test that every edge must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import AsOf, Jobs, NoWait, Tickers, parse_tickers
from pm.plural import plural

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    help="Test whether observations help forecasts, list the tests, and show the model of relative returns.",
    no_args_is_help=True,
)


@app.command("test")
def run_test(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the observation; see pm observations list.")],
    tickers: Tickers = None,
    as_of: AsOf = None,
    jobs: Jobs = 0,
    no_wait: NoWait = False,
) -> None:
    """Test whether forecasts with an observation as regressor are better, out of sample, than assuming no change.

    If it passes among all names ever tested, forecasts from the dates after the test use it, and must then pass the
    test of each ticker's models as well.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.pipeline import Request, judge_observation

    request = Request(tickers=parse_tickers(tickers), as_of=as_of.date() if as_of else None, jobs=jobs)
    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible("Interrupted. No test was written.") as wrap, progress_shown() as observer:
            judge_observation(lake, workspace, settings, wrap(observer), request=of_known(lake, request), name=name)
        _print_tests(lake, settings, name)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the newest test of each observation, and whether forecasts use it."""
    _, settings = open_workspace(context)
    with open_reader(context) as lake:
        _print_tests(lake, settings, None)


@app.command("relative")
def show_relative(context: typer.Context) -> None:
    """Show the newest run's model of returns relative to other tickers: its test on past dates, and its features."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        found = lake.query("FROM latest_relative")
    if found.is_empty():
        print_lines("No run has fitted it yet: pm run")
        return
    test = found.row(0, named=True)
    known = found.filter(pl.col("feature").is_not_null())
    if not known.is_empty():
        print_frame(
            known.select("feature", "coefficient", "importance", "slope", pl.col("slope_t").alias("t"), "equal_to"),
            formats={"coefficient": "+.4f", "importance": ".0%", "slope": "+.4f", "t": "+.1f"},
        )
        print_lines(
            "coefficient: relative return, in standard deviations, for a feature one standard",
            "deviation above the mean of all tickers. importance: share of the forecasts'",
            "variance. slope and t: of the feature alone, over the dates of the test.",
        )
    if test["rank_correlation"] is not None:
        print_lines(
            f"Rank correlation of forecast and realised returns {test['rank_correlation']:+.3f} "
            f"(t {test['rank_correlation_t']:+.1f})."
        )
    print_lines(f"{plural(test['tickers'], 'ticker')} on {test['cutoff']}: {test['reason']}.")


def _print_tests(lake: Lake, settings: Settings, name: str | None) -> None:
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.forecast.observed import accepted_observations

    tests = lake.select("observation_tests").sort("run_id")
    if tests.is_empty():
        print_lines("No observation was tested yet: pm edges test NAME")
        return
    newest = tests.unique("name", keep="last", maintain_order=True).sort("name")
    rate, horizon = settings.signals.false_discovery_rate, settings.forecast.horizon
    used = accepted_observations(tests, rate=rate, as_of=max(tests["cutoff"].to_list()), horizon=horizon)
    names = () if used is None else used.names
    shown = newest if name is None else newest.filter(name=name)
    print_frame(
        shown.select(
            "name", "tickers", "origins", "periods", pl.col("relative_loss").alias("loss"),
            pl.col("dm_p_value").alias("p"), "claimed", "discovered",
            pl.col("name").is_in(list(names)).replace_strict({True: "yes", False: "no"}).alias("used"),
        ),
        formats={**dict.fromkeys(("tickers", "origins", "periods", "claimed", "discovered"), ",d"), "loss": ".4f",
                 "p": ".3f"},
    )  # fmt: skip
    if name is not None:
        print_lines(f"{shown['reason'][0][0].upper()}{shown['reason'][0][1:]}.")
    print_lines(
        "loss: of forecasts with it, relative to no change; below 1 is better. claimed and",
        "discovered: tickers for which it is proven alone, and after control of false",
        f"discoveries. used: whether the p-value, adjusted for all names ever tested ({newest.height:,}), is",
        f"at most {rate:.3g}; then forecasts of model `observed` use it from {used.since if used else 'then'} on.",
    )
