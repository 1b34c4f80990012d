"""Decide which source the bars of each ticker come from, and which rows of other sources continue them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.settings.refresh import VENDOR_NAMES
from pm.tables.quality import TICKER_SOURCES
from pm.tables.sources import SPLICES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.stage import Context

__all__ = ["Origins"]

_SENT = """
SELECT r.ticker, b.origin, count(r.adj_close) > 0 AS has_adjusted
FROM raw.bars AS r JOIN raw.batches AS b USING (batch_id)
WHERE r.ticker IS NOT NULL AND r.batch_id BETWEEN ? AND ? AND r.batch_id IN (SELECT unnest(?::VARCHAR[]))
GROUP BY ALL
"""

_COMPLETE = """
SELECT DISTINCT f.ticker, f.vendor AS origin
FROM fetches AS f JOIN universe AS u ON u.ticker = f.ticker AND u.source = f.vendor
WHERE f.asked_from IS NULL AND f.bars > 0 AND f.fetched_at >= u.added_at
    AND u.ticker IN (SELECT unnest(?::VARCHAR[]))
"""
"""Query for the watched tickers whose vendor has sent the whole history since they were added or moved."""

_COLUMNS = TICKER_SOURCES.unstamped_schema


class Origins:
    """The sources of tickers, as they were and as new rows change them.

    Parameters
    ----------
    context
        Context of the stage.
    batches
        Names of the batches that are new.
    afresh
        Whether everything derived before is to be derived anew.

    Attributes
    ----------
    before
        Sources as the last check left them, with the columns of ticker_sources except its stamp.
    batch_origins
        Each batch and its source: batch_id, origin.
    ended
        Tickers whose own source has sent, in the new batches, the days on which another one had continued them.
    """

    def __init__(self, context: Context, batches: Sequence[str], *, afresh: bool) -> None:
        self._priority = context.settings.sources.priority
        self.before = context.read(TICKER_SOURCES, "NOT ?", [afresh]).select(_COLUMNS.names())
        self.batch_origins = context.query("SELECT batch_id, origin FROM raw.batches")
        chosen_before = (
            context.read(TICKER_SOURCES, "is_chosen", columns=("ticker", "origin"))
            if afresh
            else (self.before.filter("is_chosen").select("ticker", "origin"))
        )
        self._standing = chosen_before.with_columns(stands=pl.lit(value=True))
        self._watched = self._ready(context).with_columns(watched=pl.lit(value=True))
        splices = context.read(
            SPLICES, columns=("ticker", "vendor AS origin", 'date AS "until"', "continued", "ended_by")
        )
        self._splices = splices.filter(pl.col("ended_by").is_null()).drop("ended_by")
        self.ended = splices.filter(pl.col("ended_by").is_in(list(batches)))["ticker"].unique().to_list()
        bounds = [min(batches, default=""), max(batches, default="")]
        sent = context.query(_SENT, [*bounds, list(batches)])
        self._known = (
            pl.concat(
                [
                    self.before,
                    sent.select("ticker", "origin", pl.lit(value=False).alias("has_good"), "has_adjusted").with_columns(
                        is_chosen=pl.lit(value=False)
                    ),
                ]
            )
            .group_by("ticker", "origin", maintain_order=True)
            .agg(pl.col("has_good", "has_adjusted", "is_chosen").any())
        )
        self.chosen = self._choice()
        """The source of each ticker: ticker, origin."""

    def moved(self) -> pl.DataFrame:
        """Return the tickers whose bars come from another source than they did: ticker, origin."""
        was = self.before.filter("is_chosen").select("ticker", was="origin")
        return self.chosen.join(was, on="ticker").filter(pl.col("origin") != pl.col("was")).select("ticker", "origin")

    def learn(self, good: pl.DataFrame) -> None:
        """Take into account which sources' rows pass the rules: columns ticker and batch_id of such rows."""
        passing = (
            good.select("ticker", "batch_id")
            .unique()
            .join(self.batch_origins, on="batch_id")
            .select("ticker", "origin", passes=pl.lit(value=True))
            .unique()
        )
        self._known = (
            self._known.join(passing, on=["ticker", "origin"], how="left", maintain_order="left")
            .with_columns(has_good=pl.col("has_good") | pl.col("passes").fill_null(value=False))
            .drop("passes")
        )
        self.chosen = self._choice()

    def changed(self) -> pl.DataFrame:
        """Return the rows of ticker_sources that are new or have changed, without its stamp."""
        marked = self._known.join(
            self.chosen.with_columns(now=pl.lit(value=True)), on=["ticker", "origin"], how="left"
        ).with_columns(is_chosen=pl.col("now").fill_null(value=False))
        now = marked.select(pl.col(name).cast(dtype) for name, dtype in _COLUMNS.items())
        return now.join(self.before, on=now.columns, how="anti")

    def adjusted(self) -> pl.Series:
        """Return the tickers of which a source has sent adjusted closes."""
        return self._known.filter("has_adjusted")["ticker"].unique()

    def accepted(self, rows: pl.DataFrame, chosen: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the rows that come from their ticker's source, or from one that continues it after their splice.

        Parameters
        ----------
        rows
            Columns ticker, date and batch_id, and others.
        chosen
            The source of each ticker; the one that is chosen now by default.
        """
        of_source = (self.chosen if chosen is None else chosen).rename({"origin": "chosen"})
        of_rows = rows.join(self.batch_origins, on="batch_id", how="left", maintain_order="left").join(
            of_source, on="ticker", how="left", maintain_order="left"
        )
        is_own = (pl.col("origin") == pl.col("chosen")) | pl.col("chosen").is_null() | pl.col("origin").is_null()
        if self._splices.is_empty():
            return of_rows.filter(is_own).select(rows.columns)
        first = self._splices.group_by("ticker", "origin", chosen="continued").agg(pl.col("until").min())
        return (
            of_rows.join(first, on=["ticker", "origin", "chosen"], how="left", maintain_order="left")
            .filter(is_own | (pl.col("date") > pl.col("until")).fill_null(value=False))
            .select(rows.columns)
        )

    def effective(self, actions: pl.DataFrame) -> pl.DataFrame:
        """Return actions without those of vendors that do not give the ticker's bars."""
        of_vendors = self.batch_origins.filter(pl.col("origin").is_in(VENDOR_NAMES))["batch_id"].implode()
        from_vendors = actions.filter(pl.col("batch_id").is_in(of_vendors))
        if from_vendors.is_empty():
            return actions
        return pl.concat([actions.filter(~pl.col("batch_id").is_in(of_vendors)), self.accepted(from_vendors)])

    def certain(self, actions: pl.DataFrame) -> list[str]:
        """Return the batches of vendors among those of actions: they count whether or not the closes show them."""
        found = self.batch_origins.filter(pl.col("origin").is_in(VENDOR_NAMES))
        return found.join(actions.select("batch_id").unique(), on="batch_id", how="semi")["batch_id"].to_list()

    def _ready(self, context: Context) -> pl.DataFrame:
        """Return the watched tickers whose source can be what their bars come from: ticker, origin.

        A vendor can if they come from it already, or if it has sent the whole history since it was put on the watch
        list; what it sent in the place of another before is a part of it only.
        """
        watched = context.read(UNIVERSE, columns=("ticker", "source AS origin"))
        changes = watched.filter(pl.col("origin").is_in(VENDOR_NAMES)).join(
            self._standing, on=["ticker", "origin"], how="anti"
        )
        complete = context.query(_COMPLETE, [changes["ticker"].to_list()]) if changes.height else changes
        waiting = changes.join(complete, on=["ticker", "origin"], how="anti")
        self._waiting = waiting.select("ticker", waits=pl.lit(value=True))
        return watched.join(waiting, on="ticker", how="anti")

    def _choice(self) -> pl.DataFrame:
        """Return the source that each ticker's bars are to come from: ticker, origin.

        It is the one of the watch list, if it has sent bars of the ticker, and a vendor its whole history since it was
        put there; else, of the sources some of whose rows of the ticker pass the rules (or of all, where none does),
        the one that they came from before, as long as the vendor of the watch list has not; else the first in
        `sources.priority`, and of vendors the one that they came from before.
        """
        rank = pl.col("origin").replace_strict(
            {name: place for place, name in enumerate(self._priority)},
            default=len(self._priority),
            return_dtype=pl.Int64,
        )
        several = pl.len().over("ticker") > 1
        usable = self._known.filter(~several | pl.col("has_good") | ~pl.col("has_good").any().over("ticker"))
        by_choice = (
            usable.join(self._watched, on=["ticker", "origin"], how="left")
            .join(self._standing, on=["ticker", "origin"], how="left")
            .join(self._waiting, on="ticker", how="left")
            .sort(
                pl.col("watched").is_null(),
                ~(pl.col("stands") & pl.col("waits")).fill_null(value=False),
                rank,
                pl.col("stands").is_null(),
                "origin",
            )
        )
        return by_choice.unique("ticker", keep="first", maintain_order=True).select("ticker", "origin").sort("ticker")
