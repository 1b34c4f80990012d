"""Settings of config/sources.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Section

__all__ = ["ExchangeSettings", "SourceSettings"]


class ExchangeSettings(Section):
    """Which exchange a ticker trades on."""

    tickers: dict[str, str]
    suffixes: dict[str, str]
    sources: dict[str, str]

    def exchange_of(self, ticker: str, source: str) -> str | None:
        """Give the ticker's exchange code, or None where nobody said."""
        if ticker in self.tickers:
            return self.tickers[ticker]
        for suffix, exchange in self.suffixes.items():
            if ticker.endswith(suffix):
                return exchange
        return self.sources.get(source)


class SourceSettings(Section):
    """config/sources.yml."""

    priority: Annotated[list[str], Field(min_length=1)]
    exchanges: ExchangeSettings
