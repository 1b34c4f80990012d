"""Deliver the sample data: five US stocks, 2000 to 2013, with which everything works before a vendor is chosen."""

from __future__ import annotations

from importlib import metadata, resources
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import SourceError, UnknownTickerError
from pm.sources.base import BARS_SCHEMA, Delivery, no_actions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = ["SampleSource"]

_PACKAGE = "bokeh_sampledata"
_DISTRIBUTION = "bokeh-sampledata"
_SPELLINGS = {"Adj Close": "adj_close"}


class SampleSource:
    """Source of daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01, in package bokeh-sampledata.

    Prices and volume are as traded; `adj_close` is adjusted for splits and dividends.
    """

    name = "sample"

    def version(self) -> str:
        """Return the name and version of the package that contains the data."""
        return f"{_DISTRIBUTION} {metadata.version(_DISTRIBUTION)}"

    def fetch(
        self, tickers: Sequence[str] | None = None, start: date | None = None, end: date | None = None
    ) -> Delivery:
        """Return the bars, ordered by ticker and date, in one frame; there are no dividends and splits.

        Raises
        ------
        UnknownTickerError
            A ticker is not one of the five.
        SourceError
            The file in the package is missing or has changed.
        """
        bars = self._read()
        if tickers is not None:
            available = bars["ticker"].unique().to_list()
            if missing := set(tickers) - set(available):
                raise UnknownTickerError.from_missing(missing, available, where=f"source {self.name!r}")
            bars = bars.filter(pl.col("ticker").is_in(list(tickers)))
        if start is not None:
            bars = bars.filter(pl.col("date") >= start)
        if end is not None:
            bars = bars.filter(pl.col("date") <= end)
        return Delivery(bars=iter([bars]), actions=no_actions())

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
