"""SAMoSSA: multivariate singular spectrum analysis with an autoregression of the residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.base import Forecasts, means_frame
from pm.forecast.spectral.prices import MIN_BARS, PriceHistory, PriceStack, fit_prices
from pm.forecast.spectral.recurrence import DegenerateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from pm.forecast.base import Panel
    from pm.typing import FloatArray

__all__ = ["SamossaForecaster"]


@dataclass(frozen=True)
class SamossaForecaster:
    """A low-rank signal that the tickers of a group share, and an autoregression of each ticker's residual.

    y[n, t] = f[n, t] + x[n, t]. The windows of the signal f lie in a subspace, estimated from the Page matrices of the
    group's tickers side by side, and follow its linear recurrence f[t] = β·(f[t−L], …, f[t−1]), with L near √(NT/4); x
    is a stationary AR(p) of each ticker. y is the log return, or the deviation of the log price from a line if that had
    the smaller loss on the bars before the first origin: see `spectral.prices`. For a random walk, no component is
    above the noise and no lag is significant; the forecast is then naive's, except for a drift of more than two
    standard errors.

    Parameters are estimated at a ticker's first origin, from the bars of the ticker and its group up to that date. At
    later origins the ticker's last L + 1 values are projected onto the same subspace. Tickers with too few bars for the
    windows of their group are fitted alone, as are tickers without a group.

    References
    ----------
    Alomar, Dahleh, Mann and Shah (2023), SAMoSSA: Multivariate singular spectrum analysis with stochastic
    autoregressive noise, NeurIPS 36.
    """

    name: str = "samossa"
    min_observations: int = 100

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Fit at each ticker's first origin and forecast from all of them; see `Forecaster.forecast`."""
        histories = {
            str(key[0]): PriceHistory(rows["date"].to_numpy(), rows["log_price"].to_numpy())
            for key, rows in panel.bars.partition_by("ticker", as_dict=True).items()
        }
        origin_bars = {
            str(key[0]): rows for key, rows in panel.bars_at(origins).partition_by("ticker", as_dict=True).items()
        }
        fits: dict[tuple[str, np.datetime64], Mapping[str, PriceStack | str]] = {}
        parts: list[tuple[str, pl.Series, FloatArray]] = []
        failures: dict[str, str] = {}
        for ticker, rows in origin_bars.items():
            cutoff = rows["origin_date"].to_numpy()[0]
            group = panel.groups.get(ticker)
            members = [ticker] if group is None else sorted(t for t in histories if panel.groups.get(t) == group)
            key = (members[0], cutoff)
            if key not in fits:
                # Tickers of a group with the same first origin share a fit.
                fits[key] = self._fit({member: histories[member].until(cutoff) for member in members}, horizon)
            fitted = fits[key][ticker]
            if isinstance(fitted, str):
                failures[ticker] = fitted
                continue
            bars = rows["bar"].to_numpy()
            known = histories[ticker].log_prices[: bars[-1] + 1]
            if not np.isfinite(known).all():
                failures[ticker] = "a log price up to its last origin is not finite"
                continue
            means = fitted.forecast(ticker, known, bars, horizon)
            parts.append((ticker, rows["origin_date"], means))
        return Forecasts(means_frame(parts), failures)

    def _fit(self, histories: Mapping[str, PriceHistory], horizon: int) -> dict[str, PriceStack | str]:
        """Fit the tickers of a group together, and those with too few bars alone.

        Returns
        -------
        Ticker → its fit, or why it has none.
        """
        fits: dict[str, PriceStack | str] = {}
        usable: dict[str, PriceHistory] = {}
        for ticker, history in histories.items():
            bars = history.log_prices.size
            if bars < MIN_BARS:
                fits[ticker] = f"needs {MIN_BARS} bars up to its first origin, has {bars}"
            elif not np.isfinite(history.log_prices).all():
                fits[ticker] = "a log price up to its first origin is not finite"
            else:
                usable[ticker] = history
        together = _long_enough(usable)
        batches = [together] if len(together) > 1 else []
        batches += [{ticker: usable[ticker]} for ticker in usable if not batches or ticker not in together]
        for batch in batches:
            try:
                fitted: PriceStack | str = fit_prices(batch, horizon)
            except (DegenerateError, np.linalg.LinAlgError) as error:
                fitted = f"failed: {type(error).__name__}: {error}"
            fits |= dict.fromkeys(batch, fitted)
        return fits


def _long_enough(histories: Mapping[str, PriceHistory]) -> dict[str, PriceHistory]:
    """Return the tickers with enough bars for the windows that they have together."""
    kept = dict(histories)
    while kept:
        needed = PriceStack.bars_needed(sum(history.log_prices.size for history in kept.values()))
        longer = {ticker: history for ticker, history in kept.items() if history.log_prices.size >= needed}
        if len(longer) == len(kept):
            break
        kept = longer
    return kept
