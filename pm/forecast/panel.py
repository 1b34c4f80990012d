"""Turn prices into the panel that models see, and refuse the tickers that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.exclusions import Exclusion
from pm.forecast.base import Panel
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

__all__ = ["PricedPanel", "build_panel"]

BASE = 100.0
"""Value of the index on a ticker's first bar; any number above 1 would do, for logs must not be zero there: the
ARIMA likelihood counts a first observation of exactly zero as one fewer."""


@dataclass(frozen=True)
class PricedPanel:
    """A panel, what its origins cost, and who was refused.

    Attributes
    ----------
    panel
        Log prices of the tickers that can be forecast.
    last
        One row a ticker: ticker, origin_date, origin_close (as traded), log_price, and reach: the widest range of the
        log price within any horizon of the window.
    refused
        Ticker → why it is not in the panel.
    """

    panel: Panel
    last: pl.DataFrame
    refused: dict[str, Exclusion]


def build_panel(
    prices: pl.DataFrame, *, as_of: date, window: int, horizon: int, max_age_days: int, min_bars: int
) -> PricedPanel:
    """Give the last `window` log prices of each ticker up to `as_of`.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor; rows in any order. Those after `as_of` are not looked at.
    as_of
        The cutoff.
    window
        Bars used, the newest ones.
    horizon
        Sessions over which `reach` is measured.
    max_age_days
        A ticker whose last bar is older than this on `as_of` is refused.
    min_bars
        A ticker with fewer bars is refused.

    Notes
    -----
    Reasons of refusal: duplicate_dates, bad_price (null, not finite or not positive), stale, too_few_bars, constant,
    out_of_range (prices so far apart that the index on one of them is zero or infinite).
    """
    seen = (
        prices.select("ticker", "date", pl.col("close", "adj_factor").cast(pl.Float64))
        .filter(pl.col("date") <= as_of)
        .sort("ticker", "date")
        .with_columns((pl.col("close") * pl.col("adj_factor")).alias("price"))
    )
    recent = seen.group_by("ticker", maintain_order=True).tail(window)
    good = pl.col("price").is_finite() & (pl.col("price") > 0) & (pl.col("close") > 0)
    index = pl.col("price") / pl.col("price").first() * BASE
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
        refusal = _refuse(row, as_of=as_of, max_age_days=max_age_days, min_bars=min_bars)
        del refused[row["ticker"]]
        if refusal is not None:
            refused[row["ticker"]] = refusal
    bars = (
        recent.filter(~pl.col("ticker").is_in(list(refused)))
        .with_columns(bar=pl.int_range(pl.len()).over("ticker"))
        .with_columns(log_price=index.over("ticker").log())
    )
    high = pl.col("log_price").rolling_max(horizon + 1, min_samples=1)
    low = pl.col("log_price").rolling_min(horizon + 1, min_samples=1)
    last = bars.group_by("ticker", maintain_order=True).agg(
        origin_date=pl.col("date").last(),
        origin_close=pl.col("close").last(),
        log_price=pl.col("log_price").last(),
        reach=(high - low).max(),
    )
    return PricedPanel(Panel(bars.select("ticker", "date", "bar", "log_price")), last, refused)


def _refuse(facts: Mapping[str, Any], *, as_of: date, max_age_days: int, min_bars: int) -> Exclusion | None:
    """Judge a ticker by what was counted of it; the first complaint is the one reported."""
    last_date, bars, bad, repeated = facts["last_date"], facts["bars"], facts["bad"], facts["repeated"]
    age = (as_of - last_date).days
    complaints = (
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
            f"from {facts['low']} to {facts['high']}: no number is their ratio",
        ),
    )
    return next((Exclusion(reason, detail) for broken, reason, detail in complaints if broken), None)
