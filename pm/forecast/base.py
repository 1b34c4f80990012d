"""What every forecaster takes and returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pm.typing import FloatArray

__all__ = ["MEANS_SCHEMA", "NAIVE", "Forecaster", "Forecasts", "Panel", "means_frame"]

NAIVE = "naive"
"""Name of the benchmark model: the ensemble is shrunk towards it, and it forecasts every ticker that has prices."""

MEANS_SCHEMA = pl.Schema({"ticker": pl.String, "origin_date": pl.Date, "step": pl.Int64, "mean": pl.Float64})


def means_frame(parts: Sequence[tuple[str, pl.Series, FloatArray]]) -> pl.DataFrame:
    """Return forecast means as rows of MEANS_SCHEMA.

    Parameters
    ----------
    parts
        Tickers, each with the dates of its origins and its means, shape (origins, horizon). The horizon is that of all.
    """
    if not parts:
        return MEANS_SCHEMA.to_frame()
    horizon = parts[0][2].shape[1]
    origins = np.array([len(dates) for _, dates, _ in parts])
    tickers = pl.Series([ticker for ticker, _, _ in parts], dtype=pl.String)
    dates = pl.concat([dates for _, dates, _ in parts])
    columns = {
        "ticker": tickers.gather(np.repeat(np.arange(len(parts)), origins * horizon)),
        "origin_date": dates.gather(np.repeat(np.arange(len(dates)), horizon)),
        "step": np.tile(np.arange(1, horizon + 1), len(dates)),
        "mean": np.concatenate([means.ravel() for _, _, means in parts]),
    }
    return pl.DataFrame(columns, schema=MEANS_SCHEMA)


@dataclass(frozen=True)
class Panel:
    """Log prices of many tickers, each with its own sessions.

    Attributes
    ----------
    bars
        Columns ticker, date, bar (number of the ticker's session, from 0) and log_price; sorted by ticker and date.
        Prices are adjusted and expressed as an index that is 100 on the ticker's first bar, so that forecasts depend
        neither on the currency's unit nor on the adjustment factor of a later dividend.
    groups
        Ticker → name of its group of related tickers, whose bars a model may use beside the ticker's own. A ticker
        without an entry is in no group.
    known_ahead
        Features of each session that are known before the session: columns ticker, bar and one column a feature. It has
        a row for every bar of a ticker and for each of its sessions to forecast, whose numbers continue those of the
        bars. None if no features are configured.
    observed
        What was known of observations at each bar: columns ticker, bar and one column a name; see `observed`. None if
        forecasts use no observation.
    """

    bars: pl.DataFrame
    groups: Mapping[str, str] = field(default_factory=dict)
    known_ahead: pl.DataFrame | None = None
    observed: pl.DataFrame | None = None

    def only(self, tickers: Iterable[str]) -> Panel:
        """Return the panel restricted to some tickers, which stay in their groups."""
        wanted = set(tickers)
        groups = {ticker: group for ticker, group in self.groups.items() if ticker in wanted}
        selected = pl.col("ticker").is_in(sorted(wanted))
        known_ahead = None if self.known_ahead is None else self.known_ahead.filter(selected)
        observed = None if self.observed is None else self.observed.filter(selected)
        return Panel(self.bars.filter(selected), groups, known_ahead, observed)

    def bar_counts(self) -> dict[str, int]:
        """Return the number of bars of each ticker."""
        return dict(self.bars.group_by("ticker").len().sort("ticker").iter_rows())

    def last_origins(self) -> pl.DataFrame:
        """Return the date of each ticker's last bar as its forecast origin: columns ticker, origin_date."""
        last = self.bars.group_by("ticker", maintain_order=True).last()
        return last.select("ticker", pl.col("date").alias("origin_date"))

    def bars_at(self, origins: pl.DataFrame) -> pl.DataFrame:
        """Return the bars at some origins (columns ticker, origin_date); column `date` is renamed to `origin_date`."""
        bars = self.bars.rename({"date": "origin_date"})
        return bars.join(origins, on=["ticker", "origin_date"], how="semi", maintain_order="left")


@dataclass(frozen=True)
class Forecasts:
    """Forecast means of the log price, and the tickers for which a model failed.

    Attributes
    ----------
    means
        Columns ticker, origin_date, step (sessions ahead, from 1) and mean.
    failures
        Ticker → why it has no forecast.
    """

    means: pl.DataFrame
    failures: dict[str, str] = field(default_factory=dict)


class Forecaster(Protocol):
    """A model of the log price.

    A forecaster takes a whole panel and forecasts all its tickers, so that it can be vectorised over them. The forecast
    of a ticker must depend only on the bars of the ticker and of its group up to the origin. Later bars and other
    tickers in the panel must not change it, not even by rounding.
    """

    @property
    def name(self) -> str:
        """Name of the model in the settings and tables."""
        ...

    @property
    def min_observations(self) -> int:
        """Minimum number of a ticker's bars for the model to be used, cross-validation included."""
        ...

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Return the mean log price of the `horizon` sessions after each origin.

        Parameters
        ----------
        panel
            Log prices. Tickers without an origin are not forecast.
        origins
            Columns ticker, origin_date: sessions of each ticker, oldest first. Parameters are estimated on the bars up
            to a ticker's first origin; at later origins only the state is updated. A current forecast has one origin,
            the last bar; in cross-validation one fit serves all origins.
        horizon
            Number of sessions to forecast.
        """
        ...
