"""Flag bars that are kept but look unusual: jumps, unchanged closes, gaps, breaks between deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.prices import adjusted_close, log_return
from pm.quality.rebasing import ADJUSTED
from pm.quality.rules import EARLIER_VOLUME, PRICES
from pm.quality.splits import SMALLEST, likely_splits
from pm.sessions import sessions_between
from pm.sources.names import USER
from pm.statistics.robust import MAD_TO_SIGMA
from pm.tables.quality import BAR_FLAGS
from pm.tables.vocabulary import Basis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.settings import QualitySettings

__all__ = ["flag_bars", "told_deviation"]

_FLAGS = BAR_FLAGS.unstamped_schema


def flag_bars(
    bars: pl.DataFrame,
    *,
    actions: pl.DataFrame,
    rebasings: pl.DataFrame,
    refused: pl.DataFrame,
    exchanges: Mapping[str, str],
    settings: QualitySettings,
) -> pl.DataFrame:
    """Return the flags of bars, one a row: ticker, date, rule, value, detail.

    - `jump`: the simple return of the adjusted close is larger than `jump_return`, up or down, and its log return
      larger than `jump_sigmas` robust standard deviations of the ticker's log returns (1.4826 × their median absolute
      deviation). The value is the simple return.
    - `split`: the adjusted close moved by more than `split_sigmas` robust standard deviations, near the ratio of a
      split, on a day with ordinary trading; see `likely_splits`. The value is the ratio.
    - `stale`: at least `stale_sessions` consecutive bars have the close of the bar before. The date is that of the
      first of them, the value their number.
    - `gap`: at least `gap_sessions` sessions of the exchange between two bars have no bar, or there are days between
      them all rows of which were refused. The date is that of the bar after them, the value the number of sessions or,
      where the exchange is unknown or the sessions are fewer than `gap_sessions`, of such days.
    - `break`: the bars before come from another delivery, and nothing shows whether a dividend or a split fell between
      the two. Of deliveries with adjusted closes, the last break of a ticker has this flag; of all, each whose log
      return is larger than `break_sigmas` robust standard deviations. The value is the simple return.
    - `dividends_left_out`: the closes do not show that they fall by the dividends of a file, so that these do not
      count. The date is the newest ex-date of the ticker, the value the number of such dividends.
    - `repeated`: the delivery had the day again with equal prices and another volume, and the later row was kept. The
      value is the volume.

    Parameters
    ----------
    bars
        All bars of each ticker, with the columns of bars, in any order.
    actions
        Dividends and splits, with the columns of raw.actions.
    rebasings
        Breaks between deliveries, with the columns of rebasings.
    refused
        Rows of these tickers that were refused by a rule: ticker, date, batch_id, rule.
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
    moves = _moves(closes)
    gaps = _gaps(closes, exchanges, settings)
    found = [
        _jumps(moves, settings),
        _splits(bars, moves, settings),
        _stale(closes, settings),
        gaps,
        _refused_days(closes, refused).join(gaps, on=["ticker", "date"], how="anti"),
        _breaks(moves, rebasings, settings),
        _dividends_left_out(bars, actions),
        _repeated(bars, refused.filter(rule=EARLIER_VOLUME)),
    ]
    return pl.concat(
        [frame.select(pl.col(name).cast(dtype) for name, dtype in _FLAGS.items()) for frame in found]
    ).sort("ticker", "date", "rule")


def _before(name: str) -> pl.Expr:
    """Return the value of the ticker's previous bar; null for its first bar."""
    return pl.when(pl.col("ticker") == pl.col("ticker").shift(1)).then(pl.col(name).shift(1))


def _moves(closes: pl.DataFrame) -> pl.DataFrame:
    """Add each bar's log return (move), its simple return (value), and the robust deviation of the ticker's (sigma)."""
    moves = closes.with_columns(move=log_return(pl.col("adjusted")))
    deviation = (pl.col("move") - pl.col("move").median().over("ticker")).abs()
    sigma = MAD_TO_SIGMA * deviation.median().over("ticker")
    return moves.with_columns(sigma=sigma, value=pl.col("move").exp() - 1)


