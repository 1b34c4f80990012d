"""Find deliveries whose prices have another basis than those known before, and what joins the two.

A vendor rewrites all adjusted closes with each dividend and split; some rewrite the closes too. A delivery that reaches
back only some weeks therefore has another basis than the earlier bars: put beside each other, they show a return that
never was. Where a delivery has dates in common with the bars known before, the ratio of the adjusted closes on these
dates is the factor that brings the earlier bars to the new basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.prices import adjusted_close
from pm.quality.precision import unit_of
from pm.tables.quality import REBASINGS
from pm.tables.vocabulary import Basis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["ADJUSTED", "BEFORE", "PRICES", "differing", "find_rebasings", "scales"]

ADJUSTED, PRICES = "adj_close", "close"
"""Fields whose ratios are compared: adjusted closes where both sides have them, otherwise closes."""
BEFORE, BATCH = "before", "batch"
"""Bars that a ratio is applied to: those known before the delivery, or those of the delivery."""

_TOLERANCE = 2e-6
"""Relative difference of two prices that is noise, apart from rounding."""
_SHARE = 0.6
"""Share of the common dates that must agree on a ratio."""
_FIRST = 5
"""Number of the first common dates whose median ratio is tried."""
_LARGE = 0.1
"""Log ratio from which a ratio is a split or a change of unit, so that the moves beside it tell which side is right."""
_NOTICED = 0.04
"""Log move of the close from which a seam between deliveries without adjusted closes is recorded."""
_FAR = 10**6
"""Number of days from 1970 that no bar has."""
_ROWS = ("ticker", "date", "open", "high", "low", "close", "adj_close", "fetched_at", "batch_id")
_TOLD = (Basis.OVERLAP.value, Basis.SETTLED.value)
"""Evidence that leaves no doubt about the ratio between two bases."""
_COLUMNS = REBASINGS.unstamped_schema


@dataclass
class _Rebasing:
    """A row of table rebasings; see there."""

    ticker: str
    batch_id: str
    fetched_at: datetime
    date: date
    scope: str
    field: str
    ratio: float
    evidence: str

    @property
    def order(self) -> tuple[datetime, str]:
        """Place of its delivery in the order of deliveries."""
        return self.fetched_at, self.batch_id


def differing(good: pl.DataFrame, current: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    """Return the tickers whose delivered bars may have another basis than the bars of the lake.

    These are the tickers of several deliveries, those with a delivered close or adjusted close that differs from the
    one of the lake, those that have bars in the lake and none on a delivered date, and those with a seam to settle.

    Parameters
    ----------
    good
        Good rows, with the columns of raw.bars.
    current
        Bars of these tickers in the lake, with the columns of bars.
    known
        Rebasings of these tickers in the lake.
    """
    # Of the lake's many bars first the few that are delivered again: a join looks up the rows of its right side.
    again = current.join(good.select("ticker", "date"), on=["ticker", "date"], how="semi")
    old = again.select("ticker", "date", old_close="close", old=adjusted_close())
    pairs = good.select("ticker", "date", "close", "adj_close", "batch_id").join(old, on=["ticker", "date"], how="left")
    far = ((pl.col("close") / pl.col("old_close") - 1).abs() > _TOLERANCE) | (
        (pl.col("adj_close") / pl.col("old") - 1).abs() > _TOLERANCE
    )
    tickers = pairs.group_by("ticker").agg(
        several=pl.col("batch_id").n_unique() > 1, far=far.any(), apart=pl.col("old_close").is_null().all()
    )
    known_before = pl.col("ticker").is_in(current["ticker"].unique().implode())
    open_seam = pl.col("ticker").is_in(known.filter(~pl.col("evidence").is_in(_TOLD))["ticker"].unique().implode())
    return tickers.filter(pl.col("several") | (known_before & (pl.col("far") | pl.col("apart") | open_seam)))[
        "ticker"
    ].sort()


def find_rebasings(good: pl.DataFrame, past: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the rebasings that deliveries bring, and the known ones that they settle.

    Parameters
    ----------
    good
        Good rows of the deliveries, with the columns of raw.bars.
    past
        Bars of these tickers in the lake, with the columns of raw.bars.
    known
        Rebasings of these tickers in the lake, with the columns of rebasings.

    Returns
    -------
    DataFrame
        Columns of rebasings except its stamp.
    """
    rows = pl.concat([past.select(*_ROWS, new=pl.lit(value=False)), good.select(*_ROWS, new=pl.lit(value=True))]).sort(
        "ticker", "date", "fetched_at", "batch_id"
    )
    before = {
        str(ticker): [_Rebasing(**row) for row in part.select(_COLUMNS.names()).iter_rows(named=True)]
        for (ticker,), part in known.group_by("ticker")
    }
    found: list[_Rebasing] = []
    for ticker, part in _by_ticker(rows):
        found += _Ticker(ticker, part, before.get(ticker, [])).changes()
    return pl.DataFrame([vars(each) for each in found], schema=_COLUMNS)


