"""Define what a source of texts is asked, and what it answers; and clean what it sends."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import polars as pl

from pm.plural import plural
from pm.tables.sources import RAW_TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pm.sources.base import Ask, Failure

__all__ = ["TEXTS_SCHEMA", "TextAnswer", "TextSource", "cleaned", "one_line", "web_address"]

TEXTS_SCHEMA = pl.Schema(
    {name: dtype for name, dtype in RAW_TEXTS.polars_schema.items() if name not in {"fetched_at", "run_id"}}
)
"""Columns of delivered texts: those of raw.texts without the ones that are added when they are stored."""

_NO_CHARACTERS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Control characters that are no white space, and halves of surrogates."""
_SPACES = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\n{3,}")
_ADDRESS = re.compile(r"https?://[^\s\"<>\\^`{|}]{1,2000}", re.IGNORECASE)
_CUT = "…"
"""Last character of a text that is longer than allowed."""
_ENTITIES = 20
"""Number of characters of a long text, for each one allowed, that are read: entities and spaces shrink."""


@dataclass(frozen=True)
class TextAnswer:
    """What a source of texts answered for a ticker.

    Attributes
    ----------
    ask
        What was asked.
    texts
        Texts with the columns of `TEXTS_SCHEMA`, by time of publication, each identifier once. Can be empty.
    sent
        Number of all texts of the reply, also of those that are there twice or were refused.
    refused
        Number of texts that cannot be used, by what is wrong with them, such as 'without a headline'.
    seconds
        Time that the request took.
    """

    ask: Ask
    texts: pl.DataFrame
    sent: int
    refused: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def refusals(self) -> str | None:
        """What was refused, in a sentence; None if nothing was."""
        if not self.refused:
            return None
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.refused.items()))
        return f"{plural(sum(self.refused.values()), 'text')} of {self.sent:,} cannot be used: {reasons}."


@runtime_checkable
class TextSource(Protocol):
    """A source that texts can be fetched from."""

    @property
    def name(self) -> str:
        """Name of the source, which is also the value of column `source` of its texts."""
        ...

    def texts(self, asks: Sequence[Ask]) -> Iterator[TextAnswer | Failure]:
        """Ask for the texts about some tickers, and yield an answer or a failure for each, in any order, as they come.

        Closing the iterator ends the requests under way.

        Raises
        ------
        SourceError
            Nothing can be asked of the source at all: it needs a key that is missing.
        """
        ...

    def count_earlier(self, *, bars: int, texts: int, seconds: float) -> None:
        """Count what other commands and stages have asked of the source against its limits.

        Parameters
        ----------
        bars, texts
            Numbers of tickers whose bars and whose texts were asked for.
        seconds
            Time since then.
        """
        ...


def cleaned(value: object, longest: int = 100_000) -> str | None:
    r"""Return a text as people read it; None if it is no text, or nothing is left of it.

    - HTML entities are decoded, once: `AT&amp;T` is `AT&T`. Tags stay, since a text may contain `a < b`.
    - Control characters and halves of surrogates are removed; of white space only single spaces, line ends and one
      empty line between paragraphs are left.
    - What is longer than allowed is cut off, and ends in `…`.

    Parameters
    ----------
    value
        What a source sent.
    longest
        Largest number of characters.

    Examples
    --------
    >>> cleaned("  AT&amp;T \x00 rises\r\n\r\n\r\nby 5%&nbsp;&#8211; so&#32;far")
    'AT&T rises\n\nby 5% – so far'
    """
    if not isinstance(value, str):
        return None
    decoded = html.unescape(value[: _ENTITIES * longest]).replace("\r\n", "\n").replace("\r", "\n")
    lines = _SPACES.sub(" ", _NO_CHARACTERS.sub("", decoded)).split("\n")
    text = _EMPTY_LINES.sub("\n\n", "\n".join(line.strip() for line in lines)).strip()
    if len(text) > longest:
        text = text[: longest - len(_CUT)].rstrip() + _CUT
    return text or None


def one_line(value: object, longest: int = 1_000) -> str | None:
    r"""Return a text as `cleaned` does, in one line.

    Examples
    --------
    >>> one_line("Profit\n warning &gt; 3%")
    'Profit warning > 3%'
    """
    text = cleaned(value, longest)
    return None if text is None else " ".join(text.split())


def web_address(value: object) -> str | None:
    """Return the address of a page; None if it is none of the web, or has characters that no address has.

    Examples
    --------
    >>> web_address(" https://example.com/a?b=1 "), web_address("javascript:alert(1)")
    ('https://example.com/a?b=1', None)
    """
    if not isinstance(value, str):
        return None
    address = value.strip()
    return address if _ADDRESS.fullmatch(address) and address.isprintable() else None
