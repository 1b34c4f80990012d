"""Stage `texts`: news of the tickers on the watch list, into table raw.texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.clock import utc_now, utc_today
from pm.errors import SettingsError
from pm.pipeline.news import asking
from pm.pipeline.news_due import news_members
from pm.pipeline.stage import Context, Stage
from pm.settings import load_keys
from pm.sources.registry import TEXT_VENDOR
from pm.tables.sources import FETCHES, RAW_TEXTS, TEXT_FETCHES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.pipeline.writes import Result

__all__ = ["STAGE"]


def _idle(context: Context) -> str | None:
    """Return in a sentence why no ticker is asked for; None if one is. No vendor is imported."""
    if (reason := _impossible(context)) is not None:
        return reason
    members, now = news_members(context.rows, context.request), utc_now()
    if not members:
        return "no ticker on the watch list"
    if any(member.is_due(now) for member in members):
        return None
    next_due = min(member.due_at for member in members if member.due_at is not None)
    return f"no news are due before {next_due:%Y-%m-%d %H:%M} UTC"


def _impossible(context: Context) -> str | None:
    """Return why no ticker can be asked for, whatever the lake has; None if nothing is in the way."""
    as_of = context.request.as_of
    if as_of is not None and as_of < utc_today():
        return "no news for a look at a past day"
    if context.settings.refresh.news_minutes == 0:
        return "no news (refresh.news_minutes is 0)"
    try:
        key = getattr(load_keys(context.workspace.root), TEXT_VENDOR)
    except SettingsError as error:
        return f"no news: {error.what}"
    return f"no key of {TEXT_VENDOR}, which has news" if key is None else None


def _compute(context: Context) -> Iterator[Result]:
    now = utc_now()
    return asking(context, [member for member in news_members(context.rows, context.request) if member.is_due(now)])


STAGE = Stage(
    "texts",
    _compute,
    reads=(UNIVERSE, FETCHES),
    writes=(RAW_TEXTS, TEXT_FETCHES),
    depends=lambda _: None,
    idle=_idle,
    network=True,
)
"""Ask for the news of each ticker once a day, if there is a key. No failure of a vendor makes this stage fail.

What comes lands in pieces, a commit each, so that a refresh that is cut off keeps what it has.
"""
