"""Choose the past dates on which a backtest decides, and read the bars that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.pipeline.known_then import watched_then
from pm.pipeline.origin_dates import MIN_BARS, ChosenDates, common_sessions, origin_dates
from pm.pipeline.watch_list import watch_list
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from pm.pipeline.stage import Context
    from pm.pipeline.watch_list import WatchList

__all__ = ["Past", "past_of"]


@dataclass(frozen=True)
class Past:
    """The bars of a backtest, and the dates on which it decides.

    Attributes
    ----------
    watched
        The tickers.
    bars
        Bars up to the last session: ticker, date, open, close, adj_factor, volume, by ticker and date.
    sessions
        Dates on which at least half of the tickers trade, oldest first.
    decisions
        Dates of the decisions, each with a session after it.
    members
        Tickers that were on the watch list on the date of each decision.
    known_from
        First day from which on the lake has recorded the watch list; None for none. Before it, all are members.
    """

    watched: WatchList
    bars: pl.DataFrame
    sessions: list[date]
    decisions: list[date]
    members: dict[date, frozenset[str]]
    known_from: date | None

    @property
    def has_changes(self) -> bool:
        """Whether the tickers that decisions are about are not always the same."""
        return any(len(own) < len(self.watched.tickers) for own in self.members.values())


def past_of(context: Context, first: date | None, step: int) -> Past:
    """Return the bars of a backtest up to the day of the run, and the dates on which it decides.

    Parameters
    ----------
    first
        First date of a decision; None for the first one with a year of sessions up to it.
    step
        Number of sessions from one decision to the next.

    Raises
    ------
    InputError
        The history is too short for one decision, or there is none from `first` on.
    """
    watched = watch_list(context)
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": watched.tickers},
        columns=("ticker", "date", "open", "high", "low", "close", "adj_factor", "volume"),
    )
    sessions = common_sessions(bars)
    if len(sessions) <= MIN_BARS:
        raise InputError(
            f"A backtest needs {MIN_BARS + 1} sessions; up to {watched.as_of} the bars have {len(sessions)}.",
            where="table bars",
            hint="import a longer history, choose a later --to, or name tickers with more bars: --tickers",
        )
    # Dates are counted from the first, so that later bars only add some.
    start = first or sessions[MIN_BARS - 1]
    decisions = origin_dates(bars, watched.as_of, 1, ChosenDates(every=step, first=start))
    then = watched_then(context)
    members = {day: then.of(day, watched.tickers) for day in decisions}
    return Past(watched, bars, sessions, decisions, members, then.since)
