"""Open the connection to an account's broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.errors import BrokerError, SettingsError
from pm.tables.vocabulary import BrokerName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.broker.base import Broker
    from pm.settings.broker import BrokerSettings
    from pm.settings.keys import Keys

__all__ = ["open_broker"]


def open_broker(account: Mapping[str, Any], settings: BrokerSettings, keys: Keys) -> Broker:
    """Return the broker of an account that is asked over a network.

    Parameters
    ----------
    account
        Row of table accounts.

    Raises
    ------
    SettingsError
        There is no key.
    BrokerError
        The account has no broker that could be asked, its client is not installed, or it cannot be reached.
    """
    if account["broker"] == BrokerName.ALPACA:
        from pm.broker.alpaca import Alpaca

        if keys.alpaca is None or keys.alpaca_secret is None:
            raise SettingsError(
                "There is no key of Alpaca.", where="keys.yml", hint="write alpaca and alpaca_secret into keys.yml"
            )
        live = bool(account["live"])
        return Alpaca(
            keys.alpaca.get_secret_value(),
            keys.alpaca_secret.get_secret_value(),
            url=settings.alpaca_live_url if live else settings.alpaca_paper_url,
            live=live,
            timeout=settings.timeout_seconds,
        )
    if account["broker"] == BrokerName.IB:
        from pm.broker.ib import InteractiveBrokers

        return InteractiveBrokers(
            settings.ib_host,
            settings.ib_port,
            client=settings.ib_client,
            number=account["number"],
            timeout=settings.timeout_seconds,
        )
    if account["broker"] == BrokerName.PAPER:
        what, hint = "is a paper account, and has no broker to ask", "its orders are filled by pm run"
    else:
        what = "has orders on a ticket, and no broker that can be asked"
        hint = (
            "give its fills back with pm trade sync --fills FILE; compare it with pm trade reconcile --positions FILE"
        )
    raise BrokerError(f"Account {account['account']} {what}.", where="table accounts", hint=hint)
