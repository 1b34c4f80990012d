"""Simulate the fills of orders from the bars of later sessions.

A fill knows the open of its session, whether prices above or below were reached in it, and its volume; the volatility
and the average volume come from sessions before. It never knows the close, unless the bar has nothing else and the
settings allow to fill there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date  # noqa: TC003 - a field's type
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from pm.broker.commissions import commission
from pm.ledger.money import ZERO, money, price, whole
from pm.tables.vocabulary import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.broker.base import OrderRequest
    from pm.settings.broker import BrokerSettings

__all__ = ["PaperBar", "PaperFill", "PaperOutcome", "bars_of", "simulate_pair", "simulate_session"]

_ONE = Decimal(1)


@dataclass(frozen=True)
class PaperBar:
    """A session's bar as traded, and what was known before it.

    Attributes
    ----------
    open, high, low
        Prices; None in bars that have a close only.
    volume
        Number of shares; None if unknown.
    sigma
        Standard deviation of the daily log returns of the sessions before; None if there are too few.
    average_volume
        Average number of shares of the sessions before; None if unknown.
    """

    date: date
    open: float | None
    high: float | None
    low: float | None
    close: float
    volume: float | None
    sigma: float | None = None
    average_volume: float | None = None


@dataclass(frozen=True)
class PaperFill:
    """A simulated trade: shares, price per share with all its costs but the commission, and the commission."""

    quantity: Decimal
    price: Decimal
    commission: Decimal
    date: date


@dataclass(frozen=True)
class PaperOutcome:
    """What a session made of an order: a trade or None, and whether the order has ended without being filled whole."""

    fill: PaperFill | None
    ended: bool
    detail: str | None = None


def simulate_session(
    request: OrderRequest,
    left: Decimal,
    bar: PaperBar,
    settings: BrokerSettings,
    *,
    fractional: bool,
    rate: Decimal = _ONE,
) -> PaperOutcome:
    """Return what a session makes of an order.

    - A market order trades at the open.
    - A limit order trades at the open if that is within the limit; else at the limit if the price went beyond it. A
      price that only touches the limit fills nothing: others were before in the queue.
    - A stop order trades at the open if that is beyond the stop; else at the stop once the price touches it.
    - At most `max_volume` of the volume is traded, and nothing in a session without any.

    Parameters
    ----------
    left
        Number of shares still to trade.
    fractional
        Whether a part of an order may be a fraction of a share.
    rate
        Units of the base currency, in which commissions are set, for one of the ticker's currency.
    """
    is_day = request.time_in_force == TimeInForce.DAY
    raw = _price(request, bar, settings)
    if raw is None:
        return PaperOutcome(None, is_day, "the price was not reached" if is_day else None)
    shares = min(left, _fillable(bar, settings, fractional=fractional))
    if shares <= 0:
        return PaperOutcome(None, is_day, "no volume" if is_day else None)
    traded = _with_costs(request, raw, shares, bar, settings)
    fee = money(commission(shares, Fraction(traded) * Fraction(rate), settings) / Fraction(rate))
    fill = PaperFill(shares, traded, fee, bar.date)
    ended = shares < left and is_day
    return PaperOutcome(fill, ended, "the rest was more than the share of the volume" if ended else None)


def simulate_pair(
    pair: Sequence[tuple[OrderRequest, Decimal]],
    bar: PaperBar,
    settings: BrokerSettings,
    *,
    fractional: bool,
    rate: Decimal = _ONE,
) -> tuple[int, PaperOutcome] | None:
    """Return which of two orders trades in a session, and what it makes of it; None if neither does.

    The one that trades cancels the other. If the open decides for one of them, it is that one. If both prices are
    reached later in the session, it is the one that brings less: nobody knows which came first.
    """
    outcomes = [
        simulate_session(request, left, bar, settings, fractional=fractional, rate=rate) for request, left in pair
    ]
    traded = [place for place, outcome in enumerate(outcomes) if outcome.fill is not None]
    if not traded:
        return None
    at_open = [place for place in traded if _is_at_open(pair[place][0], bar, settings)]
    candidates = at_open or traded

    def proceeds(place: int) -> Decimal:
        fill = outcomes[place].fill
        assert fill is not None  # noqa: S101 - these have traded
        return fill.price if pair[place][0].side == Side.SELL else -fill.price

    worse = min(candidates, key=proceeds)
    return worse, outcomes[worse]


def _price(request: OrderRequest, bar: PaperBar, settings: BrokerSettings) -> float | None:
    """Return the price in the market at which an order trades in a session; None if it does not."""
    if bar.open is None or bar.high is None or bar.low is None:
        if not settings.fill_at_close:
            return None
        first = low = high = bar.close
    else:
        first, low, high = bar.open, bar.low, bar.high
    is_buy = request.side == Side.BUY
    if request.order_type == OrderType.MARKET:
        return first
    if request.order_type == OrderType.LIMIT:
        assert request.limit_price is not None  # noqa: S101 - a limit order has a limit
        limit = float(request.limit_price)
        if is_buy:
            return first if first <= limit else limit if low < limit else None
        return first if first >= limit else limit if high > limit else None
    assert request.stop_price is not None  # noqa: S101 - a stop order has a stop
    stop = float(request.stop_price)
    if is_buy:
        return first if first >= stop else stop if high >= stop else None
    return first if first <= stop else stop if low <= stop else None


def _is_at_open(request: OrderRequest, bar: PaperBar, settings: BrokerSettings) -> bool:
    """Return whether an order trades at the first price of a session."""
    first = bar.close if bar.open is None else bar.open
    return _price(request, replace(bar, open=first, high=first, low=first), settings) is not None


def _fillable(bar: PaperBar, settings: BrokerSettings, *, fractional: bool) -> Decimal:
    if bar.volume is None or math.isnan(bar.volume):
        return Decimal("Infinity") if settings.fill_without_volume else ZERO
    shares = Decimal(repr(float(bar.volume))) * Decimal(repr(settings.max_volume))
    return shares.quantize(Decimal("0.000000001")) if fractional else whole(shares)


def _with_costs(request: OrderRequest, raw: float, shares: Decimal, bar: PaperBar, settings: BrokerSettings) -> Decimal:
    """Return the price with spread, slippage and impact; that of a limit order is never worse than its limit."""
    share_of_volume = float(shares) / bar.average_volume if bar.average_volume else 0.0
    impact = settings.impact * (bar.sigma or 0.0) * math.sqrt(share_of_volume)
    worse = settings.half_spread + settings.slippage + impact
    is_buy = request.side == Side.BUY
    traded = price(Decimal(repr(raw * (1 + worse if is_buy else max(1 - worse, 0.0)))))
    if request.limit_price is not None and request.order_type == OrderType.LIMIT:
        traded = min(traded, request.limit_price) if is_buy else max(traded, request.limit_price)
    return max(traded, Decimal("0.000001"))


def bars_of(rows: Sequence[Mapping[str, float | date | None]], window: int = 21) -> list[PaperBar]:
    """Return the bars of a ticker, each with the volatility and the average volume of the sessions before it.

    Parameters
    ----------
    rows
        Rows with date, open, high, low, close, volume and adj_factor, sorted by date.
    window
        Number of sessions before.
    """
    found: list[PaperBar] = []
    returns: list[float] = []
    volumes: list[float] = []
    previous: float | None = None
    for row in rows:
        recent, recent_volumes = returns[-window:], volumes[-window:]
        found.append(
            PaperBar(
                **{name: row[name] for name in ("date", "open", "high", "low", "close", "volume")},  # type: ignore[arg-type]
                sigma=_deviation(recent) if len(recent) > 1 else None,
                average_volume=sum(recent_volumes) / len(recent_volumes) if recent_volumes else None,
            )
        )
        adjusted = float(row["close"]) * float(row["adj_factor"])  # type: ignore[arg-type]
        if previous:
            returns.append(math.log(adjusted / previous))
        previous = adjusted
        if row["volume"] is not None:
            volumes.append(float(row["volume"]))  # type: ignore[arg-type]
    return found


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
