"""`pm risk`: show what the portfolio can lose, test that against the past, and show stress tests and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_run
from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import AsOf, NoWait, Source, Tickers, parse_tickers
from pm.cli.results import outputs_of, print_look, run_to_show
from pm.errors import NoResultsError
from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from pm.lake import Lake

__all__ = ["app"]

app = typer.Typer(help="Show what the portfolio can lose, of what that consists, and how far to trust it.")

_MAX_TICKERS = 15
"""Maximum number of tickers listed."""
_BACKTEST_SESSIONS = 500
"""Default number of sessions of a backtest: two years."""

_Run = Annotated[
    str | None,
    typer.Option(
        metavar="RUN", help="Run whose results to show. [default: the newest whole run]", autocompletion=complete_run
    ),
]


@app.callback(invoke_without_command=True)
def risk(context: typer.Context) -> None:
    """Show the risk of the portfolio if no command is named."""
    if context.invoked_subcommand is None:
        show(context)


@app.command()
def show(context: typer.Context, run: _Run = None) -> None:
    """Show value at risk, expected shortfall, and what each ticker adds to it."""
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake, lake.reading():
        shown, made_by = _run_with_risk(lake, run)
        measures = _of_run(lake, "portfolio_risk", made_by)
        print_look(lake, shown)
        for portfolio in measures["portfolio"].unique(maintain_order=True):
            own = measures.filter(portfolio=portfolio)
            if _is_as_held(portfolio, measures, _measures):
                continue
            _say_what_it_is(portfolio)
            print_frame(_measures(own), formats=_SHARES, title=f"Risk of portfolio {portfolio}, as of {_day(own)}")
            print_lines("")
            level, horizon = float(own["level"].max()), int(own["horizon"].max())  # type: ignore[arg-type]
            parts = _of_run(lake, "risk_contributions", made_by).filter(
                portfolio=portfolio, horizon=horizon, level=level
            )
            print_frame(
                _contributions(parts),
                formats={"weight": ".1%", "of ES": ".2%", "share": ".1%", "alone": ".2%"},
                title=f"What adds to the ES of {level:.1%} over {plural(horizon, 'session')}",
            )
            if parts.height > _MAX_TICKERS:
                print_lines(f"… {parts.height - _MAX_TICKERS:,} more: pm sql 'from risk_contributions'")
            print_lines("")
        print_lines(
            "VaR: the loss that is not exceeded with the probability `level`. ES: the mean",
            "loss in the worst cases beyond. ±: standard error from the number of scenarios.",
            "drawdown: largest fall from a highest value within the horizon.",
        )


@app.command()
def stress(context: typer.Context, run: _Run = None) -> None:
    """Show what the portfolio would lose in the worst sessions of the past, in named periods, and in shocks."""
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake, lake.reading():
        shown, made_by = _run_with_risk(lake, run)
        print_look(lake, shown)
        results = _of_run(lake, "stress_results", made_by)
        for portfolio in results["portfolio"].unique(maintain_order=True):
            own = results.filter(portfolio=portfolio)
            if _is_as_held(portfolio, results, lambda rows: rows.select("sessions", "portfolio_return")):
                continue
            _say_what_it_is(portfolio)
            print_frame(
                own.select(
                    "scenario", "sessions", own["portfolio_return"].alias("return"), "covered", "start_date", "end_date"
                ),
                formats={"return": "+.1%", "covered": ".0%"},
                title=f"Stress of portfolio {portfolio}",
            )
        print_lines(
            "",
            "return: of today's weights, without trading. covered: share of the positions",
            "whose return is known; the others are taken not to move.",
        )


@app.command()
def limits(context: typer.Context, run: _Run = None) -> None:
    """Show the limits of the settings, and what they did in a run."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    _, settings = open_workspace(context)
    bounds = [
        {"limit": name, "bound": limit.bound, "action": limit.action.value}
        for name, limit in settings.risk.limits.items()
    ]
    if bounds:
        print_frame(pl.DataFrame(bounds), formats={"bound": _share}, title="Limits of config/risk.yml")
    else:
        print_lines("There are no limits: see config/risk.yml.")
    with open_reader(context) as lake, lake.reading():
        shown = run_to_show(lake, run)
        events = _of_run(lake, "limit_history", outputs_of(lake, shown))
        print_lines("")
        if events.is_empty():
            print_lines(f"No limit was exceeded in run {shown}.")
            return
        print_frame(
            events.select("portfolio", "limit_name", "subject", "value", "bound", "action", "value_after"),
            formats=dict.fromkeys(("value", "bound", "value_after"), _share),
            title=f"Limits that were exceeded in run {shown}",
        )
        print_lines("", *events["detail"])


