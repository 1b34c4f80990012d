"""Type the settings of config/sources.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Section

__all__ = ["ExchangeSettings", "SourceSettings"]


class ExchangeSettings(Section):
    """Exchange that a ticker trades on, by ticker, by suffix of the ticker, and by source.

    Attributes
    ----------
    tickers, suffixes, sources
        Ticker, suffix or name of a source, to an ISO 10383 code.
    """

    tickers: dict[str, str]
    suffixes: dict[str, str]
    sources: dict[str, str]

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
