"""Remember which markets a key permits, so that the others are asked for once in a refresh."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from pm.sources.vendors.problems import NotPermittedError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PermittedMarkets"]

Result = TypeVar("Result")


class PermittedMarkets:
    """Markets that a key was found to permit, and those that it was not."""

    def __init__(self) -> None:
        self._permitted: set[str] = set()
        self._refused: dict[str, NotPermittedError] = {}
        self._first_of_a_market = Lock()

    def ask(self, market: str, send: Callable[[], Result]) -> Result:
        """Return what a function returns that asks for a ticker of a market.

        The first request of a market is waited for by the others. If the key does not permit it, they are not sent.

        Raises
        ------
        NotPermittedError
            The key does not permit the market.
        VendorError
            That of the function.
        """
        if market in self._permitted:
            return send()
        with self._first_of_a_market:  # the others wait for what is learnt of the first one
            if market in self._refused:
                raise NotPermittedError(self._refused[market].detail)
            try:
                result = send()
            except NotPermittedError as error:
                self._refused[market] = error
                raise
            self._permitted.add(market)
            return result
