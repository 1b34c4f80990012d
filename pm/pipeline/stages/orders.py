"""Stage `orders`: look for what stops trading, and plan the orders that lead to the targets.

Orders of paper accounts count as sent; for others see `pm trade send`.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.audit.chain import limit_events_hash
from pm.broker.planning import OrderSizes, Target, pending_shares, plan_orders
from pm.broker.reach import out_of_reach
from pm.ledger.orders import order_id
from pm.pipeline.holdings import LEDGER_VIEWS, is_look
from pm.pipeline.stage import Context, Stage
from pm.pipeline.trading import equity_of, halt_sign, is_halted, new_rows, prices_of, read_ledger
from pm.pipeline.trading_day import Night
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Result
from pm.plural import first_of, plural
from pm.portfolio.shares import SMALLEST_FRACTION
from pm.tables.ledger import CHAINED_TABLES, HALTS
from pm.tables.portfolio import TARGETS
from pm.tables.quality import BAR_FLAGS
from pm.tables.risk import LIMIT_EVENTS, STAGES_WITH_LIMITS, proposed
from pm.tables.signals import SIGNALS
from pm.tables.vocabulary import BrokerName, HaltCause, LimitAction, LimitName, OrderState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.ledger.ledger import Ledger

__all__ = ["STAGE"]

_DOUBTFUL = 5
"""Number of sessions in which a large move near the ratio of a split is not traded."""
_SMALLEST_RATIO = Fraction(3, 2)
"""Smallest ratio of new shares to old ones, or of old to new, of which that is so."""
_LARGEST_RATIO = 200
"""Largest ratio of a split."""
_SHOWN = 5
"""Largest number of tickers without an order that are told."""


def _compute(context: Context) -> Result:
    if is_look(context):
        return Result([], "a look at another day or at a part leaves the ledger alone")
    ledger = read_ledger(context)
    if not ledger.open_accounts:
        return Result([], "no account; open one with pm account open")
    night = Night(context, ledger, watch_list(context).as_of)
    if (sign := halt_sign(context.workspace.root, context.lake.location)) is not None:
        ledger.halt(HaltCause.HAND, sign)
    _look_for_halts(night)
    halted = is_halted(context, ledger)
    if halted is None and context.settings.broker.plan:
        for name in ledger.open_accounts:
            _plan(night, name)
    _add_head(night)
    for note in night.notes:
        context.notify(note)
    return Result(
        new_rows(ledger), f"halted: {halted}" if halted is not None else f"{plural(night.planned, 'order')} planned"
    )


# -- halts -------------------------------------------------------------------------------------------------------------


def _look_for_halts(night: Night) -> None:
    """Stop trading if a limit of risk says so."""
    context = night.context
    if "portfolio" not in context.outputs:
        return
    names = {proposed(name): name for name in night.ledger.open_accounts}
    events = context.read(
        LIMIT_EVENTS,
        "run_id = ? AND action = ?",
        [context.outputs["portfolio"], LimitAction.HALT.value],
        among={"portfolio": list(names)},
    )
    for row in events.iter_rows(named=True):
        cause = HaltCause.DRAWDOWN if row["limit_name"] == LimitName.DRAWDOWN else HaltCause.LIMIT
        reason = f"{row['portfolio']} on {night.as_of}: {row['detail']}"
        if _is_new(night.ledger, reason) and night.ledger.halt(cause, reason, account=names[row["portfolio"]]):
            night.notes.append(f"Trading is halted: {reason}")


def _is_new(ledger: Ledger, reason: str) -> bool:
    """Return whether what a limit found that night did not set a halt before, which a person may have ended since."""
    return all(row["reason"] != reason for row in ledger.rows[HALTS.qualified])


# -- orders ------------------------------------------------------------------------------------------------------------


def _plan(night: Night, account: str) -> None:
    """Plan the orders of an account, in place of those that were not sent yet."""
    context, ledger = night.context, night.ledger
    settings, book = context.settings.broker, ledger.books[account]
    rows = context.read_outputs(TARGETS, "portfolio = ?", [account])
    if rows.is_empty():
        return
    if differences := ledger.differences(account):
        night.notes.append(
            f"Account {account} differs from its broker ({plural(len(differences), 'difference')}), so that no "
            "order is planned: see pm trade reconcile."
        )
        return
    is_paper = ledger.accounts[account]["broker"] == BrokerName.PAPER
    _end_old_plans(night, account, is_paper=is_paper)
    if ledger.accounts[account]["broker"] == BrokerName.TICKET and (waiting := len(ledger.open_orders(account))):
        night.notes.append(
            f"Account {account}: {plural(waiting, 'order')} of earlier tickets open. Give the fills back with "
            "pm trade sync --fills FILE, and cancel what was not traded: pm trade cancel ORDER."
        )
    signals = {row["ticker"]: row for row in context.read_outputs(SIGNALS).iter_rows(named=True)}
    targets = {row["ticker"]: row for row in rows.iter_rows(named=True)}
    prices = prices_of(context, book, {*targets, *book.positions()}, night.as_of)
    if conflicts := [text for ticker in book.positions() if (text := prices.conflict(ticker, book)) is not None]:
        night.notes.append(
            f"Account {account} cannot be valued and gets no orders: {conflicts[0]} Take the position out and in "
            "again: pm trade close TICKER --price PRICE, then pm account import FILE."
        )
        return
    equity, unknown = equity_of(book, prices)
    if unknown:
        night.notes.append(
            f"Account {account} cannot be valued and gets no orders, since there is no close of {first_of(unknown)}. "
            "Fetch or import bars, or close the position: pm trade close TICKER --price PRICE."
        )
        return
    quotes = {ticker: quote for ticker in targets if (quote := prices.quote(ticker, book)) is not None}
    not_ordered = {
        ticker: why
        for ticker in targets
        if (why := out_of_reach(ledger.accounts[account]["broker"], ticker, prices.currency(ticker, book))) is not None
    }
    for ticker, why in (not_ordered | _maybe_split(night, book.positions())).items():
        targets.pop(ticker, None)
        night.notes.append(f"{ticker}: {why}")
    plan = plan_orders(
        [_target(row, signals.get(ticker), brackets=is_paper and settings.brackets) for ticker, row in targets.items()],
        book.positions(),
        quotes,
        cash=book.cash,
        equity=equity,
        pending=pending_shares(ledger.open_orders(account)),
        settings=settings,
        sizes=OrderSizes(
            context.settings.portfolio.minimum_order,
            SMALLEST_FRACTION if book.fractional else Decimal(context.settings.portfolio.lot),
        ),
    )
    numbers: dict[tuple[str, str, str], int] = defaultdict(int)
    for planned in plan.orders:
        key = (planned.ticker, planned.side.value, planned.purpose.value)
        numbers[key] += 1
        signal = signals.get(planned.ticker)
        order = ledger.plan(
            planned.row()
            | {
                "order_id": order_id(account, context.run_id, *key, numbers[key]),
                "account": account,
                "number": numbers[key],
                "target_run_id": targets[planned.ticker]["run_id"],
                "signal_run_id": None if signal is None else signal["run_id"],
                "snapshot_id": context.snapshot,
                "cutoff": night.as_of,
            }
        )
        night.planned += 1
        if is_paper:
            ledger.order_event(order.order_id, OrderState.SENT)
            ledger.order_event(order.order_id, OrderState.ACCEPTED, broker_order_id=order.order_id)
    left_out = [f"{ticker}: {why}" for ticker, why in sorted(plan.left_out.items())]
    night.notes += left_out[:_SHOWN]
    if len(left_out) > _SHOWN:
        night.notes.append(f"… and {len(left_out) - _SHOWN:,} more tickers without an order, or with a smaller one.")


def _maybe_split(night: Night, tickers: Iterable[str]) -> dict[str, str]:
    """Return the tickers whose newest bars look like a split that nobody told, each with why nothing is ordered.

    After some sessions the move counts as one in earnest. Moves of less than a third are never taken for more.
    """
    held = sorted(tickers)
    newest = night.context.rows(
        "SELECT min(date) AS day FROM (SELECT DISTINCT date FROM bars WHERE date <= ? ORDER BY date DESC LIMIT ?)",
        [night.as_of, _DOUBTFUL],
    )
    flags = night.context.read(BAR_FLAGS, "rule = 'split' AND date >= ?", [newest[0]["day"]], among={"ticker": held})
    found = {}
    for row in flags.iter_rows(named=True):
        ratio = Fraction(row["value"]).limit_denominator(_LARGEST_RATIO)
        if max(ratio, 1 / ratio) >= _SMALLEST_RATIO:
            told = f"{ratio.numerator}:{ratio.denominator}"
            found[row["ticker"]] = (
                f"Its close moved by about {float(1 / ratio) - 1:+.0%} on {row['date']}, near the ratio {told} of a "
                f"split, and no split is known. It gets no order in the first {_DOUBTFUL} sessions, in which you can "
                f"tell it: pm actions add {row['ticker']} {row['date']} --split {told}"
            )
    return found


def _end_old_plans(night: Night, account: str, *, is_paper: bool) -> None:
    """Cancel the orders of earlier plans that were not sent; in a paper account, those that wait for a session too."""
    for order in night.ledger.open_orders(account):
        if order.row["target_run_id"] is None:
            continue
        if order.state == OrderState.PLANNED or (
            is_paper and order.state in {OrderState.ACCEPTED, OrderState.PARTLY_FILLED}
        ):
            night.ledger.order_event(order.order_id, OrderState.CANCELLED, detail="replaced by the plan of a later run")


def _target(row: dict[str, Any], signal: dict[str, Any] | None, *, brackets: bool) -> Target:
    bracket = signal if brackets and signal is not None else {}
    return Target(
        row["ticker"],
        float("nan") if row["weight"] is None else row["weight"],
        row["shares"],
        bracket.get("stop"),
        bracket.get("target"),
    )


def _add_head(night: Night) -> None:
    """Add the row that says where the chain ends, and what the limits did."""
    head = night.ledger.journal.head
    runs = [night.context.outputs[stage] for stage in STAGES_WITH_LIMITS if stage in night.context.outputs]
    events = limit_events_hash(night.context.read(LIMIT_EVENTS, among={"run_id": runs}).to_dicts())
    night.ledger.add_head(rows=head.sequence, head=head.hash, cutoff=night.as_of, limit_events=events)


def _depends(context: Context) -> list[object]:
    """Return what the plan depends on besides tables: the request, and whether trading is halted."""
    halted = context.known_rows("SELECT count(*) > 0 AS halted FROM active_halts")[0]["halted"]
    return [scope(context), halted, halt_sign(context.workspace.root, context.lake.location) is not None]


STAGE = Stage(
    "orders",
    _compute,
    reads=(*WATCH_LIST_TABLES, BAR_FLAGS, SIGNALS, TARGETS, LIMIT_EVENTS),
    writes=CHAINED_TABLES,
    views=(*LEDGER_VIEWS, "active_halts"),
    sections=("broker", "portfolio.minimum_order", "portfolio.lot"),
    depends=_depends,
)
"""Look for what stops trading, and plan orders."""
