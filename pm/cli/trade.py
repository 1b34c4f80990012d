"""`pm trade`: what is held, what is ordered, and what is sent to brokers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.completion import complete_order, complete_ticker
from pm.cli.context import open_reader, open_workspace
from pm.cli.options import DecimalSign, NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.trading import Account, change_ledger, of_account, plain, print_left_out, print_worth, user

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["app", "lots"]

app = typer.Typer(help="Show positions and orders; send orders and ask brokers about them.", no_args_is_help=True)

_MONEY = ("cost", "market_value", "base_value", "base_gain", "gain")
_NAME_LENGTH = 12
"""Number of characters of an order's name that are shown: commands take the beginning of a name."""


@app.command()
def positions(context: typer.Context, account: Account = None) -> None:
    """Show what each account holds, at the newest close."""
    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification

    with open_reader(context) as lake:
        columns = ["account", "ticker", "quantity", "currency", "average_cost", "price", "price_date", "market_value",
                   "base_value", "base_gain"]  # fmt: skip
        chosen = of_account(lake, account)
        frame = lake.select("positions", columns=columns, order=("account", "ticker"), **chosen)
        if frame.is_empty():
            print_lines("Nothing is held. Import positions: pm account import FILE")
            return
        if (frame["market_value"] == frame["base_value"]).all():  # all are in the accounts' own currency
            frame = frame.drop("market_value")
        formats: dict[str, Any] = dict.fromkeys(_MONEY, ",.2f")
        formats |= dict.fromkeys(("average_cost", "price"), price_specification)
        print_frame(plain(frame), formats=formats)
        print_worth(lake, frame["account"].unique(maintain_order=True).to_list())


@app.command()
def orders(
    context: typer.Context,
    account: Account = None,
    all_: Annotated[bool, typer.Option("--all", help="Show ended orders too.")] = False,
) -> None:
    """Show the open orders, or all."""
    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification

    with open_reader(context) as lake:
        chosen = of_account(lake, account)
        if all_:
            frame = _with_trades(lake, lake.select("order_lineage", order=("account", "run_id", "ticker"), **chosen))
        else:
            frame = lake.select("open_orders", order=("account", "ticker"), **chosen)
            unused = [name for name in ("limit_price", "stop_price") if frame[name].null_count() == frame.height]
            frame = frame.drop("broker_order_id", "since", "run_id", *unused)
        if frame.is_empty():
            print_lines("No order is open." if not all_ else "There are no orders.")
            return
        print_frame(
            plain(_with_short_names(frame)), formats={"target_weight": ".2%", "average_price": price_specification}
        )


@app.command()
def plan(context: typer.Context, account: Account = None) -> None:
    """Show the orders that were planned and not sent yet: what to do tomorrow."""
    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification

    with open_reader(context) as lake:
        _print_halt(context, lake)
        chosen = of_account(lake, account)
        open_ = lake.select("open_orders", order=("account", "side", "ticker"), **chosen)
        names = open_.filter(open_["state"].is_in(["planned", "accepted"]))["order_id"].to_list()
        frame = lake.select("orders", order_id=names).sort(
            "account",
            "side",
            "ticker",
            descending=[False, True, False],  # sales first, which pay for purchases
        )
        if frame.is_empty():
            print_lines("No order is planned. `pm run` plans orders from the targets of each account's portfolio.")
            return
        print_frame(
            plain(_with_short_names(frame)).select(
                "account", "order_id", "side", "quantity", "ticker", "order_type", "reference_price", "currency",
                "held", "target_shares", "target_weight",
            ),
            formats={"target_weight": ".2%", "reference_price": price_specification},
        )  # fmt: skip


@app.command()
def send(
    context: typer.Context,
    account: Account = None,
    live: Annotated[bool, typer.Option("--live", help="Send orders for real money; see docs/trading.md.")] = False,
    no_wait: NoWait = False,
) -> None:
    """Send the planned orders of an account to its broker, or write them to a ticket."""
    from pm.pipeline.stages.send import sending

    change_ledger(context, sending(account, live=live), no_wait=no_wait, then=partial(_print_open, account=account))


@app.command()
def sync(
    context: typer.Context,
    account: Account = None,
    fills: Annotated[
        Path | None, typer.Option("--fills", metavar="FILE", help="Ticket in which you wrote what was traded.")
    ] = None,
    decimal: DecimalSign = None,
    no_wait: NoWait = False,
) -> None:
    """Ask the broker what became of the orders, or read it from a ticket."""
    from pm.broker.ticket import read_fills
    from pm.pipeline.stages.fills import reading_fills, syncing

    sign = None if decimal is None else decimal.sign
    stage = syncing(account) if fills is None else reading_fills(account, read_fills(fills, decimal=sign))
    change_ledger(context, stage, no_wait=no_wait, then=partial(_print_open, account=account))


@app.command()
def reconcile(
    context: typer.Context,
    account: Account = None,
    positions: Annotated[
        Path | None,
        typer.Option("--positions", metavar="FILE", help="Broker's file of positions, in place of asking the broker."),
    ] = None,
    decimal: DecimalSign = None,
    accept: Annotated[bool, typer.Option("--accept", help="Bring the ledger to what the broker told.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why the differences are accepted.")] = "",
    no_wait: NoWait = False,
) -> None:
    """Compare the ledger with the broker's account; a difference stops new orders until it is accepted."""
    from pm.broker.positions_file import read_positions
    from pm.pipeline.stages.reconcile import accepting, reconciling, reconciling_file

    if accept and positions is not None:
        raise typer.BadParameter("compare the file first; then accept what it found", param_hint="--accept")
    if accept:
        stage = accepting(account, reason=reason, person=user())
    elif positions is not None:
        told = read_positions(positions, decimal=None if decimal is None else decimal.sign)
        print_left_out(positions, told.left_out)
        stage = reconciling_file(account, told, where=str(positions))
    else:
        stage = reconciling(account)
    change_ledger(context, stage, no_wait=no_wait, then=_print_differences)


