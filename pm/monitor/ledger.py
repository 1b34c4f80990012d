"""Check the ledger: whether trading is halted, the broker agrees, orders are known, and nobody changed a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.monitor.finding import Finding
from pm.plural import plural
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["check_ledger"]


def check_ledger(
    *,
    accounts: int,
    halt: str | None,
    differences: Sequence[Mapping[str, Any]],
    unknown_orders: int,
    chain_fault: str | None,
) -> Finding:
    """Check the ledger of all accounts.

    Parameters
    ----------
    accounts
        Number of accounts.
    halt
        Why trading is halted; None if it is not.
    differences
        Rows of view `broker_differences`.
    unknown_orders
        Number of orders whose answer from the broker was lost.
    chain_fault
        The first place at which the chain of hashes is broken, in a sentence; None if it is whole.
    """
    rule = (
        "halts, broker_differences, open_orders, pm audit verify: failing if a row of the ledger was changed or the "
        "broker's account differs from it; degraded while trading is halted or the answer to an order is lost."
    )
    if not accounts:
        detail = "There is no account; there will be a ledger once one is opened."
        return Finding("ledger", HealthStatus.NO_DATA, detail, rule, "pm account open NAME")
    values = {
        "accounts": float(accounts),
        "differences": float(len(differences)),
        "unknown_orders": float(unknown_orders),
        "halted": float(halt is not None),
    }
    if chain_fault is not None:
        return Finding("ledger", HealthStatus.FAILING, chain_fault, rule, "pm audit verify; docs/damage.md", values)
    if differences:
        first = differences[0]
        detail = (
            f"{plural(len(differences), 'difference')} from the broker's account, the first: "
            f"{first['ticker'] or 'cash'} of {first['account']}, ledger {first['ledger_value']}, broker "
            f"{first['broker_value']}."
        )
        return Finding("ledger", HealthStatus.FAILING, detail, rule, "pm trade reconcile", values)
    if unknown_orders:
        detail = f"The answer to {plural(unknown_orders, 'order')} is lost."
        return Finding("ledger", HealthStatus.DEGRADED, detail, rule, "pm trade sync", values)
    if halt is not None:
        hint = 'pm trade plan shows why; pm resume --reason "…"'
        return Finding("ledger", HealthStatus.DEGRADED, f"Trading is halted: {halt}", rule, hint, values)
    detail = f"{plural(accounts, 'account')}: the chain is whole, and no broker's account differs."
    return Finding("ledger", HealthStatus.HEALTHY, detail, rule, "", values)
