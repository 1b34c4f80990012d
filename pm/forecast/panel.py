"""Build the panel of log prices that models use, and exclude the tickers whose prices cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.exclusions import Exclusion
from pm.forecast.base import Panel
from pm.prices import adjusted_close
from pm.quality.precision import unit_expression
from pm.tables.vocabulary import Reason
from pm.volatility.jumps import clean_returns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

__all__ = ["PricedPanel", "build_panel"]

INDEX_BASE = 100.0
"""Value of the price index on a ticker's first bar.

Any value other than 1 serves: the log must not be zero, because the ARIMA likelihood does not count a first observation
of exactly zero.
"""

_TICK_BARS = 250
"""Number of newest closes by whose decimals the smallest price is known: earlier ones can be in other units."""


@dataclass(frozen=True)
class PricedPanel:
    """A panel, the prices that its forecasts start from, and the tickers that were excluded.

    Attributes
    ----------
    panel
        Log prices of the tickers that can be forecast.
    last
        The last bar of each ticker: columns ticker, origin_date, origin_close (as traded), log_price; max_range, the
        largest difference between the highest and the lowest log price within any horizon + 1 consecutive bars; and
        tick, the smallest price that can be written with the decimals of the ticker's newest closes, 0 if unknown.
    refused
        Ticker → why it is not in the panel.
    quoted
        Log prices of the panel's tickers as quoted, with changes of units: columns ticker, date, log_price, by ticker
        and date. They include the bars before the window by which changes of units were judged.
    """

    panel: Panel
    last: pl.DataFrame
    refused: dict[str, Exclusion]
    quoted: pl.DataFrame


def build_panel(
    prices: pl.DataFrame, *, as_of: date, window: int, horizon: int, max_age_days: int, min_bars: int
) -> PricedPanel:
    """Return the panel of the last `window` log prices of each ticker up to `as_of`, without changes of units.

    The panel's prices have the returns of `clean_returns`, so that models, cross-validation and spreads see what
    volatility is fitted to. All bars up to `as_of` decide, also those before the window.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded) and adj_factor; rows in any order. Rows after `as_of` are ignored.
        Changes of units are found as for volatility if the same bars are given.
    as_of
        Last date whose bars may be used.
    window
        Number of bars used, the newest ones.
    horizon
        Number of sessions over which `PricedPanel.last` measures `max_range`.
    max_age_days
        Maximum age of a ticker's last bar on `as_of`, in days.
    min_bars
        Minimum number of bars of a ticker.

    Notes
    -----
    Reasons of exclusion: no_prices, duplicate_dates, bad_price (missing, not finite or not positive), stale,
    too_few_bars, constant, out_of_range (the index is zero or infinite on some bar).
    """
    known = (
        prices.select("ticker", "date", pl.col("close", "adj_factor").cast(pl.Float64))
        .filter(pl.col("date") <= as_of)
        .sort("ticker", "date")
        .with_columns(price=adjusted_close())
    )
    recent = known.group_by("ticker", maintain_order=True).tail(window)
    good = pl.col("price").is_finite() & (pl.col("price") > 0) & (pl.col("close") > 0)
    index = pl.col("price") / pl.col("price").first() * INDEX_BASE
    facts = recent.group_by("ticker", maintain_order=True).agg(
        bars=pl.len(),
        last_date=pl.col("date").last(),
        repeated=pl.col("date").filter(pl.col("date").is_duplicated()).first(),
        bad=(~good.fill_null(value=False)).sum(),
        first_bad=pl.col("date").filter(~good.fill_null(value=False)).first(),
        levels=pl.col("price").n_unique(),
        low=pl.col("price").min(),
        high=pl.col("price").max(),
        indexed=(index.is_finite() & (index > 0)).all(),
    )
    refused = {
        str(ticker): Exclusion(Reason.NO_PRICES, f"no bar up to {as_of}") for ticker in prices["ticker"].unique()
    }
    for row in facts.iter_rows(named=True):
        exclusion = _exclusion(row, as_of=as_of, max_age_days=max_age_days, min_bars=min_bars)
        del refused[row["ticker"]]
        if exclusion is not None:
            refused[row["ticker"]] = exclusion
    bars = (
        recent.filter(~pl.col("ticker").is_in(list(refused)))
        .with_columns(bar=pl.int_range(pl.len()).over("ticker"))
        .with_columns(log_price=index.over("ticker").log())
    )
    quoted = _quoted(known, bars, good)
    bars = bars.with_columns(log_price=_cleaned(bars, quoted))
    high = pl.col("log_price").rolling_max(horizon + 1, min_samples=1)
    low = pl.col("log_price").rolling_min(horizon + 1, min_samples=1)
    last = bars.group_by("ticker", maintain_order=True).agg(
        origin_date=pl.col("date").last(),
        origin_close=pl.col("close").last(),
        log_price=pl.col("log_price").last(),
        max_range=(high - low).max(),
        tick=unit_expression(pl.col("close").tail(_TICK_BARS)),
    )
    return PricedPanel(Panel(bars.select("ticker", "date", "bar", "log_price")), last, refused, quoted)


def _quoted(known: pl.DataFrame, bars: pl.DataFrame, good: pl.Expr) -> pl.DataFrame:
    """Return `PricedPanel.quoted`: the known bars of the panel's tickers that no price that is not good follows.

    Parameters
    ----------
    known
        All bars up to the day: columns ticker, date, close, price; by ticker and date.
    bars
        Bars of the panel.
    good
        Whether a price can be used. It is true for the bars of the panel.
    """
    usable = good.fill_null(value=False)
    return (
        known.filter(pl.col("ticker").is_in(bars["ticker"].unique().to_list()))
        .filter(usable.reverse().cum_min().reverse().over("ticker"))
        .select("ticker", "date", log_price=pl.col("price").log())
    )


def _cleaned(bars: pl.DataFrame, quoted: pl.DataFrame) -> pl.Series:
    """Return the log prices of all bars without changes of units, in the order of the bars."""
    judged = quoted.partition_by("ticker", as_dict=True, maintain_order=True)
    values = []
    for key, own in bars.partition_by("ticker", as_dict=True, maintain_order=True).items():
        log_prices = own["log_price"].to_numpy()
        clean = clean_returns(np.diff(judged[key]["log_price"].to_numpy()))
        first = len(clean.returns) - len(log_prices) + 1
        if clean.changes[first:].any():
            log_prices = log_prices[0] + np.concatenate([[0.0], np.cumsum(clean.returns[first:])])
        values.append(log_prices)
    return pl.Series("log_price", np.concatenate(values) if values else [], dtype=pl.Float64)


def _exclusion(facts: Mapping[str, Any], *, as_of: date, max_age_days: int, min_bars: int) -> Exclusion | None:
    """Return the first reason to exclude a ticker, or None if its prices can be used."""
    last_date, bars, bad, repeated = facts["last_date"], facts["bars"], facts["bad"], facts["repeated"]
    age = (as_of - last_date).days
    checks = (
        (repeated is not None, Reason.DUPLICATE_DATES, f"{repeated} occurs more than once"),
        (
            bad,
            Reason.BAD_PRICE,
            f"{bad} of {bars} prices are not positive numbers, first on {facts['first_bad']}",
        ),
        (
            age > max_age_days,
            Reason.STALE,
            f"last bar {last_date} is {age} days old on {as_of}, at most {max_age_days} allowed",
        ),
        (bars < min_bars, Reason.TOO_FEW_BARS, f"needs {min_bars} bars, has {bars}"),
        (facts["levels"] == 1, Reason.CONSTANT, f"all {bars} prices are equal"),
        (
            not facts["indexed"],
            Reason.OUT_OF_RANGE,
            f"prices range from {facts['low']} to {facts['high']}; their ratio cannot be computed",
        ),
    )
    return next((Exclusion(reason, detail) for failed, reason, detail in checks if failed), None)
