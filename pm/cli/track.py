"""`pm track`: the record of the nights that were really run, and what accounts gained by what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_account
from pm.cli.context import open_reader, open_workspace
from pm.cli.validate import count_outcomes
from pm.errors import InputError, NoResultsError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["app"]

app = typer.Typer(help="Show the record of the nights that were really run: no backtests.")

_Account = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="NAME", help="Account to show. [default: all accounts]", autocompletion=complete_account
    ),
]
_Limit = Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Number of rows to show.")]
_LINES = ("benchmark", "cash", "allocation", "selection", "timing", "costs", "other")
"""Lines of an attribution, in the order in which they are shown."""
_FEW = 20
"""Number of rows shown by default."""
_BASES = {"runs": "the nights", "evaluations": "an evaluation"}
"""Bases of a calibration that are no runs, in words."""
_STEPS = (1, 5)
"""Steps that are shown, besides the last."""


@app.callback(invoke_without_command=True)
def track(context: typer.Context) -> None:
    """Show the nights if no command is named."""
    if context.invoked_subcommand is None:
        nights(context)


@app.command()
def nights(context: typer.Context, account: _Account = None, limit: _Limit = _FEW) -> None:
    """Show each night: how its signals and forecasts did, and accounts beside equal weights since the first night."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    _, settings = open_workspace(context)
    benchmark = settings.validation.benchmark
    with open_reader(context) as lake, lake.reading():
        record = _record(lake, account)
        told = count_outcomes(lake)
        validated = lake.select("validations", columns=("run_id", "cutoff"), order=("run_id",))
        held = _benchmark(lake, benchmark, record["night"])
    shown = record.join(held, on="night", how="left", maintain_order="left").tail(limit)
    print_lines(*told, "")
    print_frame(
        shown.select(
            "night",
            "signals",
            "acted",
            "resolved",
            pl.col("came_true").alias("came true"),
            "brier",
            pl.col("net_result").alias("after costs"),
            pl.col("inside_90").alias("inside 90%"),
            pl.col("relative_crps").alias("CRPS"),
            "account",
            (pl.col("account_growth") - 1).alias("return"),
            (pl.col("equal_growth") - 1).alias("1/N"),
            *([] if benchmark == "equal" else [(pl.col("held") - 1).alias(benchmark)]),
            pl.col("run_id").alias("run"),
        ),
        formats={
            **dict.fromkeys(("signals", "acted", "resolved"), ",d"),
            **dict.fromkeys(("came true", "inside 90%"), ".1%"),
            **dict.fromkeys(("after costs", "return", "1/N", benchmark), "+.2%"),
            **dict.fromkeys(("brier", "CRPS"), ".4f"),
        },
        optional=[["run"], ["acted", "brier"], ["inside 90%"]],
    )
    if record.height > shown.height:
        print_lines(f"… {record.height - shown.height:,} earlier rows: --limit N, or pm sql 'FROM track_record'")
    print_lines(
        "came true: share of the signals that are over for which what the action said",
        "happened. after costs: mean return of following BUY and SELL from the next open.",
        "CRPS: of the forecasts, relative to a random walk; below 1 is better. return and",
        "1/N: since the first night, the latter of equal weights without costs.",
    )
    if not validated.is_empty():
        print_lines(f"Tests of all this, as of {validated['cutoff'][-1]}: pm validate")


