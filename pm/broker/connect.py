"""Open the connection to an account's broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.errors import InputError, SettingsError
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
    InputError
        The account has no broker that can be asked.
    BrokerError
        The broker's client is not installed, or it cannot be reached.
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
    what, hint = "it is a paper account", "pm run fills its orders from the next bars; there is nothing to ask"
    if account["broker"] == BrokerName.TICKET:
        what = "its orders are entered by hand"
        hint = (
            "write what was traded into the ticket, then: pm trade sync --fills FILE; or compare: pm trade reconcile "
            "--positions FILE"
        )
    raise InputError(
        f"Account {account['account']} has no broker that can be asked: {what}.", where="table accounts", hint=hint
    )
