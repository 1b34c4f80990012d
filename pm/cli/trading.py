"""What the commands that change the ledger share."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.completion import complete_account
from pm.cli.context import open_workspace, open_writer
from pm.plural import first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from pm.lake import Lake
    from pm.pipeline.stage import Stage

__all__ = ["Account", "change_ledger", "of_account", "plain", "print_accounts", "print_left_out", "print_worth", "user"]

_SHOWN = 10
"""Largest number of lines of a file that are told."""

Account = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="NAME",
        help="Account. [default: the only one]",
        show_default=False,
        autocompletion=complete_account,
    ),
]


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame to print, with shares and prices as floating-point numbers: without zeros at their end."""
    import polars as pl

    exact = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal) and dtype.scale in {6, 9}]
    return frame.with_columns(pl.col(exact).cast(pl.Float64))


def user() -> str:
    """Return the name of the person at the computer."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def change_ledger(
    context: typer.Context,
    stage: Stage,
    *,
    no_wait: bool,
    then: Callable[[Lake], object] | None = None,
    create: bool = False,
) -> None:
    """Run a stage that changes the ledger, print what it did, and show something of the lake."""
    from pm.cli.render import print_lines
    from pm.pipeline import trade
    from pm.pipeline.events import Event, Notice, StageEnded
    from pm.tables.vocabulary import StageStatus

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            print_lines(event.line)
        elif isinstance(event, StageEnded) and event.summary and event.status != StageStatus.FAILED:  # told as an error
            print_lines(f"{event.summary[:1].upper()}{event.summary[1:].rstrip('.')}.")

    workspace, settings = open_workspace(context, create=create)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        trade(lake, workspace, settings, tell, stage=stage)
        if then is not None:
            then(lake)


def of_account(lake: Lake, account: str | None) -> dict[str, Any]:
    """Return what rows to show are equal in: the account, if one is named.

    Raises
    ------
    InputError
        There is no such account.
    """
    from pm.errors import InputError, did_you_mean

    if account is None:
        return {}
    known = lake.select("accounts", columns=("account",), order=("account",))["account"].to_list()
    if account not in known:
        raise InputError(
            f"There is no account {account!r}.{did_you_mean(account, known)}",
            where="table accounts",
            hint=f"name one with --account: {', '.join(known)}" if known else "open one: pm account open --cash 100000",
        )
    return {"account": account}


def print_worth(lake: Lake, accounts: Sequence[str]) -> None:
    """Print what accounts are worth: positions and cash."""
    from pm.cli.render import print_lines

    for row in lake.select_rows("latest_accounts", order=("account",), account=list(accounts)):
        cash, currency = f"cash {row['cash'] or 0:,.2f}", row["currency"]
        if row["cash"] is not None and row["equity"] is None:
            worth = f"{cash} {currency}, and positions whose value is not known"
        else:
            worth = f"positions {row['positions'] or 0:,.2f} + {cash} = {row['equity'] or 0:,.2f} {currency}"
        print_lines(f"{row['account']}: {worth}")
    _print_unknown(lake)


def print_accounts(lake: Lake) -> None:
    """Print the accounts, what each is worth, and how it did."""
    from pm.cli.render import print_frame, print_lines

    frame = lake.select("latest_accounts", order=("account",))
    if frame.is_empty():
        print_lines("There is no account. Open one: pm account open --cash 100000")
        return
    if frame["closed"].is_null().all():
        frame = frame.drop("closed")
    money = dict.fromkeys(("cash", "positions", "equity", "deposits", "realised"), ",.2f")
    print_frame(frame, formats=money | {"return": "+.2%", "yearly": "+.2%", "drawdown": ".2%"})
    _print_unknown(lake)


def _print_unknown(lake: Lake) -> None:
    """Print which positions have no known value."""
    from pm.cli.render import print_lines

    held = lake.select("positions", columns=("account", "ticker", "base_value"), order=("account", "ticker"))
    unknown = held.filter(held["base_value"].is_null())["ticker"].unique(maintain_order=True).to_list()
    if unknown:
        print_lines(
            f"An account's value is not known while a position has no close, or no rate: {first_of(unknown)}. "
            "Add it to the watch list (pm universe add), or import its bars."
        )


def print_left_out(file: object, sentences: Sequence[str]) -> None:
    """Print which lines of a broker's file were left out, and why."""
    from pm.cli.render import print_lines

    if sentences:
        print_lines(f"Left out of {file}:", *(f"  {sentence}" for sentence in sentences[:_SHOWN]))
    if len(sentences) > _SHOWN:
        print_lines(f"  … and {len(sentences) - _SHOWN:,} more lines.")
