"""`pm trade`: what is held, what is ordered, and what is sent to brokers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.context import open_reader, open_workspace
from pm.cli.options import DecimalSign, NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.trading import Account, change_ledger, plain, print_left_out, user

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["app", "lots"]

app = typer.Typer(help="Show positions and orders; send orders and ask brokers about them.", no_args_is_help=True)

_MONEY = ("cost", "market_value", "base_value", "base_gain", "gain", "cost_per_share")


@app.command()
def positions(context: typer.Context, account: Account = None) -> None:
    """Show what each account holds, at the newest close."""
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        columns = ("account", "ticker", "quantity", "currency", "average_cost", "price", "price_date", "market_value",
                   "base_value", "base_gain")  # fmt: skip
        chosen = _of_account(account)
        frame = lake.select("positions", columns=columns, order=("account", "ticker"), **chosen)
        if frame.is_empty():
            print_lines("Nothing is held. Import positions: pm account import FILE")
            return
        print_frame(plain(frame), formats=dict.fromkeys(_MONEY, ",.2f"))


@app.command()
def orders(
    context: typer.Context,
    account: Account = None,
    all_: Annotated[bool, typer.Option("--all", help="Show ended orders too.")] = False,
) -> None:
    """Show the open orders, or all."""
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        chosen = _of_account(account)
        if all_:
            frame = lake.select("order_lineage", order=("account", "run_id", "ticker"), **chosen)
            frame = frame.select(
                "account", "order_id", "ticker", "side", "quantity", "state", "target_weight", "run_id"
            )
        else:
            frame = lake.select("open_orders", order=("account", "ticker"), **chosen)
            frame = frame.drop("broker_order_id", "since")
        if frame.is_empty():
            print_lines("No order is open." if not all_ else "There are no orders.")
            return
        print_frame(plain(frame))


@app.command()
def plan(context: typer.Context, account: Account = None) -> None:
    """Show the orders that were planned and not sent yet: what to do tomorrow."""
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        _print_halt(context, lake)
        chosen = _of_account(account)
        open_ = lake.select("open_orders", order=("account", "side", "ticker"), **chosen)
        names = open_.filter(open_["state"].is_in(["planned", "accepted"]))["order_id"].to_list()
        frame = lake.select("orders", order=("account", "side", "ticker"), order_id=names)
        if frame.is_empty():
            print_lines("No order is planned. `pm run` plans orders from the targets of each account's portfolio.")
            return
        print_frame(
            plain(frame).select(
                "account", "order_id", "side", "quantity", "ticker", "order_type", "reference_price", "currency",
                "held", "target_shares", "target_weight",
            ),
            formats={"target_weight": ".2%"},
        )  # fmt: skip


@app.command()
def send(
    context: typer.Context,
    account: Account = None,
    live: Annotated[bool, typer.Option("--live", help="Send orders for real money; see docs/trading.md.")] = False,
    no_wait: NoWait = False,
) -> None:
    """Send the planned orders of an account to its broker, or write them to a ticket."""
    from pm.pipeline.stages.trade import sending

    change_ledger(context, sending(account, live=live), no_wait=no_wait, then=_print_open)


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
    from pm.pipeline.stages.trade import reading_fills, syncing

    sign = None if decimal is None else decimal.sign
    stage = syncing(account) if fills is None else reading_fills(account, read_fills(fills, decimal=sign))
    change_ledger(context, stage, no_wait=no_wait, then=_print_open)


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
    from pm.pipeline.stages.trade import accepting, reconciling, reconciling_file

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
        typer.Argument(metavar="[ORDER]...", help="Orders; the beginning of a name is enough. [default: all]"),
    ] = None,
    account: Account = None,
    no_wait: NoWait = False,
) -> None:
    """Cancel open orders."""
    from pm.pipeline.stages.trade import cancelling

    change_ledger(context, cancelling(account, orders or ()), no_wait=no_wait, then=_print_open)


@app.command()
def close(
    context: typer.Context,
    ticker: Annotated[str, typer.Argument(metavar="TICKER", help="Ticker that trades no more.")],
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
    ticker: Annotated[str | None, typer.Argument(metavar="[TICKER]", help="Ticker. [default: all]")] = None,
    account: Account = None,
    realised: Annotated[bool, typer.Option("--realised", help="Show the gains of closed lots instead.")] = False,
) -> None:
    """Show the open lots, or the gains that were realised, short-term and long-term."""
    from pm.cli.render import print_frame, print_lines

    chosen: dict[str, Any] = {
        name: value for name, value in (("account", account), ("ticker", ticker)) if value is not None
    }
    with open_reader(context) as lake:
        if realised:
            frame = lake.select("realised_gains", order=("account", "closed", "ticker"), **chosen)
            frame = frame.drop("event", "lot")
        else:
            frame = lake.select("lots", order=("account", "ticker", "opened"), **chosen)
        if frame.is_empty():
            print_lines("No lot is open." if not realised else "No gain was realised.")
            return
        print_frame(plain(frame), formats=dict.fromkeys((*_MONEY, "proceeds", "base_cost"), ",.2f"))


def _of_account(account: str | None) -> dict[str, Any]:
    """Return what rows to show are equal in: the account, if one is named."""
    return {} if account is None else {"account": account}


def _print_open(lake: Lake) -> None:
    from pm.cli.render import print_frame

    frame = lake.select("open_orders", order=("account", "ticker"))
    if not frame.is_empty():
        print_frame(plain(frame).select("account", "order_id", "ticker", "side", "quantity", "filled", "state"))


def _print_differences(lake: Lake) -> None:
    from pm.cli.render import print_lines

    for row in lake.select_rows("broker_differences", order=("account", "ticker")):
        print_lines(f"  {row['account']}: {row['detail']}")


def _print_halt(context: typer.Context, lake: Lake) -> None:
    from pm.broker.halts import file_says_halt
    from pm.cli.render import print_lines

    if file_says_halt(open_workspace(context)[0].root):
        print_lines("Trading is halted: the file HALT is in the workspace.")
    rows = lake.select_rows("halts", order=("sequence",), descending=("sequence",), limit=1)
    if rows and rows[0]["action"] == "halt":
        print_lines(f"Trading is halted ({rows[0]['cause']}): {rows[0]['reason']}")
