"""What the vendors have in common that are asked with a key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pm.errors import SourceError
from pm.settings import KEYS_FILE
from pm.sources.vendors.asking import answers
from pm.sources.vendors.gate import Gate
from pm.sources.vendors.reply import json_of, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from pm.settings import Keys, RefreshSettings
    from pm.sources.base import Answer, Ask, Failure
    from pm.sources.vendors.client import Client
    from pm.sources.vendors.limits import Clock, Limits
    from pm.sources.vendors.reply import Reply

__all__ = ["KeyedSource"]

Result = TypeVar("Result")


class KeyedSource(ABC):
    """A source of daily bars from a vendor that is asked with a key.

    Parameters
    ----------
    settings
        Section `refresh` of the settings.
    keys
        Keys of the vendors.
    folder
        Folder of what is kept between commands.
    clock
        Clock to wait by; the computer's by default.

    Attributes
    ----------
    key_names
        Names of the keys that the vendor needs.
    usual_url
        Address of the vendor, which `refresh.base_urls` can replace.
    limits
        Limits of the vendor's free plan.
    """

    name: ClassVar[str]
    key_names: ClassVar[tuple[str, ...]]
    usual_url: ClassVar[str]
    limits: ClassVar[Limits]

    def __init__(self, settings: RefreshSettings, keys: Keys, folder: Path, clock: Clock | None = None) -> None:
        self.gate = Gate(self.name, settings, self.limits, folder, clock)
        self._keys = keys
        self._secrets = keys.secrets()
        self._client: Client | None = None

    def fetch(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        """Ask for some tickers, and yield one answer or failure for each; see `pm.sources.base.Source`.

        Raises
        ------
        SourceError
            There is no key.
        """
        return self._connected(asks, self._answers)

    def _connected(
        self, asks: Sequence[Ask], answers_to: Callable[[Sequence[Ask]], Iterator[Result]]
    ) -> Iterator[Result]:
        """Open the connection at once, so that a missing key is told; yield what comes, and close it after that."""
        if asks:
            self._connect()
        return self._closing(answers_to(asks))

    def _closing(self, outcomes: Iterator[Result]) -> Iterator[Result]:
        """Yield what comes of requests, and close the connections after them."""
        try:
            yield from outcomes
        finally:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _answers(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        return answers(self.gate, asks, self._answer)

    @abstractmethod
    def _answer(self, ask: Ask) -> Answer:
        """Return what the vendor has of a ticker, or raise a `VendorError`."""

    @abstractmethod
    def _credentials(self, keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the headers and the part of the query that hold the keys, which are in the order of `key_names`."""

    @property
    def _today(self) -> date:
        return self.gate.clock.now().date()

    def _connect(self) -> Client:
        if self._client is None:
            from pm.sources.vendors.client import Client

            held = [getattr(self._keys, name) for name in self.key_names]
            missing = [name for name, key in zip(self.key_names, held, strict=True) if key is None]
            if missing:
                raise SourceError(
                    f"There is no key {' and no key '.join(missing)}, which {self.name} needs.",
                    where=f"source {self.name!r}",
                    hint=f"set PM_KEYS__{missing[0].upper()}, or write `{missing[0]}: …` into {KEYS_FILE} of the "
                    "workspace; docs/vendors.md says where to get one",
                )
            headers, query = self._credentials([key.get_secret_value() for key in held])
            url = self.gate.settings.base_urls.get(self.name, self.usual_url)
            self._client = Client(self.gate, url, headers=headers, query=query, secrets=self._secrets)
        return self._client

    def _asked(self, path: str, parameters: Mapping[str, str | int], read: Callable[[Reply], Result]) -> Result:
        """Send one request, again where that may help, and return what is read from the reply.

        Parameters
        ----------
        read
            Function that raises a `VendorError` where the reply is one of failure.
        """
        return self.gate.attempt(lambda: read(self._connect().get(path, parameters)))

    def _words(self, reply: Reply, *names: str) -> str:
        """Return the vendor's own words about an error, without keys, where it sends them as JSON under a name."""
        if reply.status == 200 or "json" not in reply.type:
            return ""
        try:
            value: Any = json_of(reply)
        except Exception:  # noqa: BLE001 - the status says what is wrong
            return ""
        found = [value.get(name) for name in names] if isinstance(value, dict) else [value]
        return next((words for words in (said(one, self._secrets) for one in found) if words), "")
