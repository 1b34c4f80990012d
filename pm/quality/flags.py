"""Flag bars that are kept but look unusual: jumps, unchanged closes, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.prices import adjusted_close, log_return
from pm.sessions import sessions_between
from pm.statistics.robust import MAD_TO_SIGMA
from pm.tables.quality import BAR_FLAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.settings import QualitySettings

__all__ = ["flag_bars"]

_FLAGS = BAR_FLAGS.unstamped_schema


def flag_bars(
    bars: pl.DataFrame, *, actions: pl.DataFrame, exchanges: Mapping[str, str], settings: QualitySettings
) -> pl.DataFrame:
    """Return the flags of bars, one a row: ticker, date, rule, value, detail.

    - `jump`: the simple return of the adjusted close is larger than `jump_return`, up or down, and its log return
      larger than `jump_sigmas` robust standard deviations of the ticker's log returns (1.4826 × their median absolute
      deviation), on a day without a dividend or a split. The value is the simple return.
    - `stale`: at least `stale_sessions` consecutive bars have the close of the bar before. The date is that of the
      first of them, the value their number.
    - `gap`: at least `gap_sessions` sessions of the exchange between two bars have no bar. The date is that of the bar
      after them, the value their number. Only tickers whose exchange is known have this flag.

    Parameters
    ----------
    bars
        All bars of each ticker, with the columns of bars, in any order.
    actions
        Dividends and splits, with the columns of raw.actions.
    exchanges
        Ticker, to the code of its exchange; tickers without a known exchange are absent.
    settings
        The thresholds.

    Raises
    ------
    SettingsError
        The code of an exchange is unknown.
    """
    closes = bars.select("ticker", "date", "close", adjusted=adjusted_close()).sort("ticker", "date")
    found = [_jumps(closes, actions, settings), _stale(closes, settings), _gaps(closes, exchanges, settings)]
    return pl.concat(
        [frame.select(pl.col(name).cast(dtype) for name, dtype in _FLAGS.items()) for frame in found]
    ).sort("ticker", "date", "rule")


def _before(name: str) -> pl.Expr:
    """Return the value of the ticker's previous bar; null for its first bar."""
    return pl.when(pl.col("ticker") == pl.col("ticker").shift(1)).then(pl.col(name).shift(1))


def _jumps(closes: pl.DataFrame, actions: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    moves = closes.with_columns(move=log_return(pl.col("adjusted")))
    deviation = (pl.col("move") - pl.col("move").median().over("ticker")).abs()
    sigma = MAD_TO_SIGMA * deviation.median().over("ticker")
    simple = pl.col("move").exp() - 1
    return (
        moves.with_columns(sigma=sigma, value=simple)
        .filter(
            pl.col("value").abs() > settings.jump_return,
            pl.col("move").abs() > settings.jump_sigmas * pl.col("sigma"),
        )
        .join(actions.select("ticker", "date"), on=["ticker", "date"], how="anti")
        .with_columns(
            rule=pl.lit("jump"),
            detail=pl.format(
                "The adjusted close moved by {}%; a robust standard deviation of the ticker's returns is {}%.",
                (pl.col("value") * 100).round(1),
                (pl.col("sigma") * 100).round(1),
            ),
        )
    )


def _stale(closes: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    still = pl.col("close") == _before("close")
    return (
        closes.with_columns(still=still.fill_null(value=False))
        .with_columns(run=pl.col("still").rle_id())
        .filter("still")
        .group_by("run")
        .agg(pl.col("ticker", "date", "close").first(), value=pl.len(), last=pl.col("date").last())
        .filter(pl.col("value") >= settings.stale_sessions)
        .with_columns(
            rule=pl.lit("stale"),
            detail=pl.format("The close stays at {} for {} more bars, until {}.", "close", "value", "last"),
        )
    )


def _gaps(closes: pl.DataFrame, exchanges: Mapping[str, str], settings: QualitySettings) -> pl.DataFrame:
    found = []
    pairs = closes.select("ticker", "date", previous=_before("date")).drop_nulls("previous")
    by_exchange = pairs.with_columns(
        exchange=pl.col("ticker").replace_strict(dict(exchanges), default=None, return_dtype=pl.String)
    ).drop_nulls("exchange")
    for (exchange,), rows in by_exchange.group_by("exchange"):
        first, last = rows["previous"].min(), rows["date"].max()
        sessions = pl.Series(sessions_between(str(exchange), first, last), dtype=pl.Date)  # type: ignore[arg-type]
        missing = sessions.search_sorted(rows["date"], side="left").cast(pl.Int64) - sessions.search_sorted(
            rows["previous"], side="right"
        ).cast(pl.Int64)
        found.append(
            rows.with_columns(value=missing)
            .filter(pl.col("value") >= settings.gap_sessions)
            .with_columns(
                rule=pl.lit("gap"),
                detail=pl.format("Sessions of {} without a bar after {}: {}.", "exchange", "previous", "value"),
            )
        )
    return pl.concat(found) if found else _FLAGS.to_frame()
