"""Test whether forecasts with an observation as regressor are better than no change, as every edge is tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.cross_validation import backtests, outcomes, rolling_origins, settled_origins, window_overlap
from pm.forecast.model_run import run_model
from pm.forecast.models.naive import NaiveForecaster
from pm.forecast.models.observed import ObservedForecaster
from pm.forecast.observed import with_observations
from pm.forecast.panel import build_panel
from pm.forecast.pooling import combine_pooled, error_products_frame
from pm.forecast.weights import ENSEMBLE, combine_models
from pm.statistics.discoveries import q_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pm.forecast.weights import Ensemble
    from pm.settings import ForecastSettings

__all__ = ["ObservationTest", "TickerEdge", "observation_edge"]

_ANY_AGE = 200 * 366
"""Maximum age of a ticker's last bar in days: one that stopped trading long ago is tested, too."""


@dataclass(frozen=True)
class TickerEdge:
    """The test of one ticker: its p-value, the same adjusted for all tickers, and whether the edge survives."""

    ticker: str
    relative_rmse: float | None
    p_value: float | None
    q_value: float | None
    claimed: bool
    discovered: bool


@dataclass(frozen=True)
class ObservationTest:
    """The test of an observation.

    Attributes
    ----------
    tickers
        Tickers that were tested, sorted.
    refused
        Ticker → why it could not be tested; only those that have an observation.
    origins
        Number of forecasts.
    periods, relative_loss, statistic, p_value
        Test of the mean over all tickers; see table `observation_tests`. NaN if there are too few periods.
    first_origin, last_target
        First date forecast from, and last target date; None if there is no forecast.
    """

    tickers: tuple[TickerEdge, ...]
    refused: dict[str, str]
    origins: int
    periods: int
    relative_loss: float
    statistic: float
    p_value: float
    first_origin: date | None
    last_target: date | None


def observation_edge(
    prices: pl.DataFrame,
    observations: pl.DataFrame,
    name: str,
    *,
    settings: ForecastSettings,
    as_of: date,
    rate: float,
) -> ObservationTest:
    """Return the test of one observation on the bars of all tickers that have it.

    Each ticker is forecast by `ObservedForecaster` from origins `settings.origin_step` sessions apart over the second
    half of the longest history, at each from what was known there. Its errors are combined with those of no change, and
    the combination is tested, as the ensemble of a run is: a Diebold-Mariano test of weights that were fitted without
    the origin. The test over all tickers pools them by period of time, since tickers move together.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor.
    observations
        Columns ticker, date, known_at, name, value.
    settings
        Horizon and distance of the origins.
    as_of
        Last date whose bars and observations may be used.
    rate
        Largest expected share of false discoveries among the tickers discovered.
    """
    own = observations.filter(pl.col("name") == name)
    prices = prices.filter(pl.col("ticker").is_in(own["ticker"].unique().to_list()))
    bars = prices.filter(pl.col("date") <= as_of).group_by("ticker").len()["len"].to_list()
    longest = max(bars, default=0)
    settings = settings.model_copy(
        update={"window": max(longest, 1), "origins": max(settings.origins, longest // 2 // settings.origin_step)}
    )
    naive = NaiveForecaster()
    priced = build_panel(
        prices,
        as_of=as_of,
        window=settings.window,
        horizon=settings.horizon,
        max_age_days=_ANY_AGE,
        min_bars=naive.min_observations,
    )
    refused = {ticker: exclusion.detail for ticker, exclusion in priced.refused.items()}
    panel = with_observations(priced.panel, own, [name])
    origins = settled_origins(rolling_origins(panel, settings), priced.quoted, {})
    runs = {
        model.name: run_model(model, panel, priced.last, origins, settings) for model in (naive, ObservedForecaster())
    }
    refused |= {ticker: reason for ticker, reason in runs["observed"].reasons.items() if ticker not in refused}
    validated = pl.concat(run.cross_validated for run in runs.values())
    found = backtests(panel, validated, outcomes(panel, origins, settings.horizon))
    tests = {ticker: test for ticker, test in found.items() if "observed" in test.models}
    overlap = window_overlap(settings)
    nan = float("nan")
    pooled = combine_pooled(error_products_frame(tests), overlap=overlap)
    dates = [day for test in tests.values() for day in test.origin_dates]
    return ObservationTest(
        _edges(combine_models(tests, overlap=overlap), rate),
        dict(sorted(refused.items())),
        len(dates),
        pooled.periods if pooled is not None else 0,
        pooled.relative_loss if pooled is not None else nan,
        pooled.combination.test.statistic if pooled is not None else nan,
        pooled.combination.test.p_value if pooled is not None else nan,
        min(dates, default=None),
        max((test.last_target for test in tests.values()), default=None),
    )


def _edges(ensembles: Mapping[str, Ensemble], rate: float) -> tuple[TickerEdge, ...]:
    """Return the test of each ticker, p-values adjusted for all of them."""
    p_values = {ticker: one.scores[ENSEMBLE]["dm_p_value"] for ticker, one in ensembles.items()}
    tested = [ticker for ticker, p_value in p_values.items() if p_value is not None]
    adjusted = dict(zip(tested, q_values([float(p_values[ticker] or 0.0) for ticker in tested]).tolist(), strict=True))
    edges = []
    for ticker, one in sorted(ensembles.items()):
        q_value, relative, p_value = adjusted.get(ticker), one.scores[ENSEMBLE]["relative_rmse"], p_values[ticker]
        edges.append(
            TickerEdge(
                ticker,
                None if relative is None else float(relative),
                None if p_value is None else float(p_value),
                q_value,
                claimed=one.edge,
                discovered=one.edge and q_value is not None and q_value <= rate,
            )
        )
    return tuple(edges)
