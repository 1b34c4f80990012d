"""Check rows that follow a ticker's bars without reading its history, where that comes to the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.pipeline.checking.history import (
    BARS_READ,
    OTHER_SOURCE,
    classified_rows,
    exchanges_of,
    find_new_rebasings,
    unusable_ranges,
)
from pm.prices import adjusted_close
from pm.tables.quality import BAR_FLAGS, BARS, FLAG_BOUNDS, QUARANTINE, REBASINGS, RESTATEMENTS
from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.checking.changes import Changes
    from pm.pipeline.checking.history import Rows
    from pm.pipeline.checking.origins import Origins
    from pm.pipeline.stage import Context
    from pm.quality import Classified

__all__ = ["Window", "check_window", "look"]

_BACK = timedelta(days=75)
"""Time before a ticker's last bar from which bars are read: more than those of `MOST_AHEAD` sessions, and those that a
run of unchanged closes or a likely split is judged by."""
_OVERLAP = timedelta(days=30)
"""Longest time by which rows reach back before the last bar for which the bars are known to be enough."""
_TICKERS_AT_A_TIME = 100
"""Number of tickers whose histories are read together to renew their bounds."""

_ACTING = """
SELECT DISTINCT ticker FROM raw.actions WHERE batch_id >= ? AND batch_id IN (SELECT unnest(?::VARCHAR[]))
"""
"""Query for the tickers with dividends and splits in some batches."""


@dataclass(frozen=True)
class Window:
    """New rows of tickers whose history need not be read, and what they change.

    Attributes
    ----------
    tickers
        The tickers.
    rows
        Their rows that landed.
    classified
        What the good ones change.
    bars
        The bars from some time before the new ones on, these included, with the columns of bars except its stamp.
    changed
        First date of each ticker whose bar is new or changed: ticker, first.
    renewed
        Bounds of the tickers whose bounds had run out, with the columns of flag_bounds except its stamp.
    run_out
        These tickers.
    """

    tickers: list[str]
    rows: Rows
    classified: Classified
    bars: pl.DataFrame
    changed: pl.DataFrame
    renewed: pl.DataFrame
    run_out: list[str]


def look(
    context: Context, origins: Origins, tickers: Sequence[str], rows: Rows, batches: Sequence[str]
) -> Window | None:
    """Return the tickers whose new rows can be checked without their history; None if there are none.

    A ticker can if its rows only continue its bars: with the same prices where they overlap, without adjusted closes,
    without new dividends and splits or a break between deliveries, and as long as bounds of the deviation of its
    returns tell that no flag of a past bar changes; see `pm.quality.bounds`. Where bounds have run out, the deviation
    itself is computed from all returns, and new bounds with it.

    Parameters
    ----------
    tickers, rows
        Tickers, and their rows that landed.
    batches
        Batches that are new.
    """
    able = _able(context, origins, tickers, rows, batches)
    if able.is_empty():
        return None
    since = able.select(pl.min_horizontal("first", "last_date").min()).item() - _BACK
    names = able["ticker"].to_list()
    current = context.read(BARS, "date >= ?", [since], among={"ticker": names}, columns=BARS_READ)
    actions = origins.effective(context.read(RAW_ACTIONS, "date >= ?", [since], among={"ticker": names}))
    able = _that_follow(able, current, actions, rows)
    names = _names(able)
    own, current = rows.of(names), current.filter(_of(names))
    breaks = find_new_rebasings(context, origins, own.good, current, _NO_REBASINGS)["ticker"]
    good = _with_factors(own.good, current, actions, origins.certain(actions))
    classified = classified_rows(context, good, current, _NO_REBASINGS)
    bars = _bars(current, classified)
    judged = _judged(bars, able, classified, context)
    doubtful = {*breaks, *_restated(classified, able), *judged.filter("is_doubtful")["ticker"]}
    run_out = [ticker for ticker in judged.filter("is_run_out")["ticker"] if ticker not in doubtful]
    renewed = _renewed(context, able.filter(_of(run_out)), classified)
    doubtful |= set(run_out) - set(renewed["ticker"])
    names = [name for name in names if name not in doubtful]
    if not names:
        return None
    current = current.filter(_of(names))
    classified = classified_rows(context, good.filter(_of(names)), current, _NO_REBASINGS)
    return Window(
        names,
        rows.of(names),
        classified,
        bars=_bars(current, classified),
        changed=_first_changed(classified),
        renewed=renewed.drop_nulls("sigma_low"),
        run_out=_names(renewed),
    )


def check_window(context: Context, origins: Origins, window: Window, changes: Changes) -> pl.DataFrame:
    """Note what the rows of a window change, and return their counts by batch."""
    today, rows, classified = utc_today(), window.rows, window.classified
    changes.add(BARS, context.stamp(classified.inserted, cutoff=today))
    changes.merge(BARS, context.stamp(classified.updated, cutoff=today))
    changes.add(RESTATEMENTS, context.stamp(classified.restatements, cutoff=today))
    changes.add(QUARANTINE, context.stamp(rows.refused, cutoff=today))
    changes.forget(FLAG_BOUNDS, window.run_out)
    changes.merge(FLAG_BOUNDS, context.stamp(window.renewed, cutoff=today))
    if not window.changed.is_empty():
        flags, replaced = _flags(context, origins, window)
        changes.forget_flags(replaced)
        changes.add(BAR_FLAGS, context.stamp(flags, cutoff=today))
        changes.tally.flagged += flags.height
    return changes.count(classified.counts, rows.refused)


def _able(
    context: Context, origins: Origins, tickers: Sequence[str], rows: Rows, batches: Sequence[str]
) -> pl.DataFrame:
    """Return the tickers with bounds whose rows begin near their last bars: columns of flag_bounds, and first."""
    first = rows.good.group_by("ticker").agg(first=pl.col("date").min(), sent=pl.col("adj_close").count())
    bounds = context.read(FLAG_BOUNDS, among={"ticker": list(tickers)})
    acting = context.query(_ACTING, [min(batches, default=""), list(batches)])["ticker"]
    return bounds.join(first, on="ticker").filter(
        pl.col("sent") == 0,
        pl.col("first") >= pl.col("last_date") - _OVERLAP,
        pl.col("last_date") >= pl.col("last_date").max() - _BACK,
        ~pl.col("ticker").is_in(pl.concat([origins.adjusted(), acting]).implode()),
    )


def _that_follow(able: pl.DataFrame, current: pl.DataFrame, actions: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Return the tickers without actions after their last bar, or refused rows before it; with last and begins."""
    last = current.group_by("ticker").agg(last=pl.col("date").max(), begins=pl.col("date").min())
    able = able.join(last, on="ticker")
    pending = actions.join(able, on="ticker").filter(pl.col("date") > pl.col("last"))["ticker"]
    refused = rows.broken.join(able, on="ticker").filter(pl.col("date") <= pl.col("last"))["ticker"]
    return able.filter(
        pl.col("begins") <= pl.col("last_date"),
        ~pl.col("ticker").is_in(pl.concat([pending, refused]).unique().implode()),
    )