@app.command()
def calibration(
    context: typer.Context,
    basis: Annotated[
        str,
        typer.Option(metavar="BASIS", help="'runs' for real nights, 'evaluations' for all evaluations, or a run."),
    ] = "runs",
) -> None:
    """Show whether the probabilities of the signals are right, what edges were worth, and the share of false edges."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake, lake.reading():
        if basis not in _BASES and not (runs := lake.select("runs", columns=("run_id",))["run_id"]).eq(basis).any():
            raise InputError(
                f"There is no run {basis!r}.{did_you_mean(basis, [*_BASES, *runs])}",
                where="--basis",
                hint="write 'runs', 'evaluations', or a run of pm runs",
            )
        scores = lake.select("signal_calibration", basis=basis)
        diagram = lake.select("reliability", basis=basis, slice="all")
        transform = lake.select("forecast_pit", basis=basis, model="ensemble", slice="all")
        edges = lake.select("edge_results", basis=basis)
        control = lake.select("discovery_nights", basis=basis) if basis != "evaluations" else None
        told = count_outcomes(lake)
    if scores.is_empty() and transform.is_empty():
        print_lines(f"Nothing that {_named(basis)} said has an outcome yet.", *told)
        return
    order = pl.col("slice").cast(pl.Enum(["all", "action", "horizon", "regime", "edge"]))
    shares, numbers = ("said", "came true"), ("Brier", "reliability", "resolution", "uncertainty", "CORP")
    print_frame(
        scores.sort("event", order, "value").select(
            "event",
            of=pl.coalesce(pl.when(pl.col("slice") != "all").then(pl.format("{} {}", "slice", "value")), pl.lit("all")),
            signals="signals",
            dates="dates",
            said="probability",
            **{
                "came true": "came_true",
                "Brier": "brier",
                "reliability": "reliability",
                "resolution": "resolution",
                "uncertainty": "uncertainty",
                "CORP": "miscalibration",
                "t": "bias_t",
            },
        ),
        formats={
            **dict.fromkeys(("signals", "dates"), ",d"),
            **dict.fromkeys(shares, ".1%"),
            **dict.fromkeys(numbers, ".4f"),
            "t": "+.1f",
        },
        title="Probabilities of a gain and of a loss beyond the costs",
        optional=[["uncertainty"], ["resolution"], ["CORP"]],
    )
    print_lines(
        "Brier = reliability − resolution + uncertainty; reliability 0 is right. CORP: what",
        "the score would gain by isotonic regression. t: of came true − said, over dates",
        "whose windows do not overlap; from 8 dates on, and beyond ±2 not chance.",
    )
    print_lines("")
    print_frame(
        diagram.sort("event", "probability").select(
            "event", said="probability", signals="signals", **{"came true": "came_true", "isotonic": "isotonic"}
        ),
        formats={"signals": ",d", "said": ".0%", "came true": ".1%", "isotonic": ".1%"},
        title="Reliability: how often what was said happened",
    )
    print_lines("")
    steps = transform["step"].unique().sort().to_list()
    few = [step for step in steps if step in _STEPS or step == steps[-1]]
    between = pl.format("{}% to {}%", (pl.col("lower") * 100).round(1), (pl.col("upper") * 100).round(1))
    wide = (
        transform.filter(pl.col("step").is_in(few))
        .sort("step", "lower")
        .select(between.alias("between quantiles"), pl.format("at step {}", "step").alias("step"), "share", "expected")
    )
    print_frame(
        wide.pivot("step", index=["between quantiles", "expected"], values="share", maintain_order=True),
        formats={"expected": ".1%", **{f"at step {step}": ".1%" for step in few}},
        title="Where the realised closes were among the quantiles of the forecasts",
    )
    print_lines("")
    print_frame(
        edges.filter(pl.col("step").is_in(few)).sort("step", "edge").select(
            "edge", "step", "forecasts", "dates",
            **{"RMSE": "relative_rmse", "right sign": "right_sign", "t": "gain_t"},
        ),
        formats={"forecasts": ",d", "dates": ",d", "RMSE": ".4f", "right sign": ".1%", "t": "+.1f"},
        title="Edges, and what they were worth: error relative to no change",
    )  # fmt: skip
    if control is not None and not control.is_empty():
        found = control.filter(pl.col("discovered") > 0).height
        print_lines(
            "",
            f"Of {int(control['tested'].sum()):,} tests of an edge, {int(control['below_5'].sum()):,} had a p-value "
            f"below 5% ({control['by_chance'].sum():,.1f} are to be expected by chance); "
            f"{int(control['claimed'].sum()):,} claimed an edge, and {int(control['discovered'].sum()):,} survived the "
            f"control of false discoveries, on {found:,} of {control.height:,} nights.",
        )


@app.command()
def attribution(
    context: typer.Context,
    account: _Account = None,
    first: Annotated[
        datetime | None, typer.Option("--from", metavar="DATE", formats=["%Y-%m-%d"], help="First day.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", metavar="DATE", formats=["%Y-%m-%d"], help="Last day.")
    ] = None,
    limit: _Limit = _FEW,
) -> None:
    """Show what each account gained by what: 1/N, cash, allocation, selection, timing and costs. The lines add up."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake, lake.reading():
        _require_account(lake, account)
        lines, factors = lake.select("attribution"), lake.select("factor_attribution")
    within = pl.lit(value=True) if account is None else pl.col("account") == account
    if first is not None:
        within &= pl.col("date") >= first.date()
    if last is not None:
        within &= pl.col("date") <= last.date()
    lines, factors = lines.filter(within), factors.filter(within)
    if lines.is_empty():
        print_lines("There is nothing to attribute: no account has gained or lost anything in these days.")
        return
    for name in lines["account"].unique().sort():
        own = lines.filter(account=name)
        total = own["amount"].sum()
        days = own["date"].sort().to_list()
        sums = own.group_by("line").agg(pl.col("amount").sum())
        summed = sums.sort(pl.col("line").cast(pl.Enum(_LINES)))
        print_frame(
            pl.concat([summed, pl.DataFrame({"line": ["total"], "amount": [total]}, schema=summed.schema)]),
            formats={"amount": ",.2f"},
            title=f"Account {name}, {days[0]} to {days[-1]}",
        )
        print_lines("")
        parts = own.filter(pl.col("line").is_in(["allocation", "selection", "timing", "costs"]))
        by_subject = parts.group_by("line", "subject").agg(pl.col("amount").sum())
        largest = by_subject.sort(pl.col("amount").abs(), "line", "subject", descending=[True, False, False])
        if not largest.is_empty():
            print_frame(largest.head(limit), formats={"amount": ",.2f"}, title="The largest parts")
            print_lines("")
        risks = factors.filter(account=name)
        if not risks.is_empty():
            subject = pl.when(pl.col("line") == "factor").then("subject").otherwise(pl.lit("specific"))
            by_factor = risks.group_by(subject.alias("factor")).agg(pl.col("amount").sum()).sort("factor")
            print_frame(by_factor, formats={"amount": ",.2f"}, title="Allocation and selection, by factor of risk")
            print_lines("")
    print_lines(
        "benchmark: what 1/N made on the capital. cash: capital that was not invested.",
        "allocation: groups of config/risk.yml held more or less than by 1/N. selection:",
        "tickers over 1/N of their group. timing: the day's trades, to the close.",
    )


