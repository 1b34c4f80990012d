"""The tickers that are rates of exchange between units of prices and currencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.currencies import HUNDREDTHS, rate_paths, rate_tickers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.pipeline.watch_list import Rows

__all__ = ["rates_between"]

_WITH_BARS = "SELECT DISTINCT ticker FROM bars WHERE ticker IN (SELECT unnest(?::VARCHAR[])) ORDER BY ticker"


def rates_between(rows: Rows, units: Iterable[tuple[str, str]]) -> set[str]:
    """Return the tickers of the best rate from each unit of prices to a currency, of those that have bars.

    Parameters
    ----------
    rows
        Runs a query with its parameters, and returns its rows.
    units
        Pairs of a unit of prices, such as GBp, and a currency, such as USD.
    """
    wanted = {(HUNDREDTHS.get(unit, unit), base) for unit, base in units}
    pairs = sorted((currency, base) for currency, base in wanted if currency != base)
    possible = sorted({ticker for pair in pairs for ticker in rate_tickers(*pair)})
    known = {row["ticker"] for row in rows(_WITH_BARS, [possible])} if possible else set()
    return {ticker for pair in pairs for path in rate_paths(*pair, known)[:1] for ticker, _ in path}
