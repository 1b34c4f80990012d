"""Markets learnt from bars: which tickers trade on the same days, and on which days they will trade next.

Nothing here knows an exchange. A market is a set of tickers with one suffix that trade on the same days. Its sessions
are the days on which at least half of its tickers had a bar; its next ones follow from its weekdays and from the
holidays that it has kept so far.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pm.typing import BoolArray, IntArray

__all__ = ["YEARS", "Market", "learn_markets"]

YEARS = 10
"""Number of years of bars from which a market is learnt."""

_FOREIGN = 0.005
"""Largest share of a ticker's bars on days that are no sessions of the market that it is put into."""
_RECENT = 56
"""Number of days, eight weeks, from which the weekdays of a market are read."""
_BRIEF = 14
"""Number of days of history below which a weekday without a bar is not known to be none of the market's."""
_LONGEST_CLOSURE = 15
"""Number of days without a session from which a closure is a suspension or a hole in the data, not a holiday."""
_VOTES = 2
"""Number of latest years in which a market must have been closed on a holiday for it to be closed again."""
_OBSERVED = 0.6
"""Smallest share of past holidays on a weekend for which another day was free, if the next one is to be."""
_MOST_HOLIDAYS = 0.12
"""Largest share of days without a session in a year: with more, bars are missing, and nothing is learnt from it."""
_DAYS_OF_A_YEAR = tuple((day.month, day.day) for day in (date(2024, 1, 1) + n * timedelta(1) for n in range(366)))
"""Months and days of a leap year."""
_WORKDAYS = frozenset(range(5))
_EPOCH = 3
"""Weekday of 1970-01-01, a Thursday."""
_DAY = timedelta(days=1)
_EASTER_OFFSETS = range(-48, 61)
"""Days from Easter on which feasts that move with it fall: from Rose Monday to Corpus Christi."""


