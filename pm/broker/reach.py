"""Which tickers a broker can be sent orders in."""

from __future__ import annotations

from pm.currencies import HUNDREDTHS
from pm.sources.symbols import exchange_suffix, symbol_for
from pm.tables.vocabulary import BrokerName

__all__ = ["out_of_reach"]

_NAMES = {BrokerName.ALPACA.value: "Alpaca", BrokerName.IB.value: "Interactive Brokers"}
_BY_HAND = "enter its orders by hand, from an account with --broker ticket, or take it off the watch list"


def out_of_reach(broker: str, ticker: str, currency: str | None) -> str | None:
    """Return in a sentence why no order in a ticker can be sent to a broker; None if one can.

    Parameters
    ----------
    broker
        Column `broker` of table accounts. Paper accounts and tickets reach everything.
    currency
        Currency of the ticker's prices; None if it is not known.

    Examples
    --------
    >>> out_of_reach("ib", "VOD.L", "GBp")
    'Interactive Brokers is sent orders for exchanges of the United States only, and VOD.L is of another: enter its orders by hand, from an account with --broker ticket, or take it off the watch list'
    >>> out_of_reach("ib", "BRK-B", "USD"), out_of_reach("ticket", "VOD.L", "GBp")
    (None, None)
    """  # noqa: E501 - an example's output
    if broker not in _NAMES:
        return None
    name = _NAMES[broker]
    # Brokers tell apart shares of one symbol by exchange, and tell prices of London in pounds here and in pence there.
    if exchange_suffix(symbol_for(broker, ticker)):
        return f"{name} is sent orders for exchanges of the United States only, and {ticker} is of another: {_BY_HAND}"
    if currency in HUNDREDTHS or (broker == BrokerName.ALPACA and currency not in {None, "USD"}):
        return f"{name} is not sent orders in {currency}, the currency of {ticker}: {_BY_HAND}"
    return None
