"""Flag bars that are kept without their range, and bars on days without a session of the ticker's exchange."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.sessions import sessions_between
from pm.tables.quality import BAR_FLAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["flag_odd_bars"]

_FLAGS = BAR_FLAGS.unstamped_schema
_CLOSURE = timedelta(days=30)
"""Time longer than an exchange is closed: a session before the first bar shows that its calendar covers the bar."""
_COLUMN = 5
"""Smallest number of bars without a price from which the delivery has no column of it."""


def flag_odd_bars(bars: pl.DataFrame, *, unusable: pl.DataFrame, exchanges: Mapping[str, str]) -> pl.DataFrame:
    """Return flags of bars, one a row: ticker, date, rule, value, detail.

    - `range_dropped`: the high and the low contradict the open or the close, or one of open, high and low is missing or
      zero, so that the bar is used without them. Where one of them is missing from five bars of a delivery or more, and
      from all, it has no such column, and there is no flag. The value is the distance of the close from the nearer of
      high and low, as a fraction of the close; 0 for a close between them.
    - `no_session`: the exchange has no session on the day. It has no value. Only tickers whose exchange is known have
      this flag, on days that its calendar covers.

    Parameters
    ----------
    bars
        All bars of each ticker, with the columns of bars.
    unusable
        Rows as they landed whose open, high and low cannot be used: ticker, batch_id, row, open, high, low, close.
    exchanges
        Ticker, to the code of its exchange; tickers without a known exchange are absent.
    """
    found = pl.concat(
        [
            frame.select(pl.col(name).cast(dtype) for name, dtype in _FLAGS.items())
            for frame in (_without_range(bars, unusable), *_closed_days(bars, exchanges))
        ]
    )
    return found.sort("ticker", "date", "rule")


def _without_range(bars: pl.DataFrame, unusable: pl.DataFrame) -> pl.DataFrame:
    landed = unusable.select("ticker", "batch_id", "row", sent_open="open", sent_high="high", sent_low="low")
    sent = [pl.col(name) for name in ("sent_open", "sent_high", "sent_low")]
    above, below = ((pl.when(pl.col(name) != 0).then(pl.col(name))) for name in ("sent_high", "sent_low"))
    outside = pl.max_horizontal(pl.col("close") - above, below - pl.col("close"), pl.lit(0.0))
    lacking = pl.any_horizontal(price.is_null() | (price == 0) for price in sent)
    found = bars.filter(pl.col("open").is_null()).join(landed, on=["ticker", "batch_id", "row"])
    whole = found.join(bars.group_by("batch_id").len("bars"), on="batch_id")
    is_column_absent = (pl.col("bars") >= _COLUMN) & pl.any_horizontal(
        price.null_count().over("batch_id") == pl.col("bars") for price in sent
    )
    return whole.filter(~is_column_absent).select(
        "ticker",
        "date",
        rule=pl.lit("range_dropped"),
        value=outside / pl.col("close"),
        detail=pl.when(lacking)
        .then(
            pl.format(
                "Open {}, high {} and low {} lack a price: only the close {} is used.",
                *(price.cast(pl.String).fill_null("none") for price in sent),
                "close",
            )
        )
        .otherwise(
            pl.format(
                "High {} and low {} contradict open {} and close {}: only the close is used.",
                *("sent_high", "sent_low", "sent_open", "close"),
            )
        ),
    )


def _closed_days(bars: pl.DataFrame, exchanges: Mapping[str, str]) -> list[pl.DataFrame]:
    found = []
    for exchange in sorted(set(exchanges.values())):
        own = [ticker for ticker, code in exchanges.items() if code == exchange]
        rows = bars.filter(pl.col("ticker").is_in(own)).select("ticker", "date")
        if rows.is_empty():
            continue
        dates = rows["date"].to_list()
        sessions = sessions_between(exchange, min(dates) - _CLOSURE, max(dates) + _CLOSURE)
        if not sessions:
            continue
        known = rows.filter(pl.col("date").is_between(sessions[0], sessions[-1]))
        closed = known.filter(~pl.col("date").is_in(sessions))
        found.append(
            closed.with_columns(
                rule=pl.lit("no_session"),
                value=pl.lit(None, pl.Float64),
                detail=pl.format(
                    "{} has no session on {}, a {}.", pl.lit(exchange), "date", pl.col("date").dt.strftime("%A")
                ),
            )
        )
    return found