@app.command()
def orders(context: typer.Context, account: _Account = None, limit: _Limit = _FEW) -> None:
    """Show what carrying out orders cost beside trading at once and for nothing (implementation shortfall)."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake, lake.reading():
        _require_account(lake, account)
        found = lake.select("implementation_shortfall")
    if account is not None:
        found = found.filter(account=account)
    if found.is_empty():
        print_lines("There are no orders: `pm run` plans some for each account (pm account open).")
        return
    parts = ["delay", "execution", "commission", "opportunity", "shortfall"]
    ordered = (pl.col("quantity").cast(pl.Float64) * pl.col("reference_price").cast(pl.Float64)).sum()
    print_frame(
        found.group_by("account", "purpose", "currency")
        .agg(
            orders=pl.len(),
            **{name: pl.col(name).sum() for name in parts},
            bps=pl.col("shortfall").sum().cast(pl.Float64) / ordered * 10_000,
        )
        .sort("account", "purpose", "currency"),
        formats={**dict.fromkeys(parts, ",.2f"), "bps": ".1f", "orders": ",d"},
        title="Implementation shortfall",
    )
    print_lines("")
    newest = found.sort("reference_date", "order_id", descending=True).head(limit)
    print_frame(
        newest.select(
            "account", "ticker", "side", "state", pl.col("quantity", "filled").cast(pl.Float64),
            pl.col("reference_date").alias("planned"),
            *parts, pl.col("shortfall_bps").alias("bps"),
        ),
        formats={**dict.fromkeys(parts, ",.2f"), "bps": ".1f", "quantity": ",.9g", "filled": ",.9g"},
        title="The newest orders",
        optional=[["quantity", "filled"]],
    )  # fmt: skip
    print_lines(
        "delay: from the close that an order was planned from to the next open. execution:",
        "from there to the price of the trade. opportunity: of what was not traded.",
        "A cost is positive; bps: hundredths of a percent of the value ordered.",
    )


def _record(lake: Lake, account: str | None) -> pl.DataFrame:
    """Return the nights in order, those of one account if it is named."""
    _require_account(lake, account)
    record = lake.select("track_record")
    if account is not None:
        record = record.filter(account=account)
    if record.is_empty():
        raise NoResultsError("There is no night yet.", where="view track_record", hint="pm run")
    return record.sort("night", "account")


def _require_account(lake: Lake, account: str | None) -> None:
    if account is None:
        return
    known = lake.select("accounts", columns=("account",))["account"].to_list()
    if account not in known:
        raise InputError(
            f"There is no account {account!r}.{did_you_mean(account, known)}",
            where="table accounts",
            hint="list them: pm account list" if known else "open one: pm account open",
        )


def _benchmark(lake: Lake, name: str, days: pl.Series) -> pl.DataFrame:
    """Return what one unit of money in the benchmark has become since the first of some days: night, held."""
    import polars as pl

    nights = days.unique().sort().alias("night").to_frame()
    if name in {"equal", "cash"}:
        return nights.with_columns(held=pl.lit(1.0))
    bars = lake.select("adjusted_bars", columns=("date", "close"), ticker=name).sort("date")
    held = nights.join_asof(bars, left_on="night", right_on="date", strategy="backward")
    return held.select("night", held=pl.col("close") / pl.col("close").drop_nulls().first())


def _named(basis: str) -> str:
    return _BASES.get(basis, f"run {basis}")
