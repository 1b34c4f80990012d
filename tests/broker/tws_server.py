"""A server on 127.0.0.1 that speaks the part of TWS's interface which orders need, and can fail at any message.

A message is a length of four bytes and fields that each end in a zero byte; the first field is the number of its kind.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Fault", "TwsOrder", "TwsServer"]

_CONTRACT = (
    "con_id", "symbol", "sec_type", "expiry", "strike", "right", "multiplier", "exchange", "currency", "local_symbol",
    "trading_class",
)  # fmt: skip
_ORDER = (
    "action", "quantity", "type", "limit", "stop", "tif", "oca", "account", "open_close", "origin", "ref",
)  # fmt: skip
_PLACED = (*_CONTRACT[:8], "primary", *_CONTRACT[8:], "sec_id_type", "sec_id", *_ORDER)
"""Fields of an order that is placed, after its number; more follow."""
_OPEN = (
    "order_id", *_CONTRACT, *_ORDER, "client", "perm_id",
    *["_"] * 8, "fa_profile",
    *["_"] * 29,  # from the model's code to the auxiliary price of delta neutral orders
    *["_"] * 7, "0", "0", "0",  # numbers of legs, of their prices, and of routing parameters
    *["_"] * 3, "_", *["_"] * 4, "0", "_",  # scale, hedge, clearing, whether delta neutral, algorithm
    "_", "0", "status", *["_"] * 14, *["_"] * 2,  # whether it only asks what if, state, margins, random size
    "0", *["_"] * 16,  # number of conditions
    "duration_159", "ats_160", "cancel_parent_162", *["compete_170"] * 5,
)  # fmt: skip
"""Fields of an open order."""
_COMPLETED = (
    *_CONTRACT, *_ORDER, "perm_id", *["_"] * 7, "fa_profile",
    *["_"] * 23, *["_"] * 5, "0", "0", "0", *["_"] * 3, "_", *["_"] * 3, "0", "_",
    "_", "status", *["_"] * 2, "0", *["_"] * 6, "filled", *["_"] * 7, "completed_status", *["compete_170"] * 5,
)  # fmt: skip
"""Fields of an order that has ended."""


@dataclass
class Fault:
    """What goes wrong with one message that the server sends.

    Attributes
    ----------
    kind
        'cut' sends some bytes of it and closes the connection; 'drop' leaves it out; 'double' sends it twice; 'late'
        sends it after all others that are due; a number sends this code of an error before it.
    bytes_sent
        Number of bytes that 'cut' sends.
    """

    kind: str | int
    bytes_sent: int = 0


@dataclass
class TwsOrder:
    """An order that the server has."""

    order_id: str
    perm_id: int
    fields: dict[str, str]
    status: str = "Submitted"
    filled: float = 0.0

    @property
    def ref(self) -> str:
        """The order's reference."""
        return self.fields["ref"]

    @property
    def quantity(self) -> float:
        """Number of shares ordered."""
        return float(self.fields["quantity"])

    @property
    def is_open(self) -> bool:
        """Whether it can still be traded."""
        return self.status in {"PreSubmitted", "Submitted", "Inactive"}


@dataclass
class _Execution:
    order: TwsOrder
    name: str
    shares: str
    price: str
    total: float
    time: str


@dataclass
class _Connection:
    socket: socket.socket
    client: str = "0"
    waiting: list[bytes] = field(default_factory=list)


