"""Read Finnhub's company news: headlines and summaries of articles, each with its publisher and address."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.sources.texts import TEXTS_SCHEMA, TextAnswer, cleaned, one_line, web_address
from pm.sources.ticker_spellings import spelling_key
from pm.sources.vendors.problems import InvalidReplyError, OtherSymbolError
from pm.sources.vendors.reply import redacted
from pm.sources.vendors.rows import number, text

if TYPE_CHECKING:
    from pm.sources.base import Ask

__all__ = ["read_news"]

_OLDEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
"""Time before which nothing was published that a vendor of news could send, in seconds since 1970."""
_LARGEST_ID = 2**63
_SYMBOLS = re.compile(r"[,;|]")
"""Characters between the symbols that an article is related to."""


class _RefusedTextError(Exception):
    """An article cannot be used; the words say what is wrong with it, after its number."""


def read_news(value: Any, ask: Ask, now: datetime, secrets: tuple[str, ...] = ()) -> TextAnswer:  # noqa: ANN401 - any JSON value
    """Return the articles of a reply, each of them either as a text or counted as refused.

    An article is refused without an identifier or a headline, with a time of publication that is no time, before 1990
    or still to come, and if it names other symbols alone. Headlines, summaries and publishers are cleaned as
    `pm.sources.texts.cleaned` says; an address that is none of the web is left out. Of an identifier that is there
    twice, the article that was published first is kept.

    Parameters
    ----------
    now
        The present moment in UTC, without a zone.
    secrets
        Keys, which are taken out of the texts.

    Raises
    ------
    VendorError
        The reply has not the form of a list of articles, or all of them are about other symbols.
    """
    if not isinstance(value, list):
        raise InvalidReplyError("The reply is no list of articles.")
    rows, refused = [], Counter[str]()
    for article in value:
        try:
            rows.append(_text(article, ask, now, secrets))
        except _RefusedTextError as error:
            refused[str(error)] += 1
    if value and refused[_OTHER] == len(value):
        raise OtherSymbolError(f"Finnhub was asked for news of {ask.symbol} and sent news of others alone.")
    texts = pl.DataFrame(rows, schema=TEXTS_SCHEMA, orient="row").sort("published_at", maintain_order=True)
    texts = texts.unique("source_id", keep="first", maintain_order=True)
    return TextAnswer(ask, texts, sent=len(value), refused=dict(refused))


_OTHER = "about other symbols"


def _text(article: Any, ask: Ask, now: datetime, secrets: tuple[str, ...]) -> tuple[object, ...]:  # noqa: ANN401 - any JSON value
    """Return the row of an article."""
    if not isinstance(article, dict):
        raise _RefusedTextError("of another form")
    related = text(article.get("related"))
    if related is not None and not _names(related, ask.symbol):
        raise _RefusedTextError(_OTHER)
    identifier = _identifier(article.get("id"))
    if identifier is None:
        raise _RefusedTextError("without an identifier")
    headline = one_line(article.get("headline"))
    if headline is None:
        raise _RefusedTextError("without a headline")
    summary, publisher = cleaned(article.get("summary")), one_line(article.get("source"), 200)
    words = (headline, summary, publisher, web_address(article.get("url")))
    headline, summary, publisher, url = (None if word is None else redacted(word, secrets) for word in words)
    return (ask.ticker, _time(article, now), headline, summary, publisher, url, "finnhub", identifier)


def _names(related: str, symbol: str) -> bool:
    keys = {spelling_key(name) for name in _SYMBOLS.split(related)}
    return spelling_key(symbol) in keys


def _identifier(value: object) -> str | None:
    """Return an identifier as text; Finnhub's are numbers from 1 on."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < _LARGEST_ID else None
    return one_line(value, 200)


def _time(article: dict[str, Any], now: datetime) -> datetime:
    """Return the time of publication in UTC, without a zone, which an article has as seconds since 1970."""
    seconds = number(article.get("datetime"))
    if seconds is None or not seconds >= _OLDEST:
        raise _RefusedTextError("without a time of publication")
    if seconds > now.replace(tzinfo=UTC).timestamp():
        raise _RefusedTextError("of a time to come")
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
