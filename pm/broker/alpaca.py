"""Alpaca, by its own client (extra `alpaca`).

The client repeats a request by itself after 429 and 504, and sets no time-out. Here it has one, and repeats a request
after 429 alone: what became of an order whose answer was lost is found out by its name, which the broker accepts once.
An order that was refused because of too many requests is treated alike.
"""

from __future__ import annotations

import json
import time
import warnings
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from pm.broker.base import BadAnswerError, BrokerAccount, BrokerFill, BrokerOrder, RefusedError, UnreachableError
from pm.errors import BrokerError
from pm.ledger.money import ZERO, price, quantity
from pm.sources.symbols import symbol_for
from pm.tables.vocabulary import OrderState, OrderType, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pm.broker.base import OrderRequest

__all__ = ["Alpaca"]

_STATES = {
    "new": OrderState.ACCEPTED,
    "accepted": OrderState.ACCEPTED,
    "pending_new": OrderState.ACCEPTED,
    "accepted_for_bidding": OrderState.ACCEPTED,
    "held": OrderState.ACCEPTED,
    "calculated": OrderState.ACCEPTED,
    "stopped": OrderState.ACCEPTED,
    "suspended": OrderState.ACCEPTED,
    "pending_cancel": OrderState.ACCEPTED,
    "pending_replace": OrderState.ACCEPTED,
    "partially_filled": OrderState.PARTLY_FILLED,
    "filled": OrderState.FILLED,
    "done_for_day": OrderState.EXPIRED,
    "expired": OrderState.EXPIRED,
    "canceled": OrderState.CANCELLED,
    "replaced": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
}
_PRACTICE = "PA"
"""First letters of the number of an account for practice."""
_PAGE = 100
"""Largest number of trades of an answer."""
_ORDERS = 500
"""Largest number of orders of an answer."""
_UNDECIDED = {408, 425}
"""Statuses of a question that came too slowly or too early, so that nothing was decided."""
_PAUSES = (0.1, 0.2, 0.4)
"""Pauses before a question is repeated that was refused as one too many, in shares of the time-out."""


