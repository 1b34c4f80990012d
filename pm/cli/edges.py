"""`pm edges`: whether observations help forecasts, by the test that every edge must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import AsOf, Jobs, NoWait, Tickers, parse_tickers

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.settings import Settings

__all__ = ["app"]

app = typer.Typer(help="Test whether observations help forecasts, and list the tests.", no_args_is_help=True)


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
    from pm.cli.progress import progress_shown
    from pm.pipeline import Request, judge_observation

    request = Request(tickers=parse_tickers(tickers), as_of=as_of.date() if as_of else None, jobs=jobs)
    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible("Interrupted. No test was written.") as wrap, progress_shown() as observer:
            judge_observation(lake, workspace, settings, wrap(observer), request=request, name=name)
        _print_tests(lake, settings, name)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the newest test of each observation, and whether forecasts use it."""
    _, settings = open_workspace(context)
    with open_reader(context) as lake:
        _print_tests(lake, settings, None)


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
