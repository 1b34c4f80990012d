"""Sending, syncing and reconciling against a server on 127.0.0.1 that speaks TWS's wire format, by ib_async."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # a module of the tests, which are no package
from desk import SETTINGS, Desk
from tws_server import Fault, TwsServer

from pm.broker.base import BadAnswerError, OrderRequest, RefusedError, UnreachableError
from pm.broker.ib import InteractiveBrokers
from pm.broker.planning import pending_shares
from pm.broker.reconcile import compare
from pm.broker.sending import cancel_orders, request_of, send_orders, settle_forgotten
from pm.clock import utc_now
from pm.errors import BrokerError, PmError
from pm.tables.vocabulary import OrderState

if TYPE_CHECKING:
    from collections.abc import Iterator

D = Decimal
SHORT = 0.4
"""Seconds to wait where an answer is lost on purpose."""
LATER = timedelta(minutes=5)


def connected(server: TwsServer, *, client: int = 17, timeout: float = 10.0) -> InteractiveBrokers:
    return InteractiveBrokers("127.0.0.1", server.port, client=client, number="DU1", timeout=timeout)


@pytest.fixture
def server() -> Iterator[TwsServer]:
    served = TwsServer()
    yield served
    served.close()


@pytest.fixture
def broker(server: TwsServer) -> Iterator[InteractiveBrokers]:
    opened = connected(server)
    yield opened
    opened.close()


@pytest.fixture
def desk() -> Desk:
    return Desk("ib", "DU1")


def sync(desk: Desk, server: TwsServer, *, later: timedelta = timedelta(0)) -> list[str]:
    """Sync on a connection of its own, as the command does."""
    broker = connected(server)
    try:
        return desk.sync(broker, later=later)
    finally:
        broker.close()


@pytest.mark.parametrize("version", [157, 163, 176, 178])
def test_an_order_is_sent_and_filled_in_parts(desk: Desk, version: int) -> None:
    server = TwsServer(version=version)
    broker = connected(server)
    name = desk.plan("AAA", "10")
    desk.send(broker)
    assert desk.state(name) == "accepted"
    server.fill(name, "4")
    desk.sync(broker)
    assert desk.state(name) == "partly_filled"
    broker.close()
    server.fill(name, "6", "101")
    sync(desk, server)
    sync(desk, server)
    assert desk.state(name) == "filled"
    book = desk.ledger.books["main"]
    assert (book.shares("AAA"), book.cash) == (Decimal(10), Decimal(-(4 * 100 + 6 * 101) - 2))
    server.close()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"order_type": "limit", "limit_price": D("99.50"), "side": "buy"}, ("BUY", "LMT", "99.5", "", "DAY")),
        ({"order_type": "stop", "stop_price": D("90.25"), "side": "sell"}, ("SELL", "STP", "", "90.25", "GTC")),
        ({"order_type": "market", "side": "sell"}, ("SELL", "MKT", "", "", "DAY")),
    ],
)
def test_an_order_is_written_as_the_broker_reads_it(
    server: TwsServer, broker: InteractiveBrokers, values: dict[str, str], expected: tuple[str, ...]
) -> None:
    good = "gtc" if values["order_type"] == "stop" else "day"
    known = {"order_id": "pm1", "ticker": "AAA", "quantity": D("1.5"), "time_in_force": good, "currency": "EUR"}
    broker.submit(OrderRequest(**known | values))  # type: ignore[arg-type]
    fields = server.order("pm1").fields
    assert tuple(fields[name] for name in ("action", "type", "limit", "stop", "tif")) == expected
    assert [fields[name] for name in ("symbol", "sec_type", "exchange", "currency", "quantity", "account", "ref")] == [
        "AAA", "STK", "SMART", "EUR", "1.5", "DU1", "pm1",
    ]  # fmt: skip


def test_an_order_that_the_broker_cannot_be_told_is_never_sent(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk
) -> None:
    names = [desk.plan("VOD.L", "10", currency="GBp"), desk.plan("SAP.DE", "10", currency="EUR")]
    names += [desk.plan("VODA", "10", currency="GBX"), desk.plan("AAA", "10")]
    notes = desk.send(broker)
    assert [desk.state(name) for name in names] == ["cancelled"] * 3 + ["accepted"]
    assert server.received == names[3:]
    assert desk.ledger.halts == []
    assert any("VOD.L is of another: enter its orders by hand" in note for note in notes)


@pytest.mark.parametrize(
    ("ticker", "state", "detail"),
    [
        ("BAD", "rejected", "not enough money"),
        ("NONE", "rejected", "No security definition"),
        ("VOID", "cancelled", "the session is over"),
        ("NIGHT", "accepted", "waits for the next session"),
        ("TAKEN", "accepted", None),
        ("IDLE", "accepted", "Inactive"),
        ("CUT", "unknown", "gave no answer"),
    ],
)
def test_what_the_broker_answers_to_an_order(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk, ticker: str, state: str, detail: str | None
) -> None:
    name = desk.plan(ticker, "10")
    desk.send(broker)
    assert desk.state(name) == state
    details = [row["detail"] for row in desk.committed["order_events"] if row["order_id"] == name]
    assert details[-1] is None if detail is None else detail in details[-1]
    assert server.received.count(name) == (ticker not in {"BAD", "NONE"})


def test_after_a_cut_everything_is_asked_anew(server: TwsServer, broker: InteractiveBrokers, desk: Desk) -> None:
    names = [desk.plan(ticker, "10") for ticker in ("CUT", "AAA")]
    desk.send(broker)
    assert [desk.state(name) for name in names] == ["unknown", "planned"]
    server.fill(names[0], "10")
    server.asked = []
    sync(desk, server)
    assert {"5", "99", "7", "61"} <= set(server.asked)  # open and ended orders, executions, positions
    assert [desk.state(name) for name in names] == ["filled", "planned"]
    assert server.received == [names[0]]


def test_an_order_that_never_arrived_is_not_sent_again(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk
) -> None:
    name = desk.plan("AAA", "10")
    for place, _ in enumerate(send_orders(desk.ledger, broker, "main", halted=lambda: None, settings=SETTINGS)):
        desk.commit()
        if place == 0:
            break
    desk.restart()
    assert desk.state(name) == "sent"
    sync(desk, server)
    assert desk.state(name) == "unknown"
    sync(desk, server, later=LATER)
    assert desk.state(name) == "expired"
    desk.send(broker)
    assert server.received == []


@pytest.mark.parametrize("was_accepted", [True, False])
def test_an_order_that_the_broker_can_have_forgotten_is_unknown_until_positions_are_compared(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk, *, was_accepted: bool
) -> None:
    """The gateway lists what ended today only: an order for yesterday's session can have been filled."""
    name = desk.plan("AAA", "10")
    if was_accepted:
        desk.send(broker)
    else:
        steps = send_orders(desk.ledger, broker, "main", halted=lambda: None, settings=SETTINGS)
        next(steps)
        desk.commit()
        desk.restart()
        broker.submit(request_of(desk.ledger.orders[name]))
    server.fill(name, "10")
    server.remembers = False
    sync(desk, server, later=timedelta(days=2))
    assert desk.state(name) == "unknown"
    assert pending_shares(desk.ledger.open_orders("main"))["AAA"].buying == 10
    other = connected(server)
    assert settle_forgotten(desk.ledger, other, "main", now=utc_now() + timedelta(days=2)) == 1
    assert len(compare(desk.ledger, "main", other.account(), SETTINGS)) == 2  # shares and cash
    other.close()
    desk.commit()
    assert desk.state(name) == "expired"
    assert desk.ledger.differences("main")


