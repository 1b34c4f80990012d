"""Units of prices, and the tickers whose closes are rates of exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["CURRENCIES", "HUNDREDTHS", "PIVOTS", "RateOf", "RatePath", "rate_paths", "rate_tickers", "tickers_of_rate"]

HUNDREDTHS = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ILA": "ILS"}
"""Units of prices that are a hundredth of a currency."""

CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
    HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
    MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
    QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
    TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a table of codes is easier to check
)
"""Codes of currencies that money is kept in (ISO 4217, and CNH for renminbi outside of China): no metals, no funds."""

PIVOTS = ("USD", "EUR")
"""Currencies through which a rate is computed where no ticker has it, the first that can be used first."""

RateOf = tuple[str, bool]
"""The ticker whose close is a rate, and whether it is the inverse of the one that is wanted."""

RatePath = tuple[RateOf, ...]
"""Rates whose product is the one that is wanted: one, or two that meet in a third currency."""


def tickers_of_rate(currency: str, base: str) -> list[RateOf]:
    """Return the tickers whose close is a rate, the best first, each with whether it is the inverse.

    EURUSD=X is how Yahoo spells units of USD for one EUR; EURUSD is how files do.
    """
    return [
        (f"{currency}{base}=X", False),
        (f"{currency}{base}", False),
        (f"{base}{currency}=X", True),
        (f"{base}{currency}", True),
    ]


def rate_paths(currency: str, base: str, tickers: Collection[str]) -> list[RatePath]:
    """Return the ways to a rate over tickers that have bars: the direct one first, then those through `PIVOTS`.

    Examples
    --------
    >>> rate_paths("EUR", "GBP", {"EURUSD=X", "GBPUSD=X"})
    [(('EURUSD=X', False), ('GBPUSD=X', True))]
    """
    ways = [[(currency, base)]]
    ways += [[(currency, pivot), (pivot, base)] for pivot in PIVOTS if pivot not in {currency, base}]
    found = []
    for way in ways:
        legs = [next((each for each in tickers_of_rate(*leg) if each[0] in tickers), None) for leg in way]
        path = tuple(leg for leg in legs if leg is not None)
        if len(path) == len(way):
            found.append(path)
    return found


def rate_tickers(currency: str, base: str) -> list[str]:
    """Return all tickers that a rate may be computed from."""
    pairs = [(currency, base)]
    pairs += [pair for pivot in PIVOTS if pivot not in {currency, base} for pair in ((currency, pivot), (pivot, base))]
    return [ticker for pair in pairs for ticker, _ in tickers_of_rate(*pair)]