class TwsServer:
    """An account at Interactive Brokers: orders, trades, positions and cash.

    Parameters
    ----------
    version
        Version of the protocol that the server speaks.

    Notes
    -----
    What becomes of an order follows from its ticker: BAD is refused (201), VOID cancelled at once (202), TAKEN has a
    number that is taken (103, the first time), NONE is no ticker (200), NIGHT is accepted with a warning (399), IDLE is
    inactive without a reason, CUT is taken and the connection lost.
    """

    def __init__(self, *, number: str = "DU1", version: int = 176, cash: str = "100000.00") -> None:
        self.number, self.version, self.cash = number, version, cash
        self.orders: list[TwsOrder] = []
        self.executions: list[_Execution] = []
        self.other_positions: dict[str, tuple[str, float]] = {}
        """Positions that are there already: type of security and number, by name."""
        self.received: list[str] = []
        """References of the orders that were placed, in the order in which they came."""
        self.asked: list[str] = []
        """Numbers of the kinds of messages that came."""
        self.faults: dict[int, Fault] = {}
        """What goes wrong with messages, by their place among those that are sent from now on."""
        self.sent = 0
        self.next_id = 1
        self.remembers = True
        """Whether orders that have ended and executions are told: those of earlier days are not."""
        self.refuses_client = False
        self.connections: list[_Connection] = []
        self._lock = threading.RLock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._closing = False
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._closing = True
        self._socket.close()
        self.cut()

    def cut(self) -> None:
        """Close all connections."""
        for connection in self.connections:
            _close(connection.socket)
        self.connections = []

    def say(self, code: int, text: str = "", *, order_id: str = "-1") -> None:
        """Send an error, a warning or a remark on all connections."""
        with self._lock:
            for connection in self.connections:
                with _unless_gone(connection):
                    self._error(connection, order_id, code, text or f"Code {code}.")

    def fail_at(self, faults: dict[int, Fault]) -> None:
        """Let messages that are sent from now on fail, by their place among them."""
        with self._lock:
            self.sent, self.faults = 0, faults

    def order(self, ref: str) -> TwsOrder:
        """Return the order of a reference."""
        (found,) = [order for order in self.orders if order.ref == ref]
        return found

    def fill(self, ref: str, shares: str, price: str = "100", *, at: datetime | None = None) -> None:
        """Trade a part of an order, now or at a time in UTC, and tell it on all connections."""
        with self._lock:
            order = self.order(ref)
            order.filled += float(shares)
            name, when = f"0000.{len(self.executions):06d}.01", at or datetime.now(UTC)
            told_at = when.strftime("%Y%m%d %H:%M:%S UTC")
            execution = _Execution(order, name, shares, price, order.filled, told_at)
            self.executions.append(execution)
            order.status = "Filled" if order.filled >= order.quantity else order.status
            for connection in self.connections:
                with _unless_gone(connection):
                    self._tell_execution(connection, "-1", execution)
                    self._tell_status(connection, order)

    # -- connections ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing:
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(_Connection(accepted),), daemon=True).start()

    def _talk(self, connection: _Connection) -> None:
        try:
            assert _read(connection.socket, 4) == b"API\0"
            _read(connection.socket, struct.unpack(">I", _read(connection.socket, 4))[0])
            with self._lock:
                self.connections.append(connection)
                self._send(connection, self.version, datetime.now(UTC).strftime("%Y%m%d %H:%M:%S UTC"))
            while True:
                (length,) = struct.unpack(">I", _read(connection.socket, 4))
                fields = _read(connection.socket, length).decode().split("\0")[:-1]
                with self._lock:
                    self.asked.append(fields[0])
                    self._answer(connection, fields)
                    for message in connection.waiting:
                        connection.socket.sendall(message)
                    connection.waiting = []
        except (OSError, EOFError, ValueError):
            pass
        finally:
            _close(connection.socket)
            with self._lock:
                self.connections = [other for other in self.connections if other is not connection]

    def _send(self, connection: _Connection, *fields: object) -> None:
        message = "".join(f"{value}\0" for value in fields).encode()
        message = struct.pack(">I", len(message)) + message
        fault = self.faults.pop(self.sent, None)
        self.sent += 1
        match None if fault is None else fault.kind:
            case "cut":
                assert fault is not None
                connection.socket.sendall(message[: fault.bytes_sent % len(message)])
                raise EOFError
            case "drop":
                return
            case "late":
                connection.waiting.append(message)
                return
            case "double":
                message *= 2
            case int(code):
                self._error(connection, "-1", code, f"Code {code}.")
        connection.socket.sendall(message)

    def _error(self, connection: _Connection, order_id: str, code: int, text: str) -> None:
        self._send(connection, 4, 2, order_id, code, text, *([""] if self.version >= 166 else []))

    # -- answers -------------------------------------------------------------------------------------------------------

    def _answer(self, connection: _Connection, fields: list[str]) -> None:
        answers = {
            "71": self._start, "61": self._tell_positions, "5": self._tell_open_orders, "16": self._tell_open_orders,
            "99": self._tell_completed, "6": self._tell_account, "76": self._tell_accounts, "7": self._tell_executions,
            "3": self._place, "4": self._cancel, "49": self._tell_time, "62": self._tell_summary,
        }  # fmt: skip
        answers[fields[0]](connection, fields)

    def _start(self, connection: _Connection, fields: list[str]) -> None:
        connection.client = fields[2]
        if self.refuses_client:
            self._error(connection, "-1", 326, "Unable to connect as the client id is already in use.")
            raise EOFError
        self._send(connection, 15, 1, self.number)
        self._send(connection, 9, 1, self.next_id)

    def _tell_positions(self, connection: _Connection, _: list[str]) -> None:
        for name, (kind, shares) in self._positions().items():
            contract = {"symbol": name, "sec_type": kind, "local_symbol": name, "currency": "USD"}
            self._send(connection, 61, 3, self.number, *_values(_CONTRACT, contract), shares, "100")
        self._send(connection, 62, 1)

    def _tell_open_orders(self, connection: _Connection, _: list[str]) -> None:
        for order in self.orders:
            if order.is_open:
                self._tell_open(connection, order)
                self._tell_status(connection, order)
        self._send(connection, 53, 1)

    def _tell_completed(self, connection: _Connection, _: list[str]) -> None:
        for order in self.orders:
            if not order.is_open and self.remembers:
                known = order.fields | {"perm_id": str(order.perm_id), "status": order.status}
                known |= {"filled": f"{order.filled:g}", "completed_status": order.status}
                self._send(connection, 101, *self._named(_COMPLETED, known))
        self._send(connection, 102)

    def _tell_account(self, connection: _Connection, fields: list[str]) -> None:
        if fields[3] in {self.number, ""}:  # of another account nothing is told
            self._send(connection, 6, 2, "TotalCashValue", self.cash, "USD", self.number)
            self._send(connection, 54, 1, self.number)

    def _tell_accounts(self, connection: _Connection, fields: list[str]) -> None:
        self._send(connection, 73, 1, fields[2], fields[3], "", "TotalCashValue", self.cash, "USD")
        self._send(connection, 74, 1, fields[2])

    def _tell_executions(self, connection: _Connection, fields: list[str]) -> None:
        for execution in self.executions if self.remembers else ():
            self._tell_execution(connection, fields[2], execution)
        self._send(connection, 55, 1, fields[2])

    def _tell_summary(self, connection: _Connection, fields: list[str]) -> None:
        self._send(connection, 64, 1, fields[2])

    def _tell_time(self, connection: _Connection, _: list[str]) -> None:
        self._send(connection, 49, 1, int(time.time()))

    def _place(self, connection: _Connection, message: list[str]) -> None:
        order_id, fields = message[1], dict(zip(_PLACED, message[2:], strict=False))
        fields["client"] = connection.client
        ticker, ref = fields["symbol"], fields["ref"]
        is_taken = ticker == "TAKEN" and not any(kept.fields["symbol"] == "TAKEN" for kept in self.orders)
        if is_taken and order_id == str(self.next_id):
            self._error(connection, order_id, 103, "Duplicate order id.")
            return
        if ticker == "NONE":
            self._error(connection, order_id, 200, "No security definition has been found for the request.")
            return
        self.next_id = max(self.next_id, int(order_id)) + 1
        order = TwsOrder(order_id, 1000 + len(self.orders), fields)
        if ticker == "BAD":
            order.status = "Inactive"
            self._tell_open(connection, order)
            self._tell_status(connection, order)
            self._error(connection, order_id, 201, "Order rejected - reason: not enough money.")
            return
        self.orders.append(order)
        self.received.append(ref)
        match ticker:
            case "CUT":
                raise EOFError
            case "VOID":
                order.status = "Cancelled"
                self._error(connection, order_id, 202, "Order Canceled - reason: the session is over.")
            case "IDLE":
                order.status = "Inactive"
            case "NIGHT":
                order.status = "PreSubmitted"
                self._error(connection, order_id, 399, "Order Message: it waits for the next session.")
        self._tell_open(connection, order)
        self._tell_status(connection, order)

    def _cancel(self, connection: _Connection, fields: list[str]) -> None:
        order_id = fields[2]
        for order in self.orders:
            if order.order_id == order_id:
                if order.is_open:
                    order.status = "Cancelled"
                    self._error(connection, order_id, 202, "Order Canceled - reason: by the user.")
                    self._tell_status(connection, order)
                else:
                    self._error(connection, order_id, 161, "Cancel attempted when order is not in a cancellable state.")
                return
        self._error(connection, order_id, 10147, "OrderId that needs to be cancelled is not found.")

    # -- messages ------------------------------------------------------------------------------------------------------

    def _tell_open(self, connection: _Connection, order: TwsOrder) -> None:
        known = {"order_id": order.order_id, "perm_id": str(order.perm_id), "status": order.status}
        self._send(connection, 5, *self._named(_OPEN, order.fields | known))

    def _tell_status(self, connection: _Connection, order: TwsOrder) -> None:
        left = order.quantity - order.filled
        self._send(
            connection, 3, order.order_id, order.status, order.filled, left, 0, order.perm_id, 0, 0,
            order.fields["client"], "", 0,
        )  # fmt: skip

    def _tell_execution(self, connection: _Connection, request: str, execution: _Execution) -> None:
        order = execution.order
        side = "BOT" if order.fields["action"] == "BUY" else "SLD"
        more = ["", "", "", "1", *([""] if self.version >= 178 else [])]
        self._send(
            connection, 11, request, order.order_id, *_values(_CONTRACT, order.fields), execution.name, execution.time,
            self.number, "NYSE", side, execution.shares, execution.price, order.perm_id, order.fields["client"], 0,
            execution.total, execution.price, order.ref, *more,
        )  # fmt: skip
        self._send(connection, 59, 1, execution.name, "1.0", "USD", "", "", "")

    def _named(self, names: Sequence[str], known: dict[str, str]) -> list[str]:
        """Return the values of fields in their order, without those that this version of the protocol lacks."""
        values = []
        for name in names:
            if (name == "fa_profile" and self.version >= 177) or (
                name.rpartition("_")[2] in {"159", "160", "162", "170"} and self.version < int(name[-3:])
            ):
                continue
            values.append("0" if name == "0" else known.get(name, ""))
        return values

    def _positions(self) -> dict[str, tuple[str, float]]:
        held = {name: shares for name, (_, shares) in self.other_positions.items()}
        for execution in self.executions:
            ticker, sign = execution.order.fields["symbol"], 1 if execution.order.fields["action"] == "BUY" else -1
            held[ticker] = held.get(ticker, 0.0) + sign * float(execution.shares)
        return {name: (self.other_positions.get(name, ("STK", 0))[0], shares) for name, shares in held.items()}


@contextlib.contextmanager
def _unless_gone(connection: _Connection) -> Iterator[None]:
    """Close a connection whose client left a moment ago, which its own thread may not have noticed yet."""
    try:
        yield
    except (OSError, EOFError):
        _close(connection.socket)


def _values(names: Sequence[str], known: dict[str, Any]) -> list[str]:
    return [str(known.get(name, "")) for name in names]


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