def test_an_order_that_the_broker_has_is_not_placed_again(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk
) -> None:
    name = desk.plan("AAA", "10")
    desk.send(broker)
    again = connected(server)
    for asked in (broker, again):
        assert asked.submit(request_of(desk.ledger.orders[name])).order_id == name
    server.fill(name, "10")
    assert again.submit(request_of(desk.ledger.orders[name])).state == "filled"
    assert server.received == [name]
    again.close()


@pytest.mark.parametrize("code", [1100, 1101, 1102, 2110])
def test_a_broken_line_to_the_broker_makes_answers_doubtful(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk, code: int
) -> None:
    name = desk.plan("AAA", "10")
    server.fail_at({place: Fault(code) for place in range(3)})
    with pytest.raises(UnreachableError):
        broker.orders()
    desk.send(broker)
    assert desk.state(name) == "unknown"
    assert server.received == []


def test_nothing_is_asked_while_the_line_is_broken(server: TwsServer, broker: InteractiveBrokers) -> None:
    server.say(1100, "Connectivity between IB and the workstation has been lost.")
    server.say(2104, "Market data farm connection is OK.")
    with pytest.raises(UnreachableError, match="Interactive Brokers"):
        broker.account()


def test_a_restored_line_can_be_used(server: TwsServer) -> None:
    server.fail_at({3: Fault(1100), 5: Fault(1102)})  # both while the connection is set up
    broker = connected(server)
    assert broker.account().number == "DU1"
    broker.close()


