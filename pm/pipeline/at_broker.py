"""What stages that deal with a broker share: an account at its broker, and commits between what it is asked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pm.broker.connect import open_broker
from pm.errors import HaltedError
from pm.pipeline.stage import Context, Stage
from pm.pipeline.trading import read_ledger
from pm.pipeline.writes import Append, Result
from pm.settings.keys import load_keys
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.quality import BARS
from pm.tables.sources import UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pm.broker.base import Broker, BrokerAccount
    from pm.ledger.ledger import Ledger
    from pm.tables.vocabulary import OrderState

__all__ = [
    "account_of",
    "committing",
    "counted_orders",
    "counted_states",
    "differing_error",
    "drained",
    "halted_error",
    "known_tickers",
    "open_account",
    "trade_stage",
]

_SHOWN = 10
"""Largest number of differences that an error lists."""


def trade_stage(compute: Callable[[Context], Result | Iterator[Result]], *, network: bool = True) -> Stage:
    """Return a stage of a command that deals with a broker."""
    return Stage(
        "trade", compute, reads=(BARS, UNIVERSE), writes=CHAINED_TABLES, depends=lambda _: None, network=network
    )


def account_of(context: Context, name: str | None) -> tuple[Ledger, dict[str, Any]]:
    """Return the ledger, and the row of an account; None for the only one."""
    ledger = read_ledger(context)
    return ledger, ledger.account(name)


def open_account(context: Context, row: dict[str, Any]) -> tuple[Broker, BrokerAccount]:
    """Return the broker of an account, and what it tells of it.

    Raises
    ------
    HaltedError
        It tells of another account.
    """
    broker = open_broker(row, context.settings.broker, load_keys(context.workspace.root))
    with ExitStack() as stack:
        stack.callback(broker.close)
        told = broker.account()
        if told.number != row["number"]:
            raise HaltedError(
                f"The broker says that this is account {told.number}; account {row['account']} has number "
                f"{row['number']}.",
                where="table accounts",
                hint="use the key or the login of the account",
            )
        stack.pop_all()  # the caller closes it
    return broker, told


def committing(ledger: Ledger, steps: Iterator[str]) -> Iterator[Result]:
    """Yield the ledger's new rows, to be committed, whenever a step says that they must be."""
    for note in steps:
        yield Result([Append(table, frame) for table, frame in ledger.journal.drain()], note)


def drained(ledger: Ledger) -> list[Append]:
    """Return the changes that add the ledger's new rows, and count them as added."""
    return [Append(table, frame) for table, frame in ledger.journal.drain()]


def halted_error(why: str) -> HaltedError:
    """Return the error of a command that does nothing while trading is halted."""
    return HaltedError(f"Trading is halted: {why}", where="table halts", hint='pm resume --reason "…" ends a halt')


def differing_error(account: str, differences: Sequence[str]) -> HaltedError:
    """Return the error that lists differences of a ledger from its broker."""
    lines = [f"  - {difference}" for difference in differences[:_SHOWN]]
    if len(differences) > _SHOWN:
        lines.append(f"  … and {len(differences) - _SHOWN:,} more: view broker_differences")
    return HaltedError(
        "\n".join([f"Account {account} differs from its broker, and no order is sent until that is accepted.", *lines]),
        where="table reconciliations",
        hint='find out why; to bring the ledger to what the broker told: pm trade reconcile --accept --reason "…"',
    )


def known_tickers(context: Context, ledger: Ledger) -> set[str]:
    """Return the tickers of the watch list and of all orders, as the lake spells them."""
    return {*context.read(UNIVERSE)["ticker"], *(order.row["ticker"] for order in ledger.orders.values())}


def counted_states(states: Iterable[OrderState]) -> str:
    """Return how many orders are in each state, in words."""
    words = [state.value for state in states]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def counted_orders(ledger: Ledger, account: str) -> str:
    """Return how many orders of an account are in each open state, in words."""
    return counted_states(order.state for order in ledger.open_orders(account)) or "no open order"