class Alpaca:
    """An account at Alpaca.

    Parameters
    ----------
    key, secret
        Identifier and secret of a key.
    url
        Address of the service.
    live
        Whether the address is that for real money.
    timeout
        Seconds to wait for an answer.

    Raises
    ------
    BrokerError
        The client is not installed.
    """

    name = "alpaca"
    remembers: timedelta | None = None

    def __init__(self, key: str, secret: str, *, url: str, live: bool, timeout: float) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the web sockets that the client imports
                from alpaca.trading.client import TradingClient
        except ImportError:
            raise BrokerError(
                "The client of Alpaca is not installed.",
                where="package alpaca-py",
                hint='python -m pip install "portfolio-maximizer[alpaca]"',
            ) from None
        self._client = TradingClient(key, secret, paper=not live, url_override=url, raw_data=True)
        self._client._retry_codes = []  # noqa: SLF001 - a POST must not be repeated by itself
        session = self._client._session  # noqa: SLF001 - the client has no option for a time-out
        send = session.request

        def request(method: str, address: str, **options: Any) -> Any:  # noqa: ANN401 - requests' own
            return send(method, address, timeout=timeout, **options)

        session.request = request  # type: ignore[assignment,method-assign]
        self._close = session.close
        self._timeout = timeout

    def account(self) -> BrokerAccount:
        """Return the account, its cash and its positions."""
        told = self._ask("account", self._client.get_account)
        positions = self._ask("positions", self._client.get_all_positions)
        clock = self._ask("clock", self._client.get_clock)
        number = _text(told, "account_number")
        return BrokerAccount(
            number=number,
            currency=_text(told, "currency"),
            cash=_decimal(told, "cash"),
            positions={_text(row, "symbol"): quantity(_decimal(row, "qty")) for row in _list(positions)},
            clock=_time(clock, "timestamp"),
            live=not number.startswith(_PRACTICE),
        )

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order once, and return it as the broker has it; also if the broker has it already."""
        fields: dict[str, Any] = {
            "symbol": symbol_for(self.name, request.ticker),
            "qty": f"{request.quantity.normalize():f}",
            "side": request.side,
            "type": request.order_type,
            "time_in_force": request.time_in_force,
            "client_order_id": request.order_id,
        }
        if request.order_type == OrderType.LIMIT:
            fields["limit_price"] = f"{request.limit_price:.4f}".rstrip("0").rstrip(".")
        if request.order_type == OrderType.STOP:
            fields["stop_price"] = f"{request.stop_price:.4f}".rstrip("0").rstrip(".")
        try:
            told = self._ask("order", lambda: self._client.post("/orders", fields))
        except RefusedError as refused:
            # The broker refuses a name that it has: then it has the order, and that is success.
            try:
                known = self.find(request.order_id)
            except RefusedError as error:  # so that it cannot be found out now
                raise UnreachableError(error.what, where=error.where, hint="pm trade sync") from None
            if known is None:
                raise refused from None
            return known
        return _order(told)

    def find(self, order_id: str) -> BrokerOrder | None:
        """Return the order of our name; None if the broker does not know it."""
        try:
            return _order(self._ask("order", lambda: self._client.get_order_by_client_id(order_id)))
        except _UnknownError:
            return None

    def orders(self) -> Sequence[BrokerOrder]:
        """Return the newest orders, open and ended."""
        asked = {"status": "all", "limit": _ORDERS, "direction": "desc", "nested": "false"}
        return [_order(row) for row in _list(self._ask("orders", lambda: self._client.get("/orders", asked)))]

    def fills(self, since: date) -> Sequence[BrokerFill]:
        """Return the trades from a day on."""
        found: list[BrokerFill] = []
        token: str | None = None
        while True:
            asked = {"after": f"{since}T00:00:00Z", "direction": "asc", "page_size": str(_PAGE)}
            asked |= {"page_token": token} if token is not None else {}
            call = partial(self._client.get, "/account/activities/FILL", asked)
            rows = _list(self._ask("trades", call))
            found += [_fill(row) for row in rows]
            if len(rows) < _PAGE or (token := _text(rows[-1], "id")) is None:
                return found

    def cancel(self, order: BrokerOrder) -> None:
        """Ask the broker to cancel an order."""
        try:
            self._ask("cancel", lambda: self._client.delete(f"/orders/{order.broker_order_id}"))
        except RefusedError:
            return  # it has ended: `find` tells how

    def close(self) -> None:
        """End the connection."""
        self._close()

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of an answer, or raise what became of the question.

        A question that the broker refused because it is asked too often was not read, and is asked again after a pause.
        """
        for pause in _PAUSES:
            try:
                return self._ask_once(what, call)
            except _TooOftenError:
                time.sleep(pause * self._timeout)
        return self._ask_once(what, call)

    def _ask_once(self, what: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
        import requests
        from alpaca.common.exceptions import APIError

        where = f"Alpaca, {what}"
        try:
            return call()
        except APIError as error:
            response = getattr(getattr(error, "_http_error", None), "response", None)
            status = getattr(response, "status_code", None)
            said = _said(str(error))
            if status == 404:
                raise _UnknownError(f"Alpaca does not know it: {said}", where=where) from None
            if status == 401:
                raise RefusedError(
                    f"Alpaca refuses the key: {said}", where=where, hint="correct alpaca and alpaca_secret in keys.yml"
                ) from None
            if status == 429:
                raise _TooOftenError(f"Alpaca is asked too often: {said}", where=where, hint="try later") from None
            if status is not None and 400 <= status < 500 and status not in _UNDECIDED:
                raise RefusedError(f"Alpaca refuses: {said}", where=where) from None
            raise UnreachableError(f"Alpaca failed ({status}): {said}", where=where, hint="pm trade sync") from None
        except requests.exceptions.JSONDecodeError:
            raise BadAnswerError("Alpaca's answer is no JSON.", where=where, hint="pm trade sync") from None
        except requests.exceptions.RequestException as error:
            raise UnreachableError(
                f"Alpaca gave no answer: {type(error).__name__}.", where=where, hint="pm trade sync"
            ) from None


class _UnknownError(RefusedError):
    """Alpaca does not know what was asked for."""


class _TooOftenError(UnreachableError):
    """Alpaca has refused a question because there were too many, so that it decided nothing."""


def _order(row: Any) -> BrokerOrder:  # noqa: ANN401 - JSON
    status = _text(row, "status")
    if status not in _STATES:
        raise BadAnswerError(f"Alpaca tells an order of unknown status {status!r}.", where="Alpaca, order")
    return BrokerOrder(
        order_id=_text(row, "client_order_id"),
        broker_order_id=_text(row, "id"),
        ticker=_text(row, "symbol"),
        state=_STATES[status].value,
        quantity=quantity(_decimal(row, "qty")) if row.get("qty") is not None else ZERO,
        filled=quantity(_decimal(row, "filled_qty")),
        detail=None if status in {"new", "accepted", "filled"} else status,
    )


def _fill(row: Any) -> BrokerFill:  # noqa: ANN401 - JSON
    return BrokerFill(
        fill_id=_text(row, "id"),
        order_id=None,
        broker_order_id=_text(row, "order_id"),
        ticker=_text(row, "symbol"),
        side=(Side.BUY if _text(row, "side").startswith("buy") else Side.SELL).value,
        quantity=quantity(_decimal(row, "qty")),
        price=price(_decimal(row, "price")),
        commission=ZERO,
        time=_time(row, "transaction_time"),
    )


def _said(text: str) -> str:
    """Return the message of an error's JSON, or the beginning of another text."""
    try:
        return str(json.loads(text)["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:80] or "no text"


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    if not isinstance(value, list):
        raise BadAnswerError("Alpaca's answer is no list.", where="Alpaca")
    return value


def _text(row: Any, name: str) -> str:  # noqa: ANN401 - JSON
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value:
        raise BadAnswerError(f"Alpaca's answer lacks {name}.", where="Alpaca")
    return value


def _decimal(row: Any, name: str) -> Decimal:  # noqa: ANN401 - JSON
    try:
        number = Decimal(_text(row, name))
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadAnswerError(f"Alpaca's {name} is no number.", where="Alpaca")
    return number


def _time(row: Any, name: str) -> datetime:  # noqa: ANN401 - JSON
    text = _text(row, name)
    head, _, fraction = text.replace("Z", "+00:00").partition(".")
    if fraction:  # nanoseconds, which Python does not read
        digits = "".join(sign for sign in fraction.split("+")[0].split("-")[0])[:6]
        zone = fraction[len(fraction.split("+")[0].split("-")[0]) :]
        head = f"{head}.{digits}{zone}"
    try:
        return datetime.fromisoformat(head).astimezone(UTC).replace(tzinfo=None)
    except ValueError:
        raise BadAnswerError(f"Alpaca's {name} is no time.", where="Alpaca") from None
