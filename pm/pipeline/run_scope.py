"""Decide whether a run is about the whole watch list as of now, or is a look at a part of it or at the past.

A look never takes the place of the newest whole run: see decision 0041.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.clock import utc_today
from pm.pipeline.request import Request
from pm.pipeline.watch_list import Rows, run_day, run_tickers
from pm.tables.vocabulary import RunScope

if TYPE_CHECKING:
    from datetime import date

__all__ = ["is_newest", "run_scope"]

_WHOLE_RUN = """
SELECT run_id FROM runs
WHERE kind = 'run' AND status = 'done' AND (scope = 'whole' OR scope IS NULL AND tickers IS NULL)
LIMIT 1
"""
"""Query for a finished run of the whole watch list. Older versions recorded no scope."""


def run_scope(rows: Rows, request: Request, *, today: date | None = None) -> RunScope:
    """Return what a run is about: the whole watch list as of now, a part of it, or the past.

    What counts is what the options select, not whether they were given: naming every ticker of the watch list, or the
    day of its newest bar, is a whole run.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What the run is asked to do.
    today
        The present day; by default that of the clock, in UTC.
    """
    if request.scope == Request():
        return RunScope.WHOLE
    if request.as_of is not None and request.as_of not in {run_day(rows, Request()), today or utc_today()}:
        return RunScope.PAST
    return RunScope.WHOLE if run_tickers(rows, request) == run_tickers(rows, Request()) else RunScope.PART


def is_newest(rows: Rows, scope: RunScope) -> bool:
    """Return whether a run that ends now is the one that is shown as the newest.

    A whole run is. A look is only while there is no whole run that it could replace.
    """
    return scope is RunScope.WHOLE or not rows(_WHOLE_RUN, ())
