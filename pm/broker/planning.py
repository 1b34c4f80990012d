"""Plan the orders that bring an account to its targets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import date  # noqa: TC003 - a field's type
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.broker.commissions import commission
from pm.ledger.money import ZERO, price
from pm.tables.vocabulary import OrderPurpose, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pm.settings.broker import BrokerSettings

__all__ = ["OrderSizes", "Pending", "Plan", "PlannedOrder", "Quote", "Target", "pending_shares", "plan_orders"]


@dataclass(frozen=True)
class Quote:
    """The last close of a ticker as traded, and the units of the base currency for one of its currency."""

    price: Decimal
    date: date
    currency: str
    rate: Decimal

    @property
    def base_price(self) -> Fraction:
        """The price in the base currency."""
        return Fraction(self.price) * Fraction(self.rate)


@dataclass(frozen=True)
class Target:
    """What a run aims at for a ticker; the number of shares, where it is told, comes before the weight.

    Attributes
    ----------
    stop, profit
        Prices at which the position is to be closed at a loss and at a profit, by two orders of which the trade of one
        cancels the other; None for none.
    """

    ticker: str
    weight: float
    shares: float | None
    stop: float | None = None
    profit: float | None = None


@dataclass(frozen=True)
class Pending:
    """Numbers of shares of a ticker that open orders will still buy and sell; both are positive or 0."""

    buying: Decimal = ZERO
    selling: Decimal = ZERO


@dataclass(frozen=True)
class PlannedOrder:
    """An order to be planned: the columns of table orders that a plan decides."""

    ticker: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    purpose: OrderPurpose
    held: Decimal
    target_shares: Decimal | None
    target_weight: float | None
    quote: Quote
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    pair: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns of table orders."""
        return {
            "ticker": self.ticker,
            "side": self.side.value,
            "quantity": self.quantity,
            "order_type": self.order_type.value,
            "time_in_force": self.time_in_force.value,
            "purpose": self.purpose.value,
            "held": self.held,
            "target_shares": self.target_shares,
            "target_weight": self.target_weight,
            "limit_price": self.limit_price,
            "stop_price": self.stop_price,
            "pair": self.pair,
            "currency": self.quote.currency,
            "reference_price": self.quote.price,
            "reference_date": self.quote.date,
        }


@dataclass(frozen=True)
class OrderSizes:
    """Smallest value of an order, in the base currency, and the number of shares of which its target is a multiple.

    A position is closed whatever it is worth.
    """

    smallest: float
    step: Decimal

    @property
    def smallest_value(self) -> Fraction:
        """The smallest value as an exact number."""
        return Fraction(str(self.smallest))


@dataclass
class Plan:
    """Orders, sales first, and what was left out: ticker to a sentence."""

    orders: list[PlannedOrder] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def plan_orders(
    targets: Iterable[Target],
    held: Mapping[str, Decimal],
    quotes: Mapping[str, Quote],
    *,
    cash: Decimal,
    equity: Decimal,
    pending: Mapping[str, Pending],
    settings: BrokerSettings,
    sizes: OrderSizes,
) -> Plan:
    """Return the orders that bring an account from what it holds to its targets.

    A ticker without a target is left alone, and so is one with an open order that goes the other way. A purchase for
    which there is not enough cash is made smaller: what open orders will buy is paid first, and what sales bring is
    counted at the last close, less the costs of the settings.

    Parameters
    ----------
    targets
        What is aimed at.
    held
        Number of shares held, by ticker.
    quotes
        Last closes, by ticker.
    cash, equity
        In the base currency.
    pending
        What open orders will still buy and sell, by ticker; see `pending_shares`.
    sizes
        Smallest value of an order, and what its number of shares is a multiple of.
    """
    plan = Plan()
    sales: list[PlannedOrder] = []
    purchases: list[PlannedOrder] = []
    pairs: list[PlannedOrder] = []
    for target in sorted(targets, key=lambda target: target.ticker):
        quote = quotes.get(target.ticker)
        own = held.get(target.ticker, ZERO)
        problem = _problem(target, quote, equity)
        if problem is not None:
            plan.left_out[target.ticker] = problem
            continue
        assert quote is not None  # noqa: S101 - otherwise there is a problem
        goal = _goal(target, quote, own, equity, sizes.step, allow_short=settings.allow_short)
        waiting = pending.get(target.ticker, Pending())
        change = goal - own - waiting.buying + waiting.selling
        if (opposite := waiting.selling if change > 0 else waiting.buying) and change:
            plan.left_out[target.ticker] = _must_end("buys" if change < 0 else "sells", opposite)
            continue
        value = abs(Fraction(change)) * quote.base_price
        if change and (value >= sizes.smallest_value or (goal == 0 and waiting == Pending())):
            side = Side.BUY if change > 0 else Side.SELL
            order = PlannedOrder(
                target.ticker, side, abs(change), OrderType.MARKET, TimeInForce.DAY, OrderPurpose.REBALANCE, own, goal,
                target.weight, quote,
            )  # fmt: skip
            (purchases if change > 0 else sales).append(order)
        elif change:
            plan.left_out[target.ticker] = (
                f"The difference from the target, {_shown(change)} shares, is worth less than portfolio.minimum_order."
            )
        pairs += _bracket(target, min(own, goal), own, quote)
    if equity.is_nan():
        return plan  # without purchases: each target has its problem
    available = Fraction(cash) - _reserved(pending, quotes)
    available += sum((_cash(order, settings) for order in sales), Fraction(0))
    plan.orders += sales
    _buy(plan, purchases, available, settings, sizes)
    plan.orders += pairs
    return plan