def scales(bars: pl.DataFrame, rebasings: pl.DataFrame) -> pl.DataFrame:
    """Return the factors by which rebasings multiply each bar's adjusted close and close: adj_scale, close_scale.

    Parameters
    ----------
    bars
        Columns ticker, date, fetched_at, batch_id; in order of ticker.
    rebasings
        Rows of rebasings of all deliveries of these tickers.
    """
    result = {field: np.ones(bars.height) for field in (ADJUSTED, PRICES)}
    moving = rebasings.filter(pl.col("ratio") != 1.0)
    if not moving.is_empty():
        names = moving["ticker"].unique()
        rows = bars.select("ticker", "date", "fetched_at", "batch_id").with_row_index("place")
        by_ticker = {
            str(ticker): [_Rebasing(**row) for row in part.select(_COLUMNS.names()).iter_rows(named=True)]
            for (ticker,), part in moving.group_by("ticker")
        }
        for ticker, part in _by_ticker(rows.filter(pl.col("ticker").is_in(names.implode()))):
            for field, values in result.items():
                values[part["place"].to_numpy()] = _scale(_Order(part), by_ticker[ticker], field)
    return pl.DataFrame({"adj_scale": result[ADJUSTED], "close_scale": result[PRICES]})


def _by_ticker(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for (ticker,), part in rows.group_by("ticker", maintain_order=True):
        yield str(ticker), part


class _Order:
    """Dates and deliveries of a ticker's rows, as numbers that compare fast."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.days = rows["date"].to_physical().to_numpy()
        self.times = rows["fetched_at"].to_physical().to_numpy()
        self.batches = rows["batch_id"].to_numpy()

    def of(self, batch_id: str) -> np.ndarray:
        """Return whether each row is of a delivery."""
        return np.asarray(self.batches == batch_id, dtype=bool)

    def before(self, order: tuple[datetime, str]) -> np.ndarray:
        """Return whether each row is of an earlier delivery."""
        time = _microseconds(order[0])
        same = self.times == time
        earlier = self.times < time
        return earlier | (same & (self.batches < order[1])) if same.any() else earlier


def _scale(rows: _Order, rebasings: Iterable[_Rebasing], field: str) -> np.ndarray:
    """Return the product of the ratios of a field that apply to each row."""
    scale = np.ones(len(rows.days))
    for each in rebasings:
        if each.field != field or each.ratio == 1.0:
            continue
        applies = (
            rows.of(each.batch_id) if each.scope == BATCH else (rows.days < _day(each.date)) & rows.before(each.order)
        )
        scale[applies] *= each.ratio
    return scale


class _Ticker:
    """Deliveries of one ticker, compared one after another with what is known before each.

    Parameters
    ----------
    name
        The ticker.
    rows
        Its rows, by date and then by delivery; so the row before one of the same date is the value known before.
    known
        Its rebasings in the lake.
    """

    def __init__(self, name: str, rows: pl.DataFrame, known: Sequence[_Rebasing]) -> None:
        self.name = name
        self.order = _Order(rows)
        self.values = {field: rows[field].to_numpy() for field in ("open", "high", "low", "close", "adj_close")}
        deliveries = rows.filter("new").select("fetched_at", "batch_id").unique().sort("fetched_at", "batch_id")
        self.deliveries: list[tuple[datetime, str]] = deliveries.rows()
        self.rebasings = list(known)
        self.has_known = np.zeros(rows.height, dtype=bool)
        self.has_known[1:] = self.order.days[1:] == self.order.days[:-1]

    def changes(self) -> list[_Rebasing]:
        """Return the new rebasings, and the known ones that are settled now."""
        changed: dict[str, _Rebasing] = {}
        for delivery in self.deliveries:
            own = np.flatnonzero(self.order.of(delivery[1]))
            common = own[self.has_known[own]]
            found: _Rebasing | None = None
            if common.size:
                settled = self._settled(own)
                for each in settled:
                    each.evidence = Basis.SETTLED.value
                    changed[each.batch_id] = each
                if self._differs(common):
                    found = self._over(delivery, own, common, [_day(each.date) for each in settled])
            else:
                found = self._beside(delivery, own)
            if found is not None:
                self.rebasings.append(found)
                changed[found.batch_id] = found
        return list(changed.values())

    def _settled(self, own: np.ndarray) -> list[_Rebasing]:
        """Return the breaks that nothing told about, and over which a delivery reaches."""
        first, last = self.order.days[own[0]], self.order.days[own[-1]]
        return [each for each in self.rebasings if each.evidence not in _TOLD and first < _day(each.date) <= last]

    def _differs(self, common: np.ndarray) -> bool:
        """Return whether a close or an adjusted close differs from the one known before, or may be on another scale."""
        if any(each.ratio != 1.0 for each in self.rebasings):
            return True
        for field in (ADJUSTED, PRICES):
            values = self.values[field]
            with np.errstate(invalid="ignore"):
                if (np.abs(values[common] / values[common - 1] - 1) > _TOLERANCE).any():
                    return True
        return False

    def _scaled(self, field: str, delivery: tuple[datetime, str]) -> np.ndarray:
        """Return closes or adjusted closes on the basis known before a delivery."""
        earlier = [each for each in self.rebasings if each.order < delivery]
        return np.asarray(self.values[field] * _scale(self.order, earlier, field))

    def _over(
        self, delivery: tuple[datetime, str], own: np.ndarray, common: np.ndarray, seams: Sequence[int]
    ) -> _Rebasing | None:
        """Return the rebasing of a delivery that has dates in common with the bars known before.

        Parameters
        ----------
        delivery
            Time and name of the delivery.
        own, common
            Its rows, and those that have a row of the same date before them.
        seams
            Days on which the bars known before change their basis.
        """
        before = np.flatnonzero(self.order.before(delivery))
        sent = self.values[ADJUSTED]
        both = common[np.isfinite(sent[common]) & np.isfinite(sent[common - 1])]
        field, rows = (ADJUSTED, both) if both.size else (PRICES, common)
        last_known = self.order.days[before].max()
        is_newest = self.order.days[own[-1]] >= last_known
        # On the far side of a seam, the bars known before have another basis than those to be joined.
        near = (
            self.order.days[rows] < min(seams, default=_FAR)
            if is_newest
            else self.order.days[rows] >= max(seams, default=-_FAR)
        )
        rows = rows[near] if near.any() else rows
        scaled = self._scaled(field, delivery)
        ratio, tolerance = self._ratios(field, scaled, own, rows)
        if _agreeing(ratio, tolerance, 1.0).mean() >= 0.5:
            return None  # the basis is the same; what differs was corrected
        found = self._agreed(field, rows, ratio, tolerance, scaled)
        evidence = Basis.OVERLAP
        if found is None:
            if field == PRICES:
                return None
            evidence, found = Basis.UNCLEAR, 1.0
        elif not self._is_basis(field, own, before, rows, scaled, found, is_newest=is_newest):
            return None
        end = int(self.order.days[rows[-1]]) + 1
        return _Rebasing(
            self.name, delivery[1], delivery[0], _date(end if is_newest else int(self.order.days[own[0]])),
            BEFORE if is_newest else BATCH, field, found if is_newest else 1 / found, evidence.value,
        )  # fmt: skip

    def _ratios(
        self, field: str, scaled: np.ndarray, own: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's ratio to the value known before, and the relative error that rounding can give it."""
        new, old = self.values[field][rows], self.values[field][rows - 1]
        error = unit_of(self.values[field][own]) / new + unit_of(old) / old
        return new / scaled[rows - 1], _TOLERANCE + 0.5 * error

    def _agreed(
        self, field: str, rows: np.ndarray, ratio: np.ndarray, tolerance: np.ndarray, scaled: np.ndarray
    ) -> float | None:
        """Return the ratio between the bases that the common dates agree on, or None."""
        agreed = _consensus(ratio, tolerance)
        close, old = self.values[PRICES][rows], self.values[PRICES][rows - 1]
        if agreed is not None and (rows.size > 1 or self._whole_bar_moved(rows) or _same(close, old).all()):
            return agreed
        if field == ADJUSTED:
            # The closes were corrected, as that of a day that had not ended; the factors tell the basis all the same.
            factor = (self.values[ADJUSTED][rows] / close) / (scaled[rows - 1] / old)
            wider = tolerance + 0.5 * (unit_of(close) / close + unit_of(old) / old)
            if _agreeing(factor, wider, 1.0).mean() >= 0.5:
                return 1.0
            return _consensus(factor, wider)
        return None

    def _whole_bar_moved(self, rows: np.ndarray) -> bool:
        """Return whether all four prices of the only common bar were multiplied by one number."""
        moves = np.array([self.values[name][rows[0]] / self.values[name][rows[0] - 1] for name in _ROWS[2:6]])
        if not np.isfinite(moves).all():
            return False
        error = max(unit_of(np.array([self.values[name][row]])) / self.values[name][row] for name in _ROWS[2:6]
                    for row in (rows[0], rows[0] - 1))  # fmt: skip
        return bool(abs(moves[0] - 1) > _TOLERANCE and (np.abs(moves / moves[0] - 1) <= _TOLERANCE + error).all())

    def _is_basis(
        self, field: str, own: np.ndarray, before: np.ndarray, rows: np.ndarray, scaled: np.ndarray, ratio: float,
        *, is_newest: bool,
    ) -> bool:  # fmt: skip
        """Return whether an agreed ratio is a change of basis, and not a correction of these bars alone."""
        if ratio == 1.0:
            return False
        close = self.values[PRICES]
        if _same(close[rows], close[rows - 1]).all():
            return True
        if abs(np.log(ratio)) <= _LARGE:
            return is_newest or own.size > rows.size
        # Of a correction, the bars known before jump where the delivery begins or ends.
        days = self.order.days[before]
        kept = moved = 0.0
        for edge, neighbour in (
            (rows[0], self._last_at(before, days[days < self.order.days[own[0]]].max(initial=-_FAR))),
            (rows[-1], self._last_at(before, days[days > self.order.days[own[-1]]].min(initial=_FAR))),
        ):
            if neighbour is not None and np.isfinite(scaled[neighbour]):
                kept += abs(np.log(scaled[edge - 1] / scaled[neighbour]))
                moved += abs(np.log(self.values[field][edge] / scaled[neighbour]))
        return kept <= moved

    def _last_at(self, rows: np.ndarray, day: int) -> int | None:
        """Return the last of some rows that has a date, or None."""
        found = rows[self.order.days[rows] == day]
        return int(found[-1]) if found.size else None

    def _beside(self, delivery: tuple[datetime, str], own: np.ndarray) -> _Rebasing | None:
        """Return the rebasing of a delivery without a date in common with the bars known before."""
        before = np.flatnonzero(self.order.before(delivery))
        if not before.size:
            return None
        days = self.order.days[before]
        after = before[days > self.order.days[own[-1]]]
        if after.size:
            later = self._last_at(after, self.order.days[after].min())
            earlier, scope = own[-1], BATCH
        else:
            earlier = self._last_at(before, days.max())
            later, scope = own[0], BEFORE
        factor = self._scaled(ADJUSTED, delivery) / self.values[PRICES]
        sides = np.array([factor[earlier], factor[later]])
        closes = self._scaled(PRICES, delivery)
        is_sent = np.isfinite(sides)
        if not is_sent.any() and abs(np.log(closes[later] / closes[earlier])) <= _NOTICED:
            return None
        ratio = 1.0
        if is_sent.all():
            rounding = unit_of(self.values[PRICES][[earlier, later]]) / self.values[PRICES][[earlier, later]].min()
            from_one = np.abs(sides - 1) <= _TOLERANCE + rounding
            if from_one[0] and not from_one[1]:
                # A vendor's last factor is 1: the earlier side ends where it was fetched.
                ratio = float(sides[1])
            elif not from_one[0] and abs(sides[1] / sides[0] - 1) <= _TOLERANCE + rounding:
                return None  # both were fetched after the same later dividends
        return _Rebasing(
            self.name, delivery[1], delivery[0], _date(int(self.order.days[later])), scope,
            ADJUSTED if is_sent.any() else PRICES, ratio, Basis.NONE.value,
        )  # fmt: skip


def _agreeing(ratio: np.ndarray, tolerance: np.ndarray, value: float) -> np.ndarray:
    return np.abs(ratio / value - 1) <= tolerance


def _consensus(ratio: np.ndarray, tolerance: np.ndarray) -> float | None:
    """Return the ratio that most rows agree on, the median of these; None if they do not."""
    tried = float(np.median(ratio[:_FIRST]))
    agree = _agreeing(ratio, tolerance, tried)
    return float(np.median(ratio[agree])) if agree.mean() >= _SHARE else None


def _same(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return whether closes are equal, as far as the less precise ones tell."""
    unit = max(unit_of(new), unit_of(old))
    return np.asarray(np.abs(new - old) <= np.maximum(_TOLERANCE * np.abs(old), 0.5 * unit * (1 + 1e-9)))


_EPOCH = date(1970, 1, 1)


def _day(day: date) -> int:
    return (day - _EPOCH).days


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 - UTC without a zone, as the lake
