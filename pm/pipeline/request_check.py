"""Refuse, before any stage, a request that no stage could do: unknown sources and tickers, and days without bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.clock import utc_today
from pm.errors import InputError, SourceError, UnknownTickerError
from pm.pipeline.watch_list import TICKERS_OF_BARS, run_tickers, watched_sources
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.base import Answer, Ask
from pm.sources.names import FILES, SAMPLE

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.pipeline.request import Request

__all__ = ["check_request"]

_UNCHECKED = (
    "SELECT 1 AS found FROM raw.batches LEFT JOIN reconciliation r USING (batch_id) WHERE r.batch_id IS NULL LIMIT 1"
)

_OF_VENDORS = "SELECT ticker, source FROM universe WHERE list_contains(?, source)"


def check_request(lake: Lake, request: Request) -> None:
    """Check that the source and the tickers of a request are known and that its day is one with bars.

    What only a fetch or the check of landed bars can tell is left to the stages.

    Raises
    ------
    SettingsError
        There is no source of this name.
    SourceError
        The source is that of imported files, and none has been imported.
    UnknownTickerError
        A ticker has no bars in the lake, nor in a source that is about to land.
    InputError
        The day is in the future, or before the first bar.
    """
    _check_source(lake, request.source)
    today = utc_today()
    if request.as_of is not None and request.as_of > today:
        raise InputError(
            f"--as-of {request.as_of} is in the future; today is {today}.", where="--as-of", hint="name a past day"
        )
    if request.tickers is None and request.as_of is None:
        return
    known = _known_tickers(lake, request)
    if known is None:
        return
    if request.tickers is not None:
        usable = [name for name, row in known.items() if request.source in {None, row["source"]}]
        if missing := set(request.tickers) - set(usable):
            where = "--tickers" + ("" if request.source is None else f", among the bars from {request.source!r}")
            raise UnknownTickerError.from_missing(missing, usable, where=where)
    chosen = [known[name] for name in run_tickers(lake.known_rows, request) or known if name in known]
    first = min((row["first_date"] for row in chosen if row["first_date"] is not None), default=None)
    if request.as_of is not None and first is not None and request.as_of < first:
        raise InputError(
            f"--as-of {request.as_of} is before the first bar, {first}.", where="--as-of", hint="choose a later day"
        )


def _check_source(lake: Lake, name: str | None) -> None:
    from pm.sources import require_source

    if name is None:
        return
    if name != FILES:
        require_source(name)
    elif not lake.rows("SELECT 1 AS found FROM raw.batches WHERE origin = ? LIMIT 1", [FILES]):
        raise SourceError(
            f"There are no usable bars from {name!r}.",
            where="table bars",
            hint="import some: pm import PATH",
        )


def _known_tickers(lake: Lake, request: Request) -> dict[str, dict[str, Any]] | None:
    """Return the source and the first date of each ticker's bars, those about to land included; None if unknown.

    The first date of a ticker that a vendor has not sent yet is None.
    """
    from pm.sources import SampleSource

    if lake.rows(_UNCHECKED):
        return None
    known = {row["ticker"]: row for row in lake.rows(TICKERS_OF_BARS)}
    for row in lake.rows(_OF_VENDORS, [list(VENDOR_NAMES)]):
        known.setdefault(row["ticker"], {**row, "first_date": None})
    if SAMPLE not in watched_sources(lake.known_rows, request):
        return known
    sample = SampleSource()
    if lake.rows("SELECT 1 AS found FROM raw.batches WHERE origin = ? AND fingerprint = ?", [SAMPLE, sample.version()]):
        return known
    for outcome in sample.fetch([Ask(ticker, ticker, None, utc_today()) for ticker in sample.tickers()]):
        if isinstance(outcome, Answer):
            first = outcome.bars["date"].min()
            known.setdefault(outcome.ask.ticker, {"ticker": outcome.ask.ticker, "source": SAMPLE, "first_date": first})
    return known