def _restated(classified: Classified, able: pl.DataFrame) -> pl.Series:
    """Return the tickers with a price that is restated, or with a bar before their last one that is new."""
    prices = classified.restatements.filter(pl.col("field") != "volume")["ticker"]
    known = classified.updated.select("ticker", "date", pl.col("adj_factor"))
    rewritten = known.join(classified.restatements.select("ticker", "date").unique(), on=["ticker", "date"], how="anti")
    earlier = classified.inserted.join(able.select("ticker", "last"), on="ticker").filter(
        pl.col("date") <= pl.col("last")
    )
    return pl.concat([prices, rewritten["ticker"], earlier["ticker"]]).unique()


def _judged(bars: pl.DataFrame, able: pl.DataFrame, classified: Classified, context: Context) -> pl.DataFrame:
    """Return for each ticker whether its bounds have run out, and whether its history must be read for another reason.

    It must where a new bar could be flagged for a comparison with all returns, or a flag depends on bars before these.
    """
    from pm.quality import could_be_flagged

    same = pl.col("ticker") == pl.col("ticker").shift(1)
    adjusted = adjusted_close()
    moves = bars.with_columns(
        move=pl.when(same).then((adjusted / adjusted.shift(1)).log()),
        moved=pl.when(same).then(pl.col("close") != pl.col("close").shift(1)),
    ).join(able.select("ticker", "last_date", "bars_ahead", "sigma_low"), on="ticker")
    moves = moves.join(_first_changed(classified), on="ticker", how="left")
    is_changed = (pl.col("date") >= pl.col("first")).fill_null(value=False)
    is_after = pl.col("date") > pl.col("last_date")
    large = could_be_flagged(pl.col("move"), pl.col("sigma_low"), context.settings.quality)
    has_moved = (pl.col("moved") & (pl.col("date") < pl.col("first"))).any() | pl.col("first").is_null().all()
    return moves.group_by("ticker").agg(
        is_run_out=is_after.sum() > pl.col("bars_ahead").first(),
        # No flag of the bars before changes within the bounds.
        is_doubtful=(large & (is_changed | is_after)).any()
        | (is_changed & pl.col("open").is_null()).any()
        | ~has_moved,
    )


