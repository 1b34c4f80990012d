"""Stage `universe`: change the watch list."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_now
from pm.errors import InputError, UnknownTickerError, did_you_mean
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import TICKERS_OF_BARS
from pm.pipeline.writes import Append, Delete, Merge, Result
from pm.plural import plural
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.names import SAMPLE
from pm.sources.symbols import known_spelling
from pm.tables.quality import BARS
from pm.tables.sources import FOLDERS, RAW_BATCHES, UNIVERSE, UNIVERSE_CHANGES
from pm.tables.vocabulary import TickerStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pm.sources.listings import Listing

__all__ = ["adding", "moving", "removing", "unwatching", "watching"]

_WRITES = (UNIVERSE, UNIVERSE_CHANGES)


def adding(listings: Sequence[Listing]) -> Stage:
    """Return the stage that adds tickers to the watch list, or changes what it says of them."""
    compute = partial(_add, listings=tuple(listings))
    return Stage("universe", compute, reads=(BARS, RAW_BATCHES), writes=_WRITES, depends=lambda _: None)


def removing(tickers: Sequence[str]) -> Stage:
    """Return the stage that removes tickers from the watch list; their bars stay in the lake."""
    return Stage("universe", partial(_remove, tickers=tuple(tickers)), writes=_WRITES, depends=lambda _: None)


def moving(tickers: Sequence[str], source: str) -> Stage:
    """Return the stage that makes a source that of tickers: all their bars come from it once it has sent some.

    If it is a vendor that they come from already, it is asked again for their whole history.
    """
    compute = partial(_move, tickers=tuple(tickers), source=source)
    return Stage("universe", compute, writes=(UNIVERSE,), depends=lambda _: None)


def watching(folder: Path) -> Stage:
    """Return the stage that makes a folder one whose new and changed files a refresh lands."""
    return Stage("universe", partial(_watch, folder=folder), writes=(FOLDERS,), depends=lambda _: None)


def unwatching(folder: Path) -> Stage:
    """Return the stage that ends that; what has landed stays."""
    return Stage("universe", partial(_unwatch, folder=folder), writes=(FOLDERS,), depends=lambda _: None)


def _watch(context: Context, *, folder: Path) -> Result:
    if str(folder) in context.read(FOLDERS)["path"]:
        return Result([], "the folder is watched already")
    row = {"path": str(folder), "state": None, "added_at": utc_now(), "run_id": context.run_id, "problem": None}
    return Result([Merge(FOLDERS, pl.DataFrame([row], schema=FOLDERS.polars_schema))], "1 folder added")


def _unwatch(context: Context, *, folder: Path) -> Result:
    watched = context.read(FOLDERS)["path"].to_list()
    if str(folder) not in watched:
        raise InputError(
            f"The folder is not watched.{did_you_mean(str(folder), watched)}",
            where=str(folder),
            hint=f"these are: {', '.join(watched)}" if watched else "no folder is",
        )
    return Result([Delete(FOLDERS, "path = ?", [str(folder)])], "1 folder removed")


def _add(context: Context, *, listings: Sequence[Listing]) -> Result:
    for source in {listing.source for listing in listings}:
        _require_source(source)
    listed = {row["ticker"]: row for row in context.read(UNIVERSE).iter_rows(named=True)}
    of_bars = {row["ticker"]: row["source"] for row in context.rows(TICKERS_OF_BARS)}
    first_vendor = context.settings.refresh.vendors[0]
    rows: dict[str, dict[str, Any]] = {}
    for listing in listings:
        known = known_spelling(listing.ticker, {*rows, *listed})
        ticker = known if known in {*rows, *listed} else known_spelling(listing.ticker, of_bars)
        if ticker != listing.ticker:
            context.notify(f"{listing.ticker} is another spelling of {ticker}, which is kept.")
        before = rows.get(ticker, listed.get(ticker, {}))
        of_lake = of_bars.get(ticker)
        source = listing.source or before.get("source") or (of_lake if of_lake != SAMPLE else None)
        if source is None:
            has = "no bars yet" if of_lake is None else "only bars of the embedded sample"
            guess = did_you_mean(ticker, [*listed, *of_bars]) if of_lake is None else ""
            context.notify(f"{ticker} has {has}: the next refresh asks {first_vendor!r} for them.{guess}")
        changed = _row(context, before, listing, ticker, source or first_vendor)
        if changed != before:
            rows[ticker] = changed
    if not rows:
        return Result([], "already on the watch list")
    frame = pl.DataFrame(list(rows.values()), schema=UNIVERSE.polars_schema)
    added = sorted(rows.keys() - listed.keys())
    new = len(added)
    parts = [f"{plural(new, 'ticker')} added"] if new or not listed else []
    parts += [f"{plural(len(rows) - new, 'ticker')} changed"] if len(rows) > new else []
    changes = [Append(UNIVERSE_CHANGES, _changes(context, added, watched=True))] if added else []
    return Result([Merge(UNIVERSE, frame), *changes], ", ".join(parts))


def _changes(context: Context, tickers: Sequence[str], *, watched: bool) -> pl.DataFrame:
    told = {"watched": watched, "recorded_at": utc_now(), "run_id": context.run_id}
    rows = [{"ticker": ticker, **told} for ticker in tickers]
    return pl.DataFrame(rows, schema=UNIVERSE_CHANGES.polars_schema)


def _row(context: Context, before: Mapping[str, Any], listing: Listing, ticker: str, source: str) -> dict[str, Any]:
    """Return the row of a ticker; its time is a new one only if its source or the symbol there is."""
    symbols_before: dict[str, str] = json.loads(before.get("symbols") or "{}")
    symbols = {**symbols_before, **listing.symbols}
    moved = before.get("source") != source or symbols.get(source) != symbols_before.get(source)
    told = {"name": listing.name, "exchange": listing.exchange, "currency": listing.currency}
    return {
        "ticker": ticker,
        "source": source,
        "added_at": utc_now() if moved else before["added_at"],
        "run_id": context.run_id if moved else before["run_id"],
        **{name: value or before.get(name) for name, value in told.items()},
        "symbols": json.dumps(symbols, sort_keys=True) if symbols else None,
        "status": TickerStatus.ACTIVE.value if moved else before["status"],
    }


def _remove(context: Context, *, tickers: Sequence[str]) -> Result:
    names = _listed(context, tickers)
    return Result(
        [
            Delete(UNIVERSE, "list_contains(?, ticker)", [names]),
            Append(UNIVERSE_CHANGES, _changes(context, names, watched=False)),
        ],
        f"{plural(len(names), 'ticker')} removed",
    )


def _move(context: Context, *, tickers: Sequence[str], source: str) -> Result:
    _require_source(source)
    names = _listed(context, tickers)
    listed = context.read(UNIVERSE, among={"ticker": names})
    if source not in VENDOR_NAMES:
        listed = listed.filter(pl.col("source") != source)
    if listed.is_empty():
        return Result([], f"already from {source!r}")
    moved = listed.with_columns(
        source=pl.lit(source),
        added_at=pl.lit(utc_now(), UNIVERSE.polars_schema["added_at"]),
        run_id=pl.lit(context.run_id),
        currency=pl.lit(None, pl.String),
        status=pl.lit(TickerStatus.ACTIVE.value),
    )
    return Result([Merge(UNIVERSE, moved)], f"{plural(moved.height, 'ticker')} moved to {source!r}")


def _listed(context: Context, tickers: Sequence[str]) -> list[str]:
    """Return tickers of the watch list as it spells them.

    Raises
    ------
    UnknownTickerError
        One is not on it.
    """
    watched = [row["ticker"] for row in context.rows("SELECT ticker FROM universe")]
    names = sorted({known_spelling(ticker, watched) for ticker in tickers})
    missing = set(names) - set(watched)
    if missing:
        hint = (
            None if watched else "the watch list is empty, so that there is nothing to remove; see `pm universe list`"
        )
        raise UnknownTickerError.from_missing(missing, watched, where="the watch list", hint=hint)
    return names


def _require_source(source: str | None) -> None:
    """Refuse an unknown source."""
    from pm.sources import require_source
    from pm.sources.names import FILES

    if source not in {None, FILES}:
        require_source(str(source))
