"""Write a count with its noun."""

from __future__ import annotations

__all__ = ["plural"]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Format a count with its noun: 1 and 'ticker' as '1 ticker', 2000 and 'ticker' as '2,000 tickers'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
