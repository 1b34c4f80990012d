"""Yahoo: daily bars of most exchanges, without a key."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pm.errors import PmError, SourceError
from pm.sources.vendors.asking import answers
from pm.sources.vendors.gate import Gate
from pm.sources.vendors.limits import Limits
from pm.sources.vendors.problems import LimitedError, NoBarsError, UnreachableError, VendorError
from pm.sources.vendors.reply import json_of, raise_for_status
from pm.sources.vendors.yahoo_chart import NAME, no_bars, read_chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pm.settings import Keys, RefreshSettings
    from pm.sources.base import Answer, Ask, Failure
    from pm.sources.vendors.limits import Clock
    from pm.sources.vendors.yahoo_session import Transport

__all__ = ["LIMITS", "YahooSource"]

LIMITS = Limits(per_second=5, per_minute=240)
"""Limits that are ours, for Yahoo publishes none and asks to wait where it finds a program too busy."""
_CHART = "https://query2.finance.yahoo.com/v8/finance/chart/{symbol}"
_BEGINNING = -2_208_988_800
"""1900-01-01, in seconds since 1970: before the first bar of any share."""


class YahooSource:
    """Source of daily bars from Yahoo.

    Its prices, volume and dividends are adjusted for splits; they are undone by the splits of the same reply, which
    always reaches to today.

    Parameters
    ----------
    settings
        Section `refresh` of the settings.
    keys
        Keys; Yahoo needs none.
    folder
        Folder of what is kept between commands.
    clock
        Clock to wait by; the computer's by default.
    """

    name = NAME
    key_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: RefreshSettings, keys: Keys, folder: Path, clock: Clock | None = None) -> None:
        del keys
        self.gate = Gate(NAME, settings, LIMITS, folder, clock)
        self._transport: Transport | None = None

    def fetch(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        """Ask for some tickers, and yield one answer or failure for each; see `pm.sources.base.Source`.

        Raises
        ------
        SourceError
            Package yfinance or curl_cffi cannot be imported.
        """
        if asks:
            self._connect()
        return answers(self.gate, asks, self._answer)

    def _connect(self) -> Transport:
        if self._transport is None:
            try:
                from pm.sources.vendors.yahoo_session import GatedSession, Transport  # yfinance takes long to import
            except ImportError as error:
                raise SourceError(
                    f"Yahoo cannot be asked, for a package is missing or broken: {error}.",
                    where="source 'yahoo'",
                    hint="install it again: python -m pip install --force-reinstall yfinance curl_cffi",
                ) from None
            self._transport = Transport.of(GatedSession(self.gate, self.gate.settings.base_urls.get(NAME)))
        return self._transport

    def _answer(self, ask: Ask) -> Answer:
        now = self.gate.clock.now().replace(tzinfo=UTC)
        # A day earlier, since days begin earlier in the east; a day later, so that all splits are known.
        start = _BEGINNING if ask.start is None else _seconds(datetime.combine(ask.start, time(), UTC)) - 86_400
        parameters: dict[str, str | int] = {
            "period1": start,
            "period2": _seconds(now + timedelta(days=1)),
            "interval": "1d",
            "includePrePost": "false",
            "events": "div,splits,capitalGains",
        }
        url = _CHART.format(symbol=quote(ask.symbol, safe=""))
        try:
            chart = self.gate.attempt(lambda: self._chart(url, parameters))
        except NoBarsError:
            return no_bars(ask)
        return read_chart(chart, ask, now.date())

    def _chart(self, url: str, parameters: dict[str, str | int]) -> Any:  # noqa: ANN401 - any JSON value
        try:
            reply = self._connect().chart(url, parameters)
        except (VendorError, PmError):
            raise
        except Exception as error:  # noqa: BLE001 - yfinance raises whatever a page without its form makes it raise
            raise UnreachableError(f"yfinance could not ask Yahoo ({type(error).__name__}).") from None
        if reply.status in {401, 403}:
            raise LimitedError(f"Yahoo refuses requests from this computer's address (HTTP {reply.status}).")
        raise_for_status(reply, now=self.gate.clock.now())
        return json_of(reply)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
