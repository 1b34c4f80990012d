"""What a forecaster is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.typing import FloatArray

__all__ = ["MEANS_SCHEMA", "NAIVE", "Forecaster", "Forecasts", "Panel", "means_frame"]

NAIVE = "naive"
"""The model that the others are measured against and pulled towards; it takes part wherever there is a price."""

MEANS_SCHEMA = pl.Schema({"ticker": pl.String, "origin_date": pl.Date, "step": pl.Int64, "mean": pl.Float64})


def means_frame(ticker: str, origin_dates: pl.Series, means: FloatArray) -> pl.DataFrame:
    """Lay out a ticker's means, shape (origins, horizon), as rows of MEANS_SCHEMA."""
    origins, horizon = means.shape
    columns = {
        "ticker": [ticker] * means.size,
        "origin_date": np.repeat(origin_dates.to_numpy(), horizon),
        "step": np.tile(np.arange(1, horizon + 1), origins),
        "mean": means.ravel(),
    }
    return pl.DataFrame(columns, schema=MEANS_SCHEMA)


@dataclass(frozen=True)
class Panel:
    """Log prices of many tickers, each with its own sessions.

    Attributes
    ----------
    bars
        Columns ticker, date, bar (the ticker's sessions counted from 0) and log_price; sorted by ticker and date.
        Prices are adjusted, and expressed as an index that is 100 on the ticker's first bar: a forecast then does not
        depend on the currency's unit or on the size of a later dividend's factor.
    groups
        Ticker → name of its group of related tickers, whose bars a model may read beside the ticker's own. A ticker
        without a group stands alone.
    known_ahead
        Features of each session that are known before it comes: columns ticker, bar and one a feature, a row for every
        bar of a ticker and for each of its sessions to forecast, which are counted on from its last bar. None where no
        features are asked for.
    """

    bars: pl.DataFrame
    groups: Mapping[str, str] = field(default_factory=dict)
    known_ahead: pl.DataFrame | None = None

    def only(self, tickers: Iterable[str]) -> Panel:
        """Give the panel of these tickers alone; each stays in its group."""
        wanted = set(tickers)
        groups = {ticker: group for ticker, group in self.groups.items() if ticker in wanted}
        theirs = pl.col("ticker").is_in(sorted(wanted))
        known_ahead = None if self.known_ahead is None else self.known_ahead.filter(theirs)
        return Panel(self.bars.filter(theirs), groups, known_ahead)

    def lengths(self) -> dict[str, int]:
        """Count each ticker's bars."""
        return dict(self.bars.group_by("ticker").len().sort("ticker").iter_rows())

    def last_origins(self) -> pl.DataFrame:
        """Give each ticker's newest bar as its origin: columns ticker, origin_date."""
        last = self.bars.group_by("ticker", maintain_order=True).last()
        return last.select("ticker", pl.col("date").alias("origin_date"))

    def at(self, origins: pl.DataFrame) -> pl.DataFrame:
        """Give the bars at origins (columns ticker, origin_date), with `origin_date` in the place of `date`."""
        bars = self.bars.rename({"date": "origin_date"})
        return bars.join(origins, on=["ticker", "origin_date"], how="semi", maintain_order="left")


@dataclass(frozen=True)
class Forecasts:
    """Means of the log price, and the tickers that a model failed on.

    Attributes
    ----------
    means
        Columns ticker, origin_date, step (from 1) and mean.
    failures
        Ticker → why it has no means.
    """

    means: pl.DataFrame
    failures: dict[str, str] = field(default_factory=dict)


class Forecaster(Protocol):
    """A model of the log price.

    A panel in and all its tickers out, so that a model may be vectorised over tickers. A ticker's forecast may depend
    on its own bars and its group's up to the date of the origin only, to the last bit: neither on later bars nor on
    who else is in the panel.
    """

    @property
    def name(self) -> str:
        """The name under which settings and tables know it."""
        ...

    @property
    def min_observations(self) -> int:
        """Fewest bars of a ticker with which the model takes part, cross-validation included."""
        ...

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Give the mean log price of the `horizon` sessions after each origin.

        Parameters
        ----------
        panel
            Log prices; a ticker without an origin is passed over.
        origins
            Columns ticker, origin_date: sessions of that ticker, oldest first. Parameters are estimated on the bars up
            to a ticker's first origin and carried to its later ones, where only the state is brought up to date. For
            today's forecast that one origin is the newest bar; for cross-validation it makes one fit serve them all.
        horizon
            Sessions ahead.
        """
        ...