@app.command()
def backtest(
    context: typer.Context,
    sessions: Annotated[
        int, typer.Option(metavar="N", min=20, help="Number of newest sessions whose losses are forecast.")
    ] = _BACKTEST_SESSIONS,
    source: Source = None,
    tickers: Tickers = None,
    as_of: AsOf = None,
    no_wait: NoWait = False,
) -> None:
    """Compute the risk of equal weights before each of the past sessions, and test it against what followed.

    The results are stored in the tables of `pm run`; the views risk_backtest and es_backtest test them, and also those
    of the nights (basis 'runs').
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.pipeline import Request, backtest_risk

    request = Request(source, parse_tickers(tickers), as_of.date() if as_of else None)
    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible("Interrupted. No risk was written.") as wrap, progress_shown() as observer:
            result = backtest_risk(
                lake, workspace, settings, wrap(observer), request=of_known(lake, request), sessions=sessions
            )
        _print_backtest(lake, result.outputs["risk_history"])


def _share(value: float) -> str:
    """Return the format specification of a share: percent, with more decimals if it is small."""
    return ".1%" if abs(value) >= 0.001 or not value else ".2g"


def _run_with_risk(lake: Lake, run: str | None) -> tuple[str, dict[str, str]]:
    """Return the run to show, and for each of its stages the run whose rows are its result.

    Raises
    ------
    NoResultsError
        The run computed no risk.
    """
    shown = run_to_show(lake, run)
    made_by = outputs_of(lake, shown)
    if _of_run(lake, "portfolio_risk", made_by).is_empty():
        raise NoResultsError("The run computed no risk.", where=f"run {shown}", hint=f"pm runs show {shown}; pm run")
    return shown, made_by


def _of_run(lake: Lake, table: str, made_by: Mapping[str, str]) -> pl.DataFrame:
    """Return the rows of what is held, which stage risk made, then those of the targets, which stage portfolio made."""
    import polars as pl

    from pm.tables.risk import proposed

    is_proposed = pl.col("portfolio").str.ends_with(proposed(""))
    held = lake.select(table, run_id=made_by.get("risk", "")).filter(~is_proposed)
    aimed = lake.select(table, run_id=made_by.get("portfolio", "")).filter(is_proposed)
    return pl.concat([held, aimed])


def _is_as_held(portfolio: str, rows: pl.DataFrame, shown: Callable[[pl.DataFrame], pl.DataFrame]) -> bool:
    """Return whether targets have the same risk as what is held, in the digits shown, and say so if they do."""
    import polars.selectors as cs

    from pm.cli.render import print_lines
    from pm.tables.risk import proposed

    held = portfolio.removesuffix(proposed(""))
    if held == portfolio:
        return False
    told, before = (shown(rows.filter(portfolio=name)).select(cs.float().round(4)) for name in (portfolio, held))
    if not told.equals(before):
        return False
    print_lines(f"What the run aims at for portfolio {held} has the same risk as what is held.", "")
    return True


def _say_what_it_is(portfolio: str) -> None:
    """Print a line if a portfolio is only a model, or not held yet."""
    from pm.cli.render import print_lines
    from pm.tables.risk import MODEL_PORTFOLIO, proposed

    if portfolio == MODEL_PORTFOLIO:
        print_lines("There is no account: this is about a model portfolio of equal weights in all tickers.")
    elif portfolio.endswith(proposed("")):
        print_lines(f"What the run aims at for portfolio {portfolio.removesuffix(proposed(''))}.")


_SHARES = {"level": ".1%", "VaR": ".2%", "± VaR": ".2%", "ES": ".2%", "± ES": ".2%", "scenarios": ",d"}


def _measures(own: pl.DataFrame) -> pl.DataFrame:
    """Return the measures of a portfolio without the benchmarks, by horizon and level."""
    import polars as pl

    return (
        own.filter(pl.col("method").is_in(["joint", "tail", "drawdown"]))
        .sort(pl.col("method") == "drawdown", "horizon", "level")
        .select(
            pl.col("horizon").alias("sessions"),
            "level",
            "method",
            pl.col("var").alias("VaR"),
            pl.col("se_var").alias("± VaR"),
            pl.col("es").alias("ES"),
            pl.col("se_es").alias("± ES"),
            "scenarios",
        )
    )


def _contributions(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the tickers that add most to the expected shortfall."""
    import polars as pl

    return (
        parts.sort("component_es", "ticker", descending=[True, False])
        .head(_MAX_TICKERS)
        .select(
            "ticker",
            "weight",
            pl.col("component_es").alias("of ES"),
            "share",
            pl.col("standalone_es").alias("alone"),
        )
    )