@app.command()
def cancel(
    context: typer.Context,
    orders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ORDER",
            help="Orders; the beginning of a name is enough. [default: all]",
            autocompletion=complete_order,
        ),
    ] = None,
    account: Account = None,
    no_wait: NoWait = False,
) -> None:
    """Cancel open orders."""
    from pm.pipeline.stages.send import cancelling

    change_ledger(
        context, cancelling(account, orders or ()), no_wait=no_wait, then=partial(_print_open, account=account)
    )


@app.command()
def close(
    context: typer.Context,
    ticker: Annotated[
        str, typer.Argument(metavar="TICKER", help="Ticker that trades no more.", autocompletion=complete_ticker)
    ],
    account: Account = None,
    price: Annotated[str | None, typer.Option(metavar="PRICE", help="Price. [default: the last close]")] = None,
    no_wait: NoWait = False,
) -> None:
    """Close the position of a ticker that was delisted, at a price or its last close."""
    from pm.ledger.money import decimal_of
    from pm.pipeline.stages.account import closing

    value = None if price is None else decimal_of(price, name="price", where="--price")
    change_ledger(context, closing(account, ticker, value), no_wait=no_wait)


def lots(
    context: typer.Context,
    ticker: Annotated[
        str | None, typer.Argument(metavar="TICKER", help="Ticker. [default: all]", autocompletion=complete_ticker)
    ] = None,
    account: Account = None,
    realised: Annotated[bool, typer.Option("--realised", help="Show the gains of closed lots instead.")] = False,
) -> None:
    """Show the open lots, or the gains that were realised, short-term and long-term."""
    from pm.cli.known_tickers import require_known
    from pm.cli.render import print_frame, print_lines
    from pm.price_format import price_specification

    with open_reader(context) as lake:
        chosen = of_account(lake, account)
        if ticker is not None:
            (ticker,) = require_known(lake, [ticker], table="realised_gains" if realised else "lots")
            chosen["ticker"] = ticker
        if realised:
            frame = lake.select("realised_gains", order=("account", "closed", "ticker"), **chosen)
            frame = frame.drop("event", "lot")
        else:
            frame = lake.select("lots", order=("account", "ticker", "opened"), **chosen)
        if frame.is_empty():
            whose = "" if ticker is None else f" of {ticker}"
            print_lines(f"No lot{whose} is open." if not realised else f"No gain{whose} was realised.")
            return
        formats: dict[str, Any] = dict.fromkeys((*_MONEY, "proceeds", "base_cost"), ",.2f")
        print_frame(plain(frame), formats=formats | {"cost_per_share": price_specification})


def _with_short_names(frame: pl.DataFrame) -> pl.DataFrame:
    """Return orders with the beginnings of their names."""
    import polars as pl

    return frame.with_columns(pl.col("order_id").str.head(_NAME_LENGTH))


def _with_trades(lake: Lake, lineage: pl.DataFrame) -> pl.DataFrame:
    """Return orders with the number of shares traded, their average price, the last day, and why an order ended."""
    import polars as pl

    names = lineage["order_id"].to_list()
    shares, price = pl.col("quantity").cast(pl.Float64), pl.col("price").cast(pl.Float64)
    trades = (
        lake.select("fills", columns=["order_id", "quantity", "price", "date"], order_id=names)
        .group_by("order_id")
        .agg(
            pl.col("quantity").sum().alias("filled"),
            ((shares * price).sum() / shares.sum()).alias("average_price"),
            pl.col("date").max().alias("traded"),
        )
    )
    columns = ["order_id", "state", "detail"]
    events = lake.select("order_events", columns=columns, order=("sequence",), order_id=names)
    details = events.group_by("order_id").agg(pl.col("detail").filter(pl.col("detail").is_not_null()).last())
    joined = lineage.join(trades, on="order_id", how="left", maintain_order="left").join(
        details, on="order_id", how="left", maintain_order="left"
    )
    return joined.select(
        "account", "order_id", "ticker", "side", "quantity", "state", "filled", "average_price", "traded",
        "target_weight", "detail", "run_id",
    )  # fmt: skip


def _print_open(lake: Lake, *, account: str | None) -> None:
    from pm.cli.render import print_frame

    frame = lake.select("open_orders", order=("account", "ticker"), **of_account(lake, account))
    if not frame.is_empty():
        print_frame(
            plain(_with_short_names(frame)).select(
                "account", "order_id", "ticker", "side", "quantity", "filled", "state"
            )
        )


def _print_differences(lake: Lake) -> None:
    from pm.cli.render import print_lines

    for row in lake.select_rows("broker_differences", order=("account", "ticker")):
        print_lines(f"  {row['account']}: {row['detail']}")


def _print_halt(context: typer.Context, lake: Lake) -> None:
    from pm.cli.render import print_lines
    from pm.pipeline.trading import halt_sign

    if (why := halt_sign(open_workspace(context)[0].root, lake.location)) is not None:
        print_lines(f"Trading is halted: {why[:1].lower()}{why[1:]}")
    for row in lake.select_rows("active_halts", order=("sequence",)):
        print_lines(f"Trading is halted ({row['cause']}): {row['reason']}")
