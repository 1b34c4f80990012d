"""A server on 127.0.0.1 that speaks the part of Alpaca's interface which orders need, and can fail in any way."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

__all__ = ["AlpacaServer", "Fault"]


class Fault:
    """What goes wrong with one answer.

    Parameters
    ----------
    kind
        'before' closes the connection before anything is done; 'after' once it is done, without an answer; 'cut' sends
        the first bytes of the answer; 'late' does what was asked when the connection is closed already; 'html' sends a
        page in place of JSON; a number sends this status, with 'done' before or after doing what was asked.
    """

    def __init__(self, kind: str | int, *, done: bool = True, bytes_sent: int = 0) -> None:
        self.kind = kind
        self.done = done
        self.bytes_sent = bytes_sent


class AlpacaServer:
    """An account at Alpaca: orders, trades, positions and cash."""

    def __init__(self, *, price: str = "100", number: str = "PA1") -> None:
        self.price = price
        self.number = number
        self.orders: dict[str, dict[str, Any]] = {}
        self.received: list[str] = []
        """Names of the orders that were accepted, in the order in which they came."""
        self.trades: list[dict[str, Any]] = []
        self.positions: dict[str, float] = {}
        self.cash = "100000"
        self.late: list[dict[str, Any]] = []
        self.faults: list[Fault | None] = []
        """What goes wrong with the next answers; None for nothing."""
        self.requests = 0
        """Number of requests that came."""
        self.delay = 0.0
        """Seconds between what a request asks and its answer."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server.handle(self, None)

            def do_DELETE(self) -> None:
                server.handle(self, None)

            def do_POST(self) -> None:
                server.handle(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()

    def deliver_late(self) -> None:
        """Do what requests asked whose connection was closed."""
        for body in self.late:
            self._accept(body)
        self.late = []

    def fill(self, name: str, shares: str, price: str | None = None, *, at: datetime | None = None) -> None:
        """Trade a part of an order, now or at a time in UTC."""
        order = self.orders[name]
        filled = float(order["filled_qty"]) + float(shares)
        order["filled_qty"] = f"{filled:g}"
        order["status"] = "filled" if filled >= float(order["qty"]) else "partially_filled"
        sign = 1 if order["side"] == "buy" else -1
        self.trade(order["symbol"], sign * float(shares))
        self.trades.append(
            {
                "id": f"{len(self.trades):020d}::{uuid4()}", "activity_type": "FILL", "order_id": order["id"],
                "symbol": order["symbol"], "side": order["side"], "qty": shares, "price": price or self.price,
                "transaction_time": _now(at), "type": "fill",
            }
        )  # fmt: skip

    def trade(self, symbol: str, shares: float) -> None:
        """Change the position of a symbol."""
        self.positions[symbol] = self.positions.get(symbol, 0) + shares

    def trade_by_hand(self, symbol: str, side: str, shares: str) -> None:
        """Trade what no order of ours says, as a person does on the broker's page."""
        self.trade(symbol, float(shares) if side == "buy" else -float(shares))
        self.trades.append(
            {
                "id": f"{len(self.trades):020d}::{uuid4()}", "activity_type": "FILL", "order_id": str(uuid4()),
                "symbol": symbol, "side": side, "qty": shares, "price": self.price, "transaction_time": _now(),
                "type": "fill",
            }
        )  # fmt: skip

    # -- answers -----------------------------------------------------------------------------------------------------

    def handle(self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        """Answer a request, or fail to."""
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else None
        kind = None if fault is None else fault.kind
        if kind == "before":
            request.close_connection = True
            return
        if kind == "late" and body is not None:
            self.late.append(body)
            request.close_connection = True
            return
        if isinstance(kind, int) and fault is not None and not fault.done:
            status, content = kind, {"code": kind * 100_000, "message": "failed"}
        else:
            status, content = self._answer(request, body)
        time.sleep(self.delay)
        if kind in {"after", "late"}:
            request.close_connection = True
            return
        if isinstance(kind, int):
            status, content = kind, {"code": kind * 100_000, "message": "failed"}
        data = b"<html>gateway</html>" if kind == "html" else b"" if content is None else json.dumps(content).encode()
        request.send_response(status)
        request.send_header("Content-Type", "text/html" if kind == "html" else "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if kind == "cut" and fault is not None:
            request.wfile.write(data[: fault.bytes_sent])
            request.close_connection = True
            return
        request.wfile.write(data)

    def _answer(  # noqa: PLR0911 - one for each address
        self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None
    ) -> tuple[int, Any]:
        if request.headers["APCA-API-KEY-ID"] != "key":
            return 401, {"code": 40110000, "message": "request is not authorized"}
        address = urlsplit(request.path)
        path, query = address.path.removeprefix("/v2"), parse_qs(address.query)
        match request.command, path:
            case "GET", "/account":
                return 200, {"account_number": self.number, "currency": "USD", "cash": self.cash, "status": "ACTIVE"}
            case "GET", "/positions":
                return 200, [{"symbol": s, "qty": f"{n:g}"} for s, n in self.positions.items() if n]
            case "GET", "/clock":
                return 200, {"timestamp": _now(), "is_open": True}
            case "GET", "/orders":
                return 200, list(self.orders.values())
            case "GET", "/orders:by_client_order_id":
                found = self.orders.get(query["client_order_id"][0])
                return (200, found) if found else (404, {"code": 40410000, "message": "order not found"})
            case "GET", "/account/activities/FILL":
                rows = [row for row in self.trades if row["id"] > query.get("page_token", [""])[0]]
                return 200, rows[: int(query["page_size"][0])]
            case "POST", "/orders":
                assert body is not None
                return self._accept(body)
            case "DELETE", _:
                return self._cancel(path.rpartition("/")[2])
        return 404, {"message": "endpoint not found"}

    def _accept(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["client_order_id"]
        if name in self.orders:
            return 422, {"code": 40010001, "message": "client_order_id must be unique"}
        if body["symbol"] == "BAD":
            return 422, {"code": 42210000, "message": "asset not found"}
        self.orders[name] = {
            "id": str(uuid4()), "client_order_id": name, "symbol": body["symbol"], "qty": body["qty"],
            "filled_qty": "0", "side": body["side"], "type": body["type"], "status": "accepted",
        }  # fmt: skip
        self.received.append(name)
        return 200, self.orders[name]

    def _cancel(self, number: str) -> tuple[int, Any]:
        for order in self.orders.values():
            if order["id"] == number and order["status"] in {"accepted", "partially_filled"}:
                order["status"] = "canceled"
                return 204, None
        return 422, {"code": 42210000, "message": "order is not cancelable"}


def _now(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"
