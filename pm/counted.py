"""Write a number of things in words that agree with it."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: '1 ticker', '2,000 tickers'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
