"""List the conditions for orders of real money that are not met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.ledger.ledger import Ledger  # noqa: TC001 - a parameter's type
from pm.tables.ledger import AUDIT_HEADS, HALTS, RECONCILIATIONS
from pm.tables.vocabulary import BrokerName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.broker.base import BrokerAccount
    from pm.settings.broker import BrokerSettings

__all__ = ["clean_nights", "missing_for_live"]


def clean_nights(ledger: Ledger) -> int:
    """Return the number of nights in a row that a paper account has run without a halt or a difference.

    They count from the end of the last halt.
    """
    opened = [row["sequence"] for row in ledger.accounts.values() if row["broker"] == BrokerName.PAPER]
    if not opened or ledger.halts:
        return 0
    halts = [row["sequence"] for row in ledger.rows[HALTS.qualified]]  # their ends too
    differences = [row["sequence"] for row in ledger.rows[RECONCILIATIONS.qualified] if not row["matches"]]
    since = max([min(opened), *halts, *differences])
    return len(
        {row["cutoff"] for row in ledger.rows[AUDIT_HEADS.qualified] if row["sequence"] > since and row["cutoff"]}
    )


def missing_for_live(
    ledger: Ledger,
    account: Mapping[str, Any],
    told: BrokerAccount,
    settings: BrokerSettings,
    *,
    said_live: bool,
    number_in_environment: str | None,
    has_limits: bool,
) -> list[str]:
    """Return the conditions for orders of real money that are not met, each as a sentence; none if all are.

    Parameters
    ----------
    account
        Row of table accounts.
    told
        What the broker tells of the account.
    said_live
        Whether the command has the option --live.
    number_in_environment
        Value of the variable PM_LIVE_ACCOUNT.
    has_limits
        Whether limits of risk are set.
    """
    missing = []
    if not account["live"]:
        missing.append(f"Account {account['account']} was not opened with --live.")
    if not settings.live:
        missing.append("broker.live is false.")
    if not said_live:
        missing.append("The command lacks --live.")
    if number_in_environment != account["number"] or not account["number"]:
        missing.append("The variable PM_LIVE_ACCOUNT does not have the account's number.")
    if told.number != account["number"]:
        missing.append(f"The broker says that this is account {told.number}, not {account['number']}.")
    if not told.live:
        missing.append("The broker says that the account is for practice.")
    if told.currency != account["currency"]:
        missing.append(f"The broker keeps the account in {told.currency}, the ledger in {account['currency']}.")
    nights = clean_nights(ledger)
    if nights < settings.paper_nights:
        missing.append(
            f"A paper account has run {nights} nights without a halt or a difference, and "
            f"{settings.paper_nights} are needed."
        )
    if not has_limits:
        missing.append("No limit of risk is set.")
    return missing
