"""Type the settings of config/sources.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from pm.sessions import exchange_codes
from pm.settings.base import Section, known_names
from pm.settings.refresh import VENDOR_NAMES

__all__ = ["EXCHANGES", "SOURCE_NAMES", "ExchangeSettings", "SourceSettings"]

SOURCE_NAMES = ("files", "sample", *VENDOR_NAMES)
"""Names of the sources; pm.sources has the sources."""

EXCHANGES = frozenset(
    {
        "24/5", "24/7", "AIXK", "ASEX", "BVMF", "CMES", "IEPA", "XAMS", "XASX", "XBDA", "XBKK", "XBOG",
        "XBOM", "XBRA", "XBRU", "XBSE", "XBUD", "XBUE", "XCBF", "XCSE", "XCYS", "XDUB", "XDUS", "XEEE",
        "XETR", "XEUR", "XFRA", "XHAM", "XHEL", "XHKG", "XICE", "XIDX", "XIST", "XJSE", "XKAR", "XKLS",
        "XKRX", "XLIM", "XLIS", "XLIT", "XLJU", "XLON", "XLUX", "XMAD", "XMEX", "XMIL", "XMOS", "XNAS",
        "XNYS", "XNZE", "XOSL", "XPAR", "XPHS", "XPRA", "XRIS", "XSAU", "XSES", "XSGO", "XSHG", "XSTO",
        "XSTU", "XSWX", "XTAE", "XTAI", "XTAL", "XTKS", "XTSE", "XWAR", "XWBO", "XZAG",
    }
)  # fmt: skip
"""Codes that are known without asking the library of calendars, which takes 0.4 s to import."""


class ExchangeSettings(Section):
    """Exchange that a ticker trades on, by ticker, by suffix of the ticker, and by source.

    Attributes
    ----------
    tickers, suffixes, sources
        Ticker, suffix with the dot or other mark at its start, or name of a source, to an ISO 10383 code.
    """

    tickers: dict[str, str]
    suffixes: dict[str, str]
    sources: dict[str, str]

    @field_validator("tickers", "suffixes", "sources")
    @classmethod
    def _exchanges_are_known(cls, codes: dict[str, str]) -> dict[str, str]:
        others = [code for code in codes.values() if code not in EXCHANGES]
        if others:
            known_names(others, exchange_codes(), kind="exchange")
        return codes

    @field_validator("suffixes")
    @classmethod
    def _suffixes_are_told_from_names(cls, codes: dict[str, str]) -> dict[str, str]:
        """Refuse a suffix without its mark: L would be the end of names too, and nothing the end of every ticker."""
        for suffix in codes:
            if not suffix or suffix[0].isalnum():
                raise ValueError(f"the suffix {suffix!r} has no dot before it: write .{suffix or 'L'}")
        return codes

    @field_validator("sources")
    @classmethod
    def _sources_are_known(cls, codes: dict[str, str]) -> dict[str, str]:
        known_names(list(codes), SOURCE_NAMES, kind="source")
        return codes

    def exchange_of(self, ticker: str, source: str) -> str | None:
        """Return the code of the ticker's exchange, or None if no entry matches."""
        if ticker in self.tickers:
            return self.tickers[ticker]
        for suffix, exchange in self.suffixes.items():
            if ticker.endswith(suffix):
                return exchange
        return self.sources.get(source)


class SourceSettings(Section):
    """Settings of config/sources.yml.

    Attributes
    ----------
    priority
        Sources by precedence, the first with the highest.
    exchanges
        Exchanges that tickers trade on.
    """

    priority: Annotated[list[str], Field(min_length=1)]
    exchanges: ExchangeSettings

    @field_validator("priority")
    @classmethod
    def _sources_are_known(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ValueError("a source is listed twice in priority")
        return known_names(names, SOURCE_NAMES, kind="source")