def _renewed(context: Context, run_out: pl.DataFrame, classified: Classified) -> pl.DataFrame:
    """Return new bounds of the tickers whose deviation is between the old bounds though these have run out.

    The columns are those of flag_bounds except its stamp; of a ticker that has no bounds now, all but the first are
    null.
    """
    from pm.quality import deviations, flag_bounds

    settings = context.settings.quality
    found = [FLAG_BOUNDS.unstamped_schema.to_frame()]
    for some in run_out.sort("ticker").iter_slices(_TICKERS_AT_A_TIME):
        names = _names(some)
        history = _bars(context.read(BARS, among={"ticker": names}, columns=BARS_READ), classified, names)
        within = some.select("ticker", "sigma_low", "sigma_high").join(deviations(history), on="ticker")
        within = within.filter(pl.col("sigma").is_between("sigma_low", "sigma_high"))
        bounds = flag_bounds(history.filter(_of(_names(within))), settings)
        found.append(within.select("ticker").join(bounds, on="ticker", how="left"))
    return pl.concat(found)


def _flags(context: Context, origins: Origins, window: Window) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the flags of bars from the first that has changed on, and those that they replace: ticker, date, rule.

    A run of unchanged closes that goes on is flagged at its first bar, before the first that has changed.
    """
    from pm.quality import flag_bars, flag_odd_bars

    exchanges = exchanges_of(context, origins, window.tickers)
    since = window.bars["date"].min()
    columns = ("ticker", "date", "batch_id", "rule")
    known = context.read(
        QUARANTINE,
        "rule <> ? AND date >= ?",
        [OTHER_SOURCE, since],
        among={"ticker": window.tickers},
        columns=columns,
    )
    settings = context.settings.quality
    found = flag_bars(
        window.bars,
        actions=RAW_ACTIONS.polars_schema.to_frame(),
        rebasings=_NO_REBASINGS,
        refused=pl.concat([known.select(columns), window.rows.broken.select(columns)]),
        exchanges=exchanges,
        settings=settings,
    )
    odd = flag_odd_bars(window.bars, unusable=unusable_ranges(context, []), exchanges=exchanges)
    flags = pl.concat([found.filter(~pl.col("rule").is_in(["jump", "split"])), odd]).join(window.changed, on="ticker")
    new = flags.filter(pl.col("date") >= pl.col("first"))
    before = flags.filter(pl.col("rule") == "stale", pl.col("date") < pl.col("first"))
    counted = before.join(window.bars.select("ticker", bar="date"), on="ticker").filter(
        pl.col("bar") >= pl.col("date"), pl.col("bar") < pl.col("first")
    )
    length = counted.group_by("ticker", "date").agg(bars=pl.len())
    going_on = before.join(length, on=["ticker", "date"]).filter(pl.col("value") > pl.col("bars"))
    replaced = pl.concat(
        [
            window.changed.select("ticker", date="first", rule=pl.lit(None, pl.String)),
            going_on.select("ticker", "date", "rule"),
        ]
    )
    shape = BAR_FLAGS.unstamped_schema.names()
    return pl.concat([new.select(shape), going_on.select(shape)]), replaced


def _with_factors(
    good: pl.DataFrame, current: pl.DataFrame, actions: pl.DataFrame, certain: Sequence[str]
) -> pl.DataFrame:
    """Return good rows with their factors, by the dividends and splits after them."""
    from pm.quality import adjustment_factors

    shape = list(RAW_BARS.polars_schema)
    past = current.join(good, on=["ticker", "date"], how="anti").with_columns(adj_close=pl.lit(None, pl.Float64))
    both = adjustment_factors(pl.concat([good.select(shape), past.select(shape)]), actions, certain=certain)
    return both.join(good.select("batch_id", "row"), on=["batch_id", "row"], how="semi")


def _bars(current: pl.DataFrame, classified: Classified, tickers: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the bars as they will be, by ticker and date; of some tickers, or of all."""
    changed = pl.concat([classified.inserted, classified.updated]).select(BARS_READ)
    changed = changed if tickers is None else changed.filter(_of(tickers))
    return pl.concat([current.join(changed, on=["ticker", "date"], how="anti"), changed]).sort("ticker", "date")


def _first_changed(classified: Classified) -> pl.DataFrame:
    changed = pl.concat([classified.inserted, classified.updated])
    return changed.group_by("ticker").agg(first=pl.col("date").min())


def _of(tickers: Sequence[str]) -> pl.Expr:
    return pl.col("ticker").is_in(list(tickers))


def _names(frame: pl.DataFrame) -> list[str]:
    return frame["ticker"].to_list()


_NO_REBASINGS = REBASINGS.polars_schema.to_frame()