def _buy(
    plan: Plan,
    purchases: Iterable[PlannedOrder],
    available: Fraction,
    settings: BrokerSettings,
    sizes: OrderSizes,
) -> None:
    """Add purchases to a plan, each made smaller where there is not enough cash for it, and say so."""
    for order in purchases:
        affordable = _affordable(order, available, settings, sizes)
        if affordable is None:
            plan.left_out[order.ticker] = "There is not enough cash for a purchase of portfolio.minimum_order or more."
            continue
        if affordable.quantity < order.quantity:
            plan.left_out[order.ticker] = (
                f"There is cash for {_shown(affordable.quantity)} of {_shown(order.quantity)} shares."
            )
        available += _cash(affordable, settings)
        plan.orders.append(affordable)


def _problem(target: Target, quote: Quote | None, equity: Decimal) -> str | None:
    """Return why no order can be planned for a target, in a sentence; None if one can."""
    if quote is None:
        return "There is no close to value it at."
    numbers = [target.weight, *([] if target.shares is None else [target.shares])]
    if not all(math.isfinite(number) for number in numbers):
        return "The target is not a finite number."
    if equity.is_nan() or equity <= 0:
        return f"The equity of the account is {equity}, which is no base for orders."
    return None


def _must_end(side: str, shares: Decimal) -> str:
    """Return why nothing is ordered beside an open order that goes the other way.

    Brokers refuse orders on both sides, and a sale of shares that an open order is yet to buy would be short.
    """
    return (
        f"An open order {side} {_shown(shares)} shares, more than the target needs: it must end first "
        "(pm trade sync, or pm trade cancel)."
    )


def _reserved(pending: Mapping[str, Pending], quotes: Mapping[str, Quote]) -> Fraction:
    """Return the cash that open orders will need for what they buy, at the last close."""
    known = {ticker: waiting.buying for ticker, waiting in pending.items() if ticker in quotes}
    return sum((Fraction(shares) * quotes[ticker].base_price for ticker, shares in known.items()), Fraction(0))


def _goal(target: Target, quote: Quote, own: Decimal, equity: Decimal, step: Decimal, *, allow_short: bool) -> Decimal:
    """Return the number of shares aimed at: of a weight that is not quite 0 by rounding, exactly 0."""
    if target.shares is not None:
        exact = Decimal(repr(target.shares))
    else:
        fraction = Fraction(target.weight) * Fraction(equity) / quote.base_price
        exact = Decimal(fraction.numerator) / Decimal(fraction.denominator)
    goal = (exact / step).to_integral_value(ROUND_DOWN) * step + ZERO
    if goal < 0 and not allow_short:
        return ZERO
    if goal == exact or step < 1:
        return goal
    # A holding that is not a multiple of the lot is left as it is if it is the target, rounded.
    return own if abs(exact - own) < step and abs(exact - own) < abs(exact - goal) else goal


def _bracket(target: Target, shares: Decimal, own: Decimal, quote: Quote) -> list[PlannedOrder]:
    """Return a stop and a limit that close a long position, of which one cancels the other."""
    if shares <= 0 or target.stop is None or target.profit is None:
        return []
    stop, limit = (price(Decimal(repr(float(value)))) for value in (target.stop, target.profit))
    if not 0 < stop < quote.price < limit:
        return []
    common = (own, None, target.weight, quote)
    pair = f"bracket {target.ticker}"
    return [
        PlannedOrder(
            target.ticker, Side.SELL, shares, OrderType.STOP, TimeInForce.GTC, OrderPurpose.STOP, *common,
            stop_price=stop, pair=pair,
        ),
        PlannedOrder(
            target.ticker, Side.SELL, shares, OrderType.LIMIT, TimeInForce.GTC, OrderPurpose.TARGET, *common,
            limit_price=limit, pair=pair,
        ),
    ]  # fmt: skip


def _cash(order: PlannedOrder, settings: BrokerSettings) -> Fraction:
    """Return the change of cash that an order is expected to make, costs included."""
    sign = -1 if order.side == Side.BUY else 1
    cost = Fraction(str(settings.half_spread)) + Fraction(str(settings.slippage))
    price_after = order.quote.base_price * (1 - sign * cost)
    return sign * Fraction(order.quantity) * price_after - commission(order.quantity, price_after, settings)


def _affordable(
    order: PlannedOrder, available: Fraction, settings: BrokerSettings, sizes: OrderSizes
) -> PlannedOrder | None:
    """Return a purchase that is not larger than the cash allows; None if that is too small."""
    needed = -_cash(order, settings)
    if needed <= available:
        return order
    if available <= 0:
        return None
    fee = -_cash(_resized(order, ZERO), settings)
    share = max(available - fee, Fraction(0)) / (needed - fee)
    exact = Fraction(order.quantity) * share / Fraction(sizes.step)
    shares = Decimal(exact.numerator // exact.denominator) * sizes.step
    value = Fraction(shares) * order.quote.base_price
    if shares <= 0 or value < sizes.smallest_value:
        return None
    return _resized(order, shares)


def _resized(order: PlannedOrder, shares: Decimal) -> PlannedOrder:
    return replace(order, quantity=shares)


def _shown(shares: Decimal) -> str:
    return f"{shares.normalize():f}"


def pending_shares(orders: Sequence[Any]) -> dict[str, Pending]:
    """Return the numbers of shares that open orders will still buy and sell, by ticker; pairs left out."""
    found: dict[str, Pending] = {}
    for order in orders:
        if order.row["pair"] is None:
            known = found.get(order.row["ticker"], Pending())
            if order.row["side"] == Side.BUY:
                known = replace(known, buying=known.buying + order.left)
            else:
                known = replace(known, selling=known.selling + order.left)
            found[order.row["ticker"]] = known
    return found