@dataclass(frozen=True)
class Market:
    """The sessions that a market had, and by which its next ones are found.

    Attributes
    ----------
    sessions
        Days on which it traded, ascending, at least one.
    """

    sessions: tuple[date, ...]

    def sessions_after(self, day: date, count: int) -> list[date]:
        """Return the first `count` sessions after a day: those that the market had, and then those to be expected.

        Expected is every day of the market's weekdays that is no holiday. A holiday is a day of the year, a weekday of
        a month (the third Monday, the last one), or a day counted from Easter in the western or the eastern church, on
        which the market was closed the last two times that it fell on one of the market's weekdays. If the market used
        to close on the Friday before or the Monday after a holiday on a weekend, it is expected to do so again. Feasts
        that follow the moon, and closures of one time, are not foreseen.
        """
        start = bisect_right(self.sessions, day)
        found = list(self.sessions[start : start + count])
        previous = ahead = max(day, self.sessions[-1])
        while len(found) < count:
            ahead += _DAY
            too_long = (ahead - previous).days > _LONGEST_CLOSURE
            if ahead.weekday() in self.weekdays and (too_long or not self._is_holiday(ahead)):
                previous = ahead
                found.append(ahead)
        return found

    @cached_property
    def weekdays(self) -> frozenset[int]:
        """Weekdays, Monday 0, on which the market traded in at least half of its last eight weeks.

        In a history shorter than two weeks, those seen and Monday to Friday.
        """
        recent = self.sessions[bisect_left(self.sessions, self.sessions[-1] - _RECENT * _DAY) :]
        return _weekdays(np.array([self.sessions[0], *recent], dtype="datetime64[D]").astype(np.int64))

    def _is_holiday(self, day: date) -> bool:
        return self._is_regular and (
            self._is_fixed_or_observed(day) or self._moves_with_easter(day) or self._is_nth_weekday(day)
        )

    @cached_property
    def _is_regular(self) -> bool:
        """Whether so few days without a session are left in the last year that they can be holidays."""
        last = self.sessions[-1]
        year = [day for n in range(min(365, (last - self.sessions[0]).days)) if (day := last - n * _DAY)]
        possible = [self._was_closed(day) for day in year]
        return sum(vote is True for vote in possible) <= _MOST_HOLIDAYS * len(possible)

    # What past days tell ------------------------------------------------------------------------------------------

    def _was_closed(self, day: date) -> bool | None:
        """Return whether the market was closed on a day on which it might have traded; None if nothing is known."""
        if day.weekday() not in self.weekdays or not self.sessions[0] <= day <= self.sessions[-1]:
            return None
        place = bisect_left(self.sessions, day)
        if self.sessions[place] == day:
            return False
        return True if (self.sessions[place] - self.sessions[place - 1]).days <= _LONGEST_CLOSURE else None

    def _is_kept(self, occurrences: Iterable[date], *, times: int = _VOTES) -> bool:
        """Return whether the market was closed on the last `times` of some days, given from the newest to the oldest.

        Two are enough where no more are known.
        """
        votes = (vote for vote in map(self._was_closed, occurrences) if vote is not None)
        latest = list(islice(votes, times))
        return len(latest) >= _VOTES and all(latest)

    @property
    def _years(self) -> range:
        """The years that the history covers, from the newest to the oldest."""
        return range(self.sessions[-1].year, self.sessions[0].year - 1, -1)

    # Days of the year ---------------------------------------------------------------------------------------------

    @cached_property
    def _lasting(self) -> frozenset[tuple[int, int]]:
        """Days of the year on which the market was closed the last three times."""
        return frozenset(key for key in _DAYS_OF_A_YEAR if self._is_kept(self._on(*key), times=_VOTES + 1))

    @cached_property
    def _fixed(self) -> frozenset[tuple[int, int]]:
        """Days of the year on which it was closed the last two times, and not in the place of another."""
        others = (key for key in _DAYS_OF_A_YEAR if key not in self._lasting)
        return self._lasting.union(
            key for key in others if self._is_kept(day for day in self._on(*key) if not self._is_observed(day))
        )

    def _on(self, month: int, day: int) -> Iterator[date]:
        for year in self._years:
            if (month, day) != (2, 29) or isleap(year):
                yield date(year, month, day)

    @cached_property
    def _observed(self) -> frozenset[tuple[int, int]]:
        """Weekdays of holidays, with +1 or −1 if the next or the last day of the market's weekdays is free instead."""
        votes: dict[tuple[int, int], list[bool]] = {}
        for month, day in self._lasting:
            for feast in self._on(month, day):
                for direction in (1, -1) if feast.weekday() not in self.weekdays else ():
                    vote = self._was_closed(self._neighbour(feast, direction))
                    if vote is not None:
                        votes.setdefault((feast.weekday(), direction), []).append(vote)
        return frozenset(key for key, own in votes.items() if len(own) >= _VOTES and np.mean(own) >= _OBSERVED)

    def _neighbour(self, feast: date, direction: int) -> date:
        """Return the nearest day of the market's weekdays before or after a feast that is not itself one."""
        day = feast + direction * _DAY
        while self._is_free(day):
            day += direction * _DAY
        return day

    def _is_free(self, day: date) -> bool:
        return day.weekday() not in self.weekdays or (day.month, day.day) in self._lasting

    def _is_observed(self, day: date) -> bool:
        """Return whether a day is free in the place of a holiday on a weekend."""
        for direction in (1, -1):
            feast = day - direction * _DAY
            while self._is_free(feast):
                if (feast.month, feast.day) in self._lasting and (feast.weekday(), direction) in self._observed:
                    return True
                feast -= direction * _DAY
        return False

    def _is_fixed_or_observed(self, day: date) -> bool:
        return (day.month, day.day) in self._fixed or self._is_observed(day)

    # Days that move -----------------------------------------------------------------------------------------------

    @cached_property
    def _easter(self) -> frozenset[tuple[int, int]]:
        """Churches, by dateutil's number, and days from their Easter on which the market is closed."""
        return frozenset(
            (church, offset)
            for church in (_WESTERN, _EASTERN)
            for offset in _EASTER_OFFSETS
            if self._is_kept(
                day
                for year in self._years
                if not self._is_fixed_or_observed(day := _easter(year, church) + offset * _DAY)
            )
        )

    def _moves_with_easter(self, day: date) -> bool:
        return any((day - _easter(day.year, church)).days == offset for church, offset in self._easter)

    @cached_property
    def _nth_weekdays(self) -> frozenset[tuple[int, int, int]]:
        """Months, weekdays, and which one of the month is free: 0 for the first, −1 for the last."""
        return frozenset(
            (month, weekday, which)
            for month in range(1, 13)
            for weekday in self.weekdays
            for which in (0, 1, 2, 3, -1)
            if self._is_kept(
                day
                for year in self._years
                if not self._is_fixed_or_observed(day := _weekday_of_month(year, month, weekday, which))
                and not self._moves_with_easter(day)
            )
        )

    def _is_nth_weekday(self, day: date) -> bool:
        last = (day + 7 * _DAY).month != day.month
        places = {(day.day - 1) // 7, -1} if last else {(day.day - 1) // 7}
        return any((day.month, day.weekday(), which) in self._nth_weekdays for which in places)


_WESTERN, _EASTERN = 3, 2
"""Churches by the numbers that dateutil has for their Easter."""


@cache
def _easter(year: int, church: int) -> date:
    from dateutil.easter import easter

    return date.fromordinal(easter(year, church).toordinal())


def _weekdays(days: IntArray) -> frozenset[int]:
    """Return the weekdays, Monday 0, of at least half of the last eight weeks; see `Market.weekdays`.

    Parameters
    ----------
    days
        Days since 1970, ascending: all of a history, or its first and those of the last eight weeks.
    """
    length = min(_RECENT, int(days[-1] - days[0]) + 1)
    traded = np.bincount((days[days > days[-1] - length] + _EPOCH) % 7, minlength=7)
    if length < _BRIEF:
        return _WORKDAYS.union(np.flatnonzero(traded).tolist())
    possible = np.bincount((days[-1] - np.arange(length) + _EPOCH) % 7, minlength=7)
    return frozenset(np.flatnonzero(2 * traded >= possible).tolist()) or _WORKDAYS


def _weekday_of_month(year: int, month: int, weekday: int, which: int) -> date:
    if which < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - _DAY
        return last - (last.weekday() - weekday) % 7 * _DAY
    first = date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * which) * _DAY


