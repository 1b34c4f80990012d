"""Fit the shipped coefficients and shape of the panel model: `python benchmarks/panel.py`.

The series are those of `markets.known`, all days that they have, without a ridge: for closes all 27, for ranges the
sample and two indices. Prints what `pm/volatility/shipped_panel.py` has.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from markets import known

from pm.volatility.panel_series import KINDS, NODES, PanelSeries, panel_series
from pm.volatility.panel_sums import BINS, LARGEST_RETURN, LARGEST_SQUARE, MARKET_REGRESSOR, panel_sums
from pm.volatility.series import leave_out_quiet_pasts, leave_out_unit_changes, read_series
from pm.volatility.session_variance import bars_by_ticker, returns_and_ranges, series_variances
from pm.volatility.shipped_panel import SHAPE_LEVELS

PRIOR_TICKERS = 3.0
EVERY = 1_000_000


def all_series(*, with_ranges: bool) -> list[PanelSeries]:
    """Return every known series as the panel model sees it."""
    bars = pl.concat(frame.with_columns(pl.col("ticker") + f" of {market}") for market, frame in known().items())
    moves = returns_and_ranges(bars.sort("ticker", "date"))
    if not with_ranges:
        moves = moves.drop("range_variance")
    cleaned, _ = leave_out_unit_changes(read_series(moves, EVERY)[0], EVERY)
    series, _ = leave_out_quiet_pasts(cleaned)
    own = bars_by_ticker(moves)
    found = []
    for ticker, each in series.items():
        variances = series_variances(each, own[ticker])
        if variances.refused:
            print(ticker, variances.refused.detail)
        panel = panel_series(each.returns, each.dates.astype("datetime64[D]").astype(np.int64), variances)
        if panel is not None:
            found.append(panel)
    return found


def fitted(series: list[PanelSeries], market: np.ndarray, first_day: int) -> np.ndarray:
    """Return the coefficients by least squares, shape (nodes, terms)."""
    rows = []
    for node in range(len(NODES)):
        places = [own.known(node, first_day) for own in series]
        x = np.concatenate(
            [
                np.column_stack([own.regressors[place], market[own.days[place] - first_day]])
                for own, place in zip(series, places, strict=True)
            ]
        )
        ratio = np.concatenate([own.log_ratio[place, node] for own, place in zip(series, places, strict=True)])
        beta = np.linalg.lstsq(x, ratio, rcond=None)[0]
        rows.append(beta)
    return np.array(rows)


def main() -> None:
    """Fit and print."""
    for kind, name in enumerate(KINDS):
        everything = all_series(with_ranges=name == "range")
        first = min(int(own.days[0]) for own in everything)
        last = max(int(own.days[-1]) for own in everything)
        sums = panel_sums(everything, np.datetime64(last, "D").item(), last - first + 1)
        market = sums.market / (sums.market_tickers + PRIOR_TICKERS)
        series = [own for own in everything if own.kind == kind]
        print(f"{name}: {len(series)} series, {sums.rows[kind, 0]:,.0f} sessions")
        days = np.concatenate([own.regressors[own.begin :, MARKET_REGRESSOR] for own in series])
        print(f"mean of regressor {MARKET_REGRESSOR}: {days.mean():.3f}")
        coefficients = fitted(series, market, first)
        for row in coefficients:
            print("    (" + ", ".join(f"{value:.3f}" for value in row) + "),")
        squares = []
        for node, steps in enumerate(NODES):
            total, count = 0.0, 0
            for own in series:
                place = own.known(node, first)
                terms = np.column_stack([own.regressors[place], market[own.days[place] - first]])
                volatility = np.exp(terms @ coefficients[node]) * own.level[place]
                total += np.sum(np.minimum(own.outcomes(node)[place] ** 2 / (steps * volatility**2), LARGEST_SQUARE))
                count += place.stop - place.start
            squares.append(total / count)
        print("    (" + ", ".join(f"{value:.3f}" for value in squares) + "),")
        edges = np.linspace(-LARGEST_RETURN, LARGEST_RETURN, BINS + 1)
        for counts in sums.bins[kind]:
            reached = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
            rising = np.concatenate([[True], np.diff(reached) > 0.0])
            quantiles = np.interp(SHAPE_LEVELS, reached[rising], edges[rising])
            print("    (" + ", ".join(f"{value:.3f}" for value in quantiles) + "),")


if __name__ == "__main__":
    main()
