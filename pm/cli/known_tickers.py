"""Take a ticker that differs from a known one only in its capital letters as that one, and say so; refuse others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.lake import Lake
    from pm.pipeline import Request

__all__ = ["as_known", "as_known_of", "of_known", "require_known"]


def of_known(lake: Lake, request: Request) -> Request:
    """Return a request with its tickers as `as_known` gives them, sorted."""
    if request.tickers is None:
        return request
    return replace(request, tickers=tuple(sorted(set(as_known(lake, request.tickers)))))


def as_known(lake: Lake, names: Iterable[str]) -> tuple[str, ...]:
    """Return tickers, those that are not known as the known ones that differ only in their capital letters."""
    return as_known_of(_known(lake), names)


def require_known(lake: Lake, names: Iterable[str], *, table: str) -> tuple[str, ...]:
    """Return tickers as `as_known` gives them, of which the lake has bars, or a table has rows.

    Parameters
    ----------
    table
        Table or view that is to be shown: it can have rows of tickers without bars.

    Raises
    ------
    UnknownTickerError
        A ticker is in neither.
    """
    from pm.errors import UnknownTickerError

    known = _known(lake) | set(lake.select(table, columns=("ticker",))["ticker"].drop_nulls().unique())
    found = as_known_of(known, names)
    missing = set(found) - known
    if missing:
        raise UnknownTickerError.from_missing(missing, known, where=f"table {table}")
    return found


def _known(lake: Lake) -> set[str]:
    return {str(row["ticker"]) for row in lake.select_rows("data_health", columns=("ticker",))}


def as_known_of(known: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return tickers as `as_known` does, with the known ones given."""
    import typer

    from pm.cli.visible import visible_line

    there = set(known)
    by_lower: dict[str, list[str]] = {}
    for name in there:
        by_lower.setdefault(name.lower(), []).append(name)
    found = []
    for name in names:
        alike = by_lower.get(name.lower(), [])
        if name in there or len(alike) != 1:
            found.append(name)
            continue
        typer.echo(f"{visible_line(name)} is taken as {visible_line(alike[0])}.", err=True)
        found.append(alike[0])
    return tuple(found)