# Which tickers are of one market -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """Tickers found to trade on the same days: their names, and the days and weekdays of the one with the most bars."""

    names: list[str]
    pattern: BoolArray
    weekdays: frozenset[int]


def learn_markets(bars: pl.DataFrame) -> dict[str, Market]:
    """Return the market of each ticker.

    Tickers of one suffix (the part from the last `.`, `=` or `-` of the ticker) are of one market if their bars are on
    the same days: at most one bar in 200 of the ticker with fewer bars is on a day that is no session of the other, and
    both trade on the same weekdays. Of several markets that a ticker fits, it is of the one of whose sessions it lacks
    the fewest; so a new ticker, or one that seldom trades, has the sessions of the others of its suffix.

    Parameters
    ----------
    bars
        Columns ticker, date. Only the bars that a run may know; those older than ten years before the newest are not
        used.
    """
    if bars.is_empty():
        return {}
    days = bars.select("ticker", day=pl.col("date").cast(pl.Int32).cast(pl.Int64)).sort("ticker", "day")
    values = days["day"].to_numpy()
    start = values.max() - YEARS * 366
    by_suffix: dict[str, dict[str, IntArray]] = {}
    end = 0
    for length, ticker in days["ticker"].rle().struct.unnest().iter_rows():
        own, end = values[end : end + length], end + length
        recent = own[np.searchsorted(own, start) :]
        by_suffix.setdefault(_suffix(ticker), {})[ticker] = recent if len(recent) else own
    return {ticker: market for members in by_suffix.values() for ticker, market in _of_one_suffix(members).items()}


def _suffix(ticker: str) -> str:
    place = max(ticker.rfind(mark) for mark in ".=-")
    return ticker[place:] if place > 0 else ""


def _of_one_suffix(tickers: dict[str, IntArray]) -> dict[str, Market]:
    first = min(int(days[0]) for days in tickers.values())
    last = max(int(days[-1]) for days in tickers.values())
    groups: list[_Group] = []
    for ticker in sorted(tickers, key=lambda name: (-len(tickers[name]), name)):
        days, weekdays = tickers[ticker] - first, _weekdays(tickers[ticker])
        lacking = {place: _lacking(days, weekdays, group) for place, group in enumerate(groups)}
        fitting = {place: count for place, count in lacking.items() if count is not None}
        if fitting:
            groups[min(fitting, key=fitting.__getitem__)].names.append(ticker)
        else:
            pattern = np.zeros(last - first + 1, dtype=bool)
            pattern[days] = True
            groups.append(_Group([ticker], pattern, weekdays))
    found: dict[str, Market] = {}
    for group in groups:
        found |= dict.fromkeys(group.names, _common([tickers[name] - first for name in group.names], first))
    return found


def _lacking(days: IntArray, weekdays: frozenset[int], group: _Group) -> int | None:
    """Return how many sessions of a group a ticker lacks while both live; None if it is not of its market."""
    living = np.flatnonzero(group.pattern)
    both = days[(days >= living[0]) & (days <= living[-1])]
    if not len(both) or np.count_nonzero(~group.pattern[both]) > _FOREIGN * len(both):
        return None
    if days[-1] - days[0] >= _BRIEF and weekdays != group.weekdays:
        return None
    return int(np.count_nonzero(group.pattern[both[0] : both[-1] + 1])) - len(both)


def _common(members: Sequence[IntArray], first: int) -> Market:
    """Return the market whose sessions are the days on which at least half of the living members had a bar.

    A member lives from its first bar to its last.
    """
    length = max(int(days[-1]) for days in members) + 1
    traded, changes = np.zeros(length, dtype=np.int64), np.zeros(length + 1, dtype=np.int64)
    for days in members:
        traded[days] += 1
        changes[days[0]] += 1
        changes[days[-1] + 1] -= 1
    living = np.cumsum(changes)[:-1]
    return Market(_dates(np.flatnonzero((traded > 0) & (2 * traded >= living)) + first))


def _dates(days: IntArray) -> tuple[date, ...]:
    return tuple(days.astype("datetime64[D]").tolist())
