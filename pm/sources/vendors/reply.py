"""What a vendor replied, checked before anything is read from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pm.sources.vendors.problems import (
    CutReplyError,
    GoneError,
    InvalidReplyError,
    KeyRefusedError,
    LimitedError,
    NotPermittedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Pairs", "Reply", "json_of", "raise_for_status", "redacted", "retry_moment", "said"]

_SAID = 200
"""Largest number of characters of a vendor's own words in a message."""


@dataclass(frozen=True)
class Reply:
    """A reply, read to its end.

    Attributes
    ----------
    status
        HTTP status.
    headers
        Headers, by names in small letters.
    content
        Content, not compressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def type(self) -> str:
        """Type of the content in small letters, without its parameters; empty if the vendor sends none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Pairs(dict[str, Any]):
    """A mapping of JSON that remembers all its pairs, where a key is there twice.

    Attributes
    ----------
    pairs
        Keys and values, as they were sent.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def json_of(reply: Reply) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value of a reply. `NaN` and infinities, which no JSON has, are read as such.

    Raises
    ------
    CutReplyError
        It is another type, or cut off.
    """
    if reply.type and "json" not in reply.type and not reply.type.startswith("text/plain"):
        raise CutReplyError(f"The reply is {reply.type[:60]} and not JSON.")
    try:
        return json.loads(reply.content, object_pairs_hook=Pairs)
    except RecursionError:
        raise InvalidReplyError("The reply is nested too deeply.") from None
    except ValueError:
        raise CutReplyError(
            "The reply is empty." if not reply.content.strip() else "The reply is no JSON, or cut off."
        ) from None


def raise_for_status(reply: Reply, *, now: datetime, words: str = "") -> None:
    """Raise the error of a reply that is none of success.

    Parameters
    ----------
    now
        The present moment in UTC, without a zone.
    words
        What the vendor says about it, without keys.

    Raises
    ------
    VendorError
        The status is not 200.
    """
    if reply.status == 200:
        return
    told = f": {words.rstrip('.')}." if words else "."
    moment = retry_moment(reply, now)
    if reply.status == 429 or (reply.status == 503 and moment is not None):
        until = "" if moment is None else f" until {moment:%Y-%m-%d %H:%M} UTC"
        raise LimitedError(f"The vendor asks to wait{until} (HTTP {reply.status}){told}", retry_after=moment)
    if reply.status in {401, 403}:
        raise KeyRefusedError(
            f"The vendor refuses the key (HTTP {reply.status}){told.rstrip('.')}. Check it in keys.yml."
        )
    if reply.status == 402:
        raise NotPermittedError(f"The key does not permit it (HTTP 402){told}")
    if reply.status in {404, 410} and "json" in reply.type:  # a wrong address has a page of its own
        raise GoneError(f"The vendor does not know the symbol (HTTP {reply.status}){told}")
    if reply.status >= 500 or reply.status == 408:
        raise UnreachableError(f"The vendor's server has an error (HTTP {reply.status}){told}")
    if 300 <= reply.status < 400:
        raise InvalidReplyError(f"The vendor leads elsewhere (HTTP {reply.status}), which is not followed.")
    raise InvalidReplyError(f"The vendor does not take the request (HTTP {reply.status}){told}")


def retry_moment(reply: Reply, now: datetime) -> datetime | None:
    """Return the time in UTC, without a zone, that header Retry-After names by seconds or a date; None without one."""
    value = reply.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        seconds = min(int(value[:12]), 366 * 86_400)
        return datetime.fromtimestamp(now.replace(tzinfo=UTC).timestamp() + seconds, UTC).replace(tzinfo=None)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


def said(words: object, secrets: tuple[str, ...]) -> str:
    """Return a vendor's own words for a message: one short line without keys; empty if they are no text."""
    if not isinstance(words, str):
        return ""
    line = " ".join(redacted(words, secrets).split())
    return line if len(line) <= _SAID else f"{line[:_SAID]}…"


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text with every key replaced by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
