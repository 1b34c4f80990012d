"""Compare the dates and closes of the files of an import: find bars that are not daily, and files that contradict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.quality.spacing import contradictions, days_of, not_daily, partly_not_daily, whole_days
from pm.sources import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.sources import FilePlan

__all__ = ["DeliveredDays", "NotDailyError"]

_NAMED = 5
"""Maximum number of tickers that a message names."""


class NotDailyError(InputError):
    """The bars of some tickers of a file are not daily.

    Attributes
    ----------
    found
        What the bars of these tickers are, in a few words.
    has_others
        Whether the file has other tickers.
    """

    def __init__(self, found: dict[str, str], where: str, *, has_others: bool) -> None:
        super().__init__(f"The bars are not daily. {_listed(found)}.", where=where, hint="export daily bars, one a day")
        self.found = found
        self.has_others = has_others

    def left_out(self) -> str:
        """Return a line that says which tickers are left out where the others land."""
        return f"{self.where}: the bars of these tickers are not daily, and are left out: {_listed(self.found)}"


@dataclass
class DeliveredDays:
    """The tickers, dates and closes of the files of an import."""

    _files: list[tuple[str, FilePlan, pl.DataFrame]] = field(default_factory=list)
    _last: pl.DataFrame = field(default_factory=pl.DataFrame)

    def watched(self, plan: FilePlan) -> Iterator[pl.DataFrame]:
        """Yield the bars of a file.

        Raises
        ------
        NotDailyError
            At the end of the bars: those of a ticker are not daily.
        """
        days = []
        for piece in read_file(plan):
            days.append(days_of(piece))
            yield piece
        self._last = whole_days(days) if days else pl.DataFrame()
        found = not_daily(self._last) if days else {}
        if not found:
            return
        has_others = self._last["ticker"].drop_nulls().n_unique() > len(found)
        raise NotDailyError(found, str(plan.content), has_others=has_others)

    def doubts(self, plan: FilePlan) -> str | None:
        """Return a line about the tickers of the file read last whose bars are not daily in part; None without any."""
        found = partly_not_daily(self._last) if self._last.height else {}
        if not found:
            return None
        what = "part of these bars is not daily, and a forecast takes each for a session"
        return f"{plan.content}: {what}: {_listed(found)}"

    def landed(self, batch_id: str, plan: FilePlan) -> None:
        """Keep the days of the file read last, under the name of its batch."""
        self._files.append((batch_id, plan, self._last))

    def contradicting(self) -> dict[str, InputError]:
        """Return an error for each batch whose file contradicts another one about a ticker."""
        frames = [
            days.select(file=pl.lit(place, pl.Int64), ticker="ticker", date="date", close="close")
            for place, (_, _, days) in enumerate(self._files)
            if days.height
        ]
        if len(frames) < 2:
            return {}
        tickers = pl.concat([frame.select("file", "ticker").unique() for frame in frames])
        shared = tickers.filter(pl.len().over("ticker") > 1)["ticker"].unique()
        if shared.is_empty():
            return {}
        days = pl.concat([frame.filter(pl.col("ticker").is_in(shared.implode())) for frame in frames])
        errors: dict[str, InputError] = {}
        found = contradictions(days.unique(["file", "ticker", "date"], keep="last", maintain_order=True))
        for row in found.iter_rows(named=True):
            (batch_id, plan, _), (other_id, other, _) = self._files[row["file"]], self._files[row["other"]]
            errors.setdefault(batch_id, _contradiction(plan, other, row))
            swapped = row | {"close": row["other_close"], "other_close": row["close"]}
            errors.setdefault(other_id, _contradiction(other, plan, swapped))
        return errors


def _listed(found: dict[str, str]) -> str:
    named = "; ".join(f"{ticker}: {what}" for ticker, what in list(found.items())[:_NAMED])
    return named + (f"; and {len(found) - _NAMED:,} more tickers" if len(found) > _NAMED else "")


def _contradiction(plan: FilePlan, other: FilePlan, row: dict[str, object]) -> InputError:
    return InputError(
        f"The file contradicts {other.content} about {row['ticker']}: on {row['date']} its close is "
        f"{row['close']:.10g}, there {row['other_close']:.10g}; {row['different']:,} of {row['dates']:,} common dates "
        "differ.",
        where=str(plan.content),
        hint="import the right one, or, if they are of two tickers, name that of each with --ticker",
    )
