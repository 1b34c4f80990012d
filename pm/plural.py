"""Write a count with its noun, and the first of many names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["first_of", "plural"]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Format a count with its noun: 1 and 'ticker' as '1 ticker', 2000 and 'ticker' as '2,000 tickers'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def first_of(names: Sequence[str], shown: int = 5) -> str:
    """Format names with commas, and those after the first few as a count: 'A, B and 2 more'."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"