def _jumps(moves: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    return moves.filter(
        pl.col("value").abs() > settings.jump_return,
        pl.col("move").abs() > settings.jump_sigmas * pl.col("sigma"),
    ).with_columns(
        rule=pl.lit("jump"),
        detail=pl.format(
            "The adjusted close moved by {}%; a robust standard deviation of the ticker's returns is {}%.",
            (pl.col("value") * 100).round(1),
            told_deviation("sigma"),
        ),
    )


def told_deviation(name: str) -> pl.Expr:
    """Return a standard deviation as the sentence of a jump's flag has it: in percent, with one decimal."""
    return (pl.col(name) * 100).round(1)


def _splits(bars: pl.DataFrame, moves: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    size = pl.col("move").abs()
    large = moves.filter(size > SMALLEST, size > settings.split_sigmas * pl.col("sigma"))["ticker"].unique()
    suspects = (
        bars.filter(pl.col("ticker").is_in(large.implode()))
        .select("ticker", "date", pl.col(*PRICES) * pl.col("adj_factor"), "volume")
        .sort("ticker", "date")
    )
    found = []
    start = 0
    for ticker, count in suspects.group_by("ticker", maintain_order=True).len().iter_rows():
        own = suspects.slice(start, count)
        start += count
        found += [
            (ticker, own["date"][place], ratio) for place, ratio in likely_splits(own, sigmas=settings.split_sigmas)
        ]
    schema = {name: _FLAGS[name] for name in ("ticker", "date", "value")}
    return (
        pl.DataFrame(found, schema=schema, orient="row")
        .join(moves.select("ticker", "date", move=pl.col("move").exp() - 1), on=["ticker", "date"])
        .with_columns(
            rule=pl.lit("split"),
            detail=pl.format(
                "The adjusted close moved by {}%, near a ratio of {}, and trading took no notice; is a split not "
                "adjusted for?",
                (pl.col("move") * 100).round(1),
                pl.col("value").round(4),
            ),
        )
    )


def _breaks(moves: pl.DataFrame, rebasings: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    unknown = rebasings.filter(pl.col("evidence").is_in([Basis.NONE.value, Basis.UNCLEAR.value]))
    last = unknown.filter(field=ADJUSTED).group_by("ticker").agg(pl.col("date").max(), is_last=pl.lit(value=True))
    return (
        moves.join(unknown.select("ticker", "date").unique(), on=["ticker", "date"])
        .join(last, on=["ticker", "date"], how="left")
        .filter(pl.col("is_last") | (pl.col("move").abs() > settings.break_sigmas * pl.col("sigma")))
        .with_columns(
            rule=pl.lit("break"),
            detail=pl.format(
                "The bars before were delivered apart, and no common date shows whether a dividend or a split fell "
                "between; the adjusted close moved by {}%. Import a file that reaches back over this date.",
                (pl.col("value") * 100).round(1),
            ),
        )
    )


def _dividends_left_out(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    dividends = actions.filter(pl.col("kind") == "dividend", pl.col("source") != USER).sort("date")
    bars = bars.filter(pl.col("ticker").is_in(dividends["ticker"].unique().implode())).sort("date")
    step = pl.col("adj_factor") / pl.col("next_factor")
    expected = 1 - pl.col("value") / pl.col("close")
    return (
        dividends.join_asof(
            bars.select("ticker", "date", "close", "adj_factor"),
            on="date",
            by="ticker",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .join_asof(
            bars.select("ticker", "date", bar="date", next_factor="adj_factor"),
            on="date",
            by="ticker",
            strategy="forward",
            check_sortedness=False,
        )
        .filter(expected > 0, step > expected.sqrt())
        .group_by("ticker")
        .agg(pl.col("bar").max().alias("date"), pl.len().alias("value"))
        .with_columns(
            rule=pl.lit("dividends_left_out"),
            detail=pl.format(
                "The closes do not show that they fall by the dividends of the file, {} up to this day, and are used "
                "as they are. If they are not adjusted for dividends, tell these: pm actions import.",
                "value",
            ),
        )
    )


def _repeated(bars: pl.DataFrame, repeated: pl.DataFrame) -> pl.DataFrame:
    return bars.join(repeated.select("ticker", "date", "batch_id").unique(), on=["ticker", "date", "batch_id"]).select(
        "ticker",
        "date",
        rule=pl.lit("repeated"),
        value="volume",
        detail=pl.lit("The file has the day twice, with equal prices and another volume; the later row was kept."),
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


def _refused_days(closes: pl.DataFrame, refused: pl.DataFrame) -> pl.DataFrame:
    """Flag the bars after days that have no bar because their rows were refused."""
    days = refused.select("ticker", "date").drop_nulls().unique()
    closes = closes.filter(pl.col("ticker").is_in(days["ticker"].unique().implode()))
    there = closes.join(days, on=["ticker", "date"], how="semi")
    return (
        days.join(there, on=["ticker", "date"], how="anti")
        .join(closes.group_by("ticker").agg(first=pl.col("date").min()), on="ticker")
        .filter(pl.col("date") > pl.col("first"))
        .sort("date")
        .join_asof(
            closes.select("ticker", next="date"),
            left_on="date",
            right_on="next",
            by="ticker",
            strategy="forward",
            check_sortedness=False,
        )
        .drop_nulls("next")
        .group_by("ticker", "next")
        .agg(value=pl.len(), day=pl.col("date").min())
        .select(
            "ticker",
            pl.col("next").alias("date"),
            "value",
            rule=pl.lit("gap"),
            detail=pl.format(
                "Days without a bar because their rows were refused: {}; the first is {}.", "value", "day"
            ),
        )
    )