def _day(own: pl.DataFrame) -> object:
    """Return the date of the last bar used."""
    return own["origin_date"].max()


def _excess_tests(lake: Lake, run_id: str) -> pl.DataFrame:
    """Return the p-values of McNeil and Frey's test by bootstrap: columns horizon, level, method, excess_p."""
    import polars as pl

    from pm.risk.backtests import mcneil_frey

    outcomes = lake.select("risk_outcomes", basis=run_id).filter(pl.col("es") > 0).sort("origin_date")
    rows = []
    for key, own in outcomes.group_by("horizon", "level", "method", maintain_order=True):
        found = mcneil_frey(own["loss"].to_numpy(), own["var"].to_numpy(), own["es"].to_numpy())
        rows.append((*key, found.p_value))
    schema = {"horizon": pl.Int64, "level": pl.Float64, "method": pl.String, "excess_p": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").fill_nan(None)


def _print_backtest(lake: Lake, run_id: str) -> None:
    """Print the tests of a backtest."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    order = ("horizon", "level", "method")
    tests = lake.select("risk_backtest", basis=run_id).sort(order)
    print_frame(
        tests.select(
            pl.col("horizon").alias("sessions"),
            "level",
            "method",
            "forecasts",
            pl.col("exceptions").alias("exceeded"),
            "share",
            pl.col("kupiec_p").alias("Kupiec p"),
            pl.col("independence_p").alias("independence p"),
            "zone",
        ),
        formats={"level": ".4g", "share": ".1%", "Kupiec p": ".3f", "independence p": ".3f"},
        title="Value at risk: is it exceeded as often as it should be?",
    )
    shortfalls = lake.select("es_backtest", basis=run_id).sort(order)
    shortfalls = shortfalls.join(_excess_tests(lake, run_id), on=order, how="left", maintain_order="left")
    print_frame(
        shortfalls.select(
            pl.col("horizon").alias("sessions"),
            "level",
            "method",
            pl.col("z2").alias("Z2"),
            "excess",
            pl.col("excess_p").alias("excess p"),
            pl.col("fz0").alias("FZ0"),
            pl.col("gain_normal_t").alias("t to normal"),
            pl.col("gain_historical_t").alias("t to historical"),
        ),
        formats={"level": ".4g", "Z2": ".2f", "excess": ".2f", "excess p": ".3f", "FZ0": ".3f"}
        | dict.fromkeys(("t to normal", "t to historical"), ".1f"),
        title="Expected shortfall",
    )
    print_lines(
        "",
        "A p below 0.05 is reason to doubt the method. Z2: 0 is right, below −0.7 too",
        "little risk was forecast. excess: how much larger than the shortfall losses beyond",
        "the value at risk were; its p by bootstrap. FZ0: smaller is better. t to normal, t",
        "to historical: above 2, the method is significantly better than that benchmark.",
        f"  pm sql \"from risk_backtest where basis = '{run_id}'\"",
    )
