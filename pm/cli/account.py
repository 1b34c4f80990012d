"""`pm account`: open accounts, pay in, and take over positions that a broker's file lists."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pm.cli.completion import complete_account
from pm.cli.context import open_reader
from pm.cli.options import DecimalSign, NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.trading import Account, change_ledger, print_accounts, print_left_out

__all__ = ["app"]

app = typer.Typer(help="Open accounts, pay in, and import positions: what do I own?", no_args_is_help=True)


class BrokerChoice(StrEnum):
    """Where an account's orders go, by the words of column `broker`: to import those of the tables takes 0.2 s."""

    PAPER = "paper"
    TICKET = "ticket"
    ALPACA = "alpaca"
    IB = "ib"


class LotChoice(StrEnum):
    """Lots that a sale closes first, by the words of column `lot_method`."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    SPECIFIC = "specific"


_Day = Annotated[
    datetime | None,
    typer.Option(
        "--date",
        metavar="DATE",
        formats=["%Y-%m-%d"],
        help="Day from which it counts. [default: that of the newest bar]",
    ),
]


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the accounts, what each is worth, and how it did."""
    with open_reader(context) as lake:
        print_accounts(lake)


@app.command("open")
def open_(  # noqa: PLR0913, PLR0917 - an account has as many properties
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the account and of its portfolio.")
    ] = "main",
    cash: Annotated[str, typer.Option(metavar="AMOUNT", help="Cash to begin with.")] = "0",
    currency: Annotated[str, typer.Option(metavar="CODE", help="Base currency.")] = "USD",
    broker: Annotated[
        BrokerChoice, typer.Option(help="Where orders go: simulated, a list, or a broker.")
    ] = BrokerChoice.PAPER,
    number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Number of the account at the broker.", show_default=False)
    ] = None,
    lots: Annotated[LotChoice, typer.Option(help="Lots that a sale closes first.")] = LotChoice.FIFO,
    fractional: Annotated[bool, typer.Option(help="Whether it can hold fractions of a share.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Its orders are for real money; see docs/trading.md.")] = False,
    day: _Day = None,
    no_wait: NoWait = False,
) -> None:
    """Open an account: by default a paper account, whose orders are filled from the bars of later sessions."""
    from pm.errors import InputError
    from pm.ledger.money import decimal_of, money
    from pm.pipeline.stages.account import NewAccount, opening
    from pm.tables.vocabulary import BrokerName

    currency = _currency(currency)
    _require_name(name)
    if broker in {BrokerChoice.ALPACA, BrokerChoice.IB} and number is None:
        raise InputError(
            "An account at a broker needs its number.", where="--number", hint="copy it from the broker's page"
        )
    if lots == LotChoice.SPECIFIC and broker != BrokerChoice.TICKET:
        raise typer.BadParameter("lots can be named in tickets only (--broker ticket)", param_hint="--lots")
    if live and broker not in {BrokerChoice.ALPACA, BrokerChoice.IB}:
        raise typer.BadParameter("only an account at a broker can be for real money", param_hint="--live")
    account = NewAccount(
        name, BrokerName[broker.name], number, currency, money(decimal_of(cash, name="cash", where="--cash")),
        lots.value, fractional,
        live, None if day is None else day.date(),
    )  # fmt: skip
    change_ledger(context, opening(account), no_wait=no_wait, then=print_accounts, create=True)


@app.command()
def deposit(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Amount; a negative one (after --) takes cash out.")],
    account: Account = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="Currency of the amount. [default: the account's]")
    ] = None,
    day: _Day = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="A remark.")] = "by command",
    no_wait: NoWait = False,
) -> None:
    """Pay cash into an account, or take it out."""
    from pm.ledger.money import decimal_of
    from pm.pipeline.stages.account import depositing

    value = decimal_of(amount, name="amount", where="the amount")
    currency = None if currency is None else _currency(currency)
    stage = depositing(account, value, currency=currency, day=None if day is None else day.date(), detail=note)
    change_ledger(context, stage, no_wait=no_wait, then=print_accounts)


@app.command()
def close(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.", autocompletion=complete_account)],
    no_wait: NoWait = False,
) -> None:
    """Close an account that is empty: it gets no targets and no orders any more. What it did stays in the ledger."""
    from pm.pipeline.stages.account import ending

    change_ledger(context, ending(name), no_wait=no_wait, then=print_accounts)


@app.command("import")
def import_(
    context: typer.Context,
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV file or workbook of a broker: ticker and shares, and where known cost, currency, date.",
        ),
    ],
    account: Account = None,
    day: _Day = None,
    decimal: DecimalSign = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add the shares of tickers that are held already to these.")
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Take over the positions and the cash that an account has already: all of the file, or nothing."""
    from pm.broker.positions_file import read_positions
    from pm.cli.paths import expand_paths
    from pm.pipeline.stages.account import importing_positions

    for file in expand_paths([path]):
        told = read_positions(Path(file), decimal=None if decimal is None else decimal.sign)
        print_left_out(file, told.left_out)
        stage = importing_positions(
            account, told.held, day=None if day is None else day.date(), where=str(file), add=add
        )
        change_ledger(context, stage, no_wait=no_wait, then=print_accounts)


def _currency(code: str) -> str:
    """Return the code of a currency in capital letters."""
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise typer.BadParameter(f"{code!r} is no code of a currency, such as USD", param_hint="--currency")
    return code.upper()


def _require_name(name: str) -> None:
    """Refuse a name that a file of the account could not have on Windows, or that other portfolios have."""
    from pm.tables.risk import MODEL_PORTFOLIO, proposed
    from pm.windows_paths import windows_problem

    problem = None
    if not name.strip() or name != name.strip() or not name.isprintable() or set(name) & set(",/\\:"):
        problem = "it must be printable, and without commas, colons and slashes"
    elif name == MODEL_PORTFOLIO or name.endswith(proposed("")):
        problem = "portfolios that belong to no account have such names"
    elif (on_windows := windows_problem(name)) is not None:
        problem = f"it has {on_windows}"
    if problem is not None:
        raise typer.BadParameter(f"{name!r} cannot be the name of an account: {problem}", param_hint="--name")