def test_orders_are_cancelled(server: TwsServer, broker: InteractiveBrokers, desk: Desk) -> None:
    open_, filled = desk.plan("AAA", "10"), desk.plan("BBB", "10")
    desk.send(broker)
    server.order(filled).filled, server.order(filled).status = 10, "Filled"  # what the broker has not told yet
    planned = desk.plan("CCC", "10")
    desk.run(cancel_orders(desk.ledger, broker, [open_, filled, planned]))
    assert [desk.state(name) for name in (open_, filled, planned)] == ["cancelled", "accepted", "cancelled"]
    assert server.order(open_).status == "Cancelled"


def test_an_order_of_another_client_is_not_cancelled(server: TwsServer, broker: InteractiveBrokers, desk: Desk) -> None:
    name = desk.plan("AAA", "10")
    desk.send(broker)
    other = connected(server, client=18)
    with pytest.raises(RefusedError, match="client 17"):
        desk.run(cancel_orders(desk.ledger, other, [name]))
    assert server.order(name).is_open
    other.close()


def test_a_fill_that_is_corrected_is_recorded_once(server: TwsServer, broker: InteractiveBrokers, desk: Desk) -> None:
    name = desk.plan("AAA", "10")
    desk.send(broker)
    server.fill(name, "10")
    sync(desk, server)
    server.executions[0].name = server.executions[0].name[:-1] + "2"
    sync(desk, server)
    assert desk.ledger.books["main"].shares("AAA") == 10


@pytest.mark.parametrize("ticker", ["BRK-B", "BRK.B"])
def test_a_class_of_shares_is_spelled_as_the_broker_does_and_understood(
    server: TwsServer, broker: InteractiveBrokers, desk: Desk, ticker: str
) -> None:
    name = desk.plan(ticker, "10")
    desk.send(broker)
    assert server.order(name).fields["symbol"] == "BRK B"
    server.fill(name, "10")
    sync(desk, server)
    assert desk.ledger.books["main"].positions() == {ticker: 10}
    assert desk.problems == []
    differences = compare(desk.ledger, "main", broker.account(), SETTINGS)
    assert all(text.startswith("cash") for text in differences)


def test_the_day_of_a_trade_is_that_of_its_exchange(server: TwsServer, broker: InteractiveBrokers, desk: Desk) -> None:
    name = desk.plan("AAA", "10")
    desk.send(broker)
    today = datetime.now(UTC).date()
    server.fill(name, "4", at=datetime.combine(today + timedelta(1), time(1, 30)))  # half past eight in New York
    server.fill(name, "6", at=datetime.combine(today + timedelta(1), time(15)))
    sync(desk, server)
    assert [row["date"] for row in desk.committed["fills"]] == [today, today + timedelta(1)]


def test_positions_of_all_kinds_are_compared(server: TwsServer, broker: InteractiveBrokers, desk: Desk) -> None:
    server.other_positions = {"AAA": ("STK", 3.0), "AAA 240119C": ("OPT", 1.0), "GONE": ("STK", 0.0)}
    told = broker.account()
    assert told.positions == {"AAA": D(3), "AAA 240119C (OPT)": D(1)}
    assert len(compare(desk.ledger, "main", told, SETTINGS)) == 3
    assert {row["ticker"] for row in desk.ledger.differences("main")} == {None, "AAA", "AAA 240119C (OPT)"}


def test_another_account_is_told_by_its_number(server: TwsServer) -> None:
    server.number = "U2"
    broker = connected(server)
    told = broker.account()
    assert (told.number, told.live) == ("U2", True)
    broker.close()


@pytest.mark.parametrize("cash", ["nan", "inf", "many"])
def test_cash_that_is_no_number_is_refused(server: TwsServer, cash: str) -> None:
    server.cash = cash
    broker = connected(server)
    with pytest.raises(BadAnswerError, match="cash is no number"):
        broker.account()
    broker.close()


