"""Deliver the sample data: five US stocks, 2000 to 2013, with which everything works before a vendor is chosen."""

from __future__ import annotations

from functools import cached_property
from importlib import metadata, resources
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import SourceError
from pm.sources.base import BARS_SCHEMA, Answer, Failure, no_actions
from pm.sources.names import SAMPLE
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.sources.base import Ask

__all__ = ["SampleSource"]

_PACKAGE = "bokeh_sampledata"
_DISTRIBUTION = "bokeh-sampledata"
_SPELLINGS = {"Adj Close": "adj_close"}


class SampleSource:
    """Source of daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01, in package bokeh-sampledata.

    Prices and volume are as traded. Unlike a vendor's, its bars have an `adj_close`, adjusted for splits and dividends,
    and it sends no dividends and splits.
    """

    name = SAMPLE

    def version(self) -> str:
        """Return the name and version of the package that contains the data."""
        return f"{_DISTRIBUTION} {metadata.version(_DISTRIBUTION)}"

    def tickers(self) -> list[str]:
        """Return the tickers that it has, in the order of its file.

        Raises
        ------
        SourceError
            The file in the package is missing or has changed.
        """
        return list(self._bars)

    def fetch(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        """Yield the bars of each ticker asked for, in the order of the asks; or a failure, for a ticker it lacks.

        Raises
        ------
        SourceError
            The file in the package is missing or has changed.
        """
        for ask in asks:
            bars = self._bars.get(ask.symbol)
            if bars is None:
                known = ", ".join(self._bars)
                yield Failure(ask, FailureReason.GONE, f"The sample has no {ask.symbol}; it has {known}.")
                continue
            wanted = pl.col("date") <= ask.end
            if ask.start is not None:
                wanted &= pl.col("date") >= ask.start
            yield Answer(ask, bars.filter(wanted).with_columns(ticker=pl.lit(ask.ticker)), no_actions(), currency="USD")

    @cached_property
    def _bars(self) -> dict[str, pl.DataFrame]:
        """Bars by ticker."""
        parts = self._read().partition_by("ticker", maintain_order=True, as_dict=True)
        return {str(ticker): bars for (ticker,), bars in parts.items()}

    def _read(self) -> pl.DataFrame:
        file = resources.files(_PACKAGE) / "_data" / "stocks.csv.gz"
        try:
            frame = pl.read_csv(file.read_bytes(), infer_schema=False)
            renamed = frame.rename(lambda column: _SPELLINGS.get(column, column.lower()))
            typed = renamed.with_columns(pl.col("date").str.to_date("%Y-%m-%d"), source=pl.lit(self.name))
            return typed.select(pl.col(column).cast(dtype) for column, dtype in BARS_SCHEMA.items())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise SourceError(
                f"The sample data cannot be read: {error}",
                where=str(file),
                hint=f"reinstall the package: python -m pip install --force-reinstall {_DISTRIBUTION}",
            ) from error