def test_a_client_number_that_is_taken(server: TwsServer) -> None:
    server.refuses_client = True
    with pytest.raises(UnreachableError, match="client 17"):
        connected(server, timeout=2.0)


def test_nobody_answers() -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        InteractiveBrokers("127.0.0.1", 9, client=17, number="DU1", timeout=1.0)


def test_a_connection_cut_at_any_message_while_it_is_set_up(server: TwsServer) -> None:
    """Each message of setting up and of asking for the account, cut at some byte."""
    server.other_positions = {"AAA": ("STK", 3.0)}
    whole = connected(server)
    assert whole.account().positions == {"AAA": D(3)}
    whole.close()
    count, server.sent = server.sent, 0
    assert count > 10
    for place in range(count):
        server.fail_at({place: Fault("cut", place * 7)})
        with pytest.raises(BrokerError):
            connected(server, timeout=SHORT).account()
        server.cut()


def random_faults(generator: random.Random) -> dict[int, Fault]:
    kinds: list[str | int] = ["cut", "cut", "drop", "double", "late", 1100, 1101, 1102]
    return {
        generator.randrange(60): Fault(generator.choice(kinds), generator.randrange(400))
        for _ in range(generator.choice([0, 1, 1, 2]))
    }


def act(generator: random.Random, desk: Desk, server: TwsServer) -> None:
    """Send or sync on a connection of its own, or be killed while sending."""
    killed_at = generator.choice([None, None, 0, 1, 2])
    broker = connected(server, timeout=SHORT)
    try:
        if killed_at is not None:
            steps = send_orders(desk.ledger, broker, "main", halted=lambda: None, settings=SETTINGS)
            for _ in zip(range(killed_at), steps, strict=False):
                desk.commit()
            next(steps, None)
            desk.restart()
        elif generator.random() < 0.6:
            desk.send(broker)
        else:
            desk.sync(broker)
    finally:
        broker.close()


def check_end(desk: Desk, server: TwsServer, names: list[str]) -> None:
    """Check that the broker has each order at most once, and that the ledger knows what became of all of them."""
    assert len(server.received) == len(set(server.received))
    words = {"PreSubmitted": "accepted", "Submitted": "accepted", "Filled": "filled", "Cancelled": "cancelled"}
    for name in names:
        order = desk.ledger.orders[name]
        assert order.state not in {OrderState.SENT, OrderState.UNKNOWN}
        if name not in server.received:
            assert order.state in {OrderState.PLANNED, OrderState.EXPIRED, OrderState.REJECTED}
            continue
        told = server.order(name)
        state = "partly_filled" if told.is_open and told.filled else words[told.status]
        assert (order.state.value, float(order.filled)) == (state, told.filled)
    broker = connected(server)
    assert len(compare(desk.ledger, "main", broker.account(), SETTINGS)) <= 1  # cash alone, of which it knows nothing
    broker.close()


def check_faults(seed: int) -> int:
    """Send orders through faults and kills, then let all be well, and compare the ledger with the broker.

    Returns the number of faults.
    """
    generator = random.Random(seed)  # noqa: S311 - faults, not secrets
    server, desk, faults = TwsServer(), Desk("ib", "DU1"), 0
    tickers = ["AAA", "BBB", "CCC", "BAD", "NIGHT", "TAKEN", "CUT", "VOID"]
    try:
        names = [desk.plan(generator.choice(tickers), "5") for _ in range(generator.randint(1, 4))]
        for _ in range(4):
            planned = random_faults(generator)
            server.fail_at(dict(planned))
            try:
                act(generator, desk, server)
            except PmError:
                desk.restart()
            faults += len(planned) - len(server.faults)
            server.fail_at({})
            server.cut()
            for order in list(server.orders):
                if order.is_open and not order.filled and generator.random() < 0.3:
                    server.fill(order.ref, generator.choice(["2", "5"]))
        for _ in range(2):
            sync(desk, server, later=LATER)
        check_end(desk, server, names)
    finally:
        server.close()
    return faults


@pytest.mark.parametrize("seed", range(8))
def test_no_order_is_doubled_or_lost_by_faults(seed: int) -> None:
    check_faults(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(8))
def test_no_order_is_doubled_or_lost_by_a_thousand_faults(block: int) -> None:
    faults, seed = 0, 1000 * (block + 1)
    while faults < 125:
        faults += check_faults(seed)
        seed += 1
