"""Find the run whose results a command shows, and say what it is about and how old its bars are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.age import age
from pm.cli.visible import visible_line
from pm.clock import utc_today
from pm.errors import InputError, NoResultsError, did_you_mean
from pm.plural import plural

if TYPE_CHECKING:
    from datetime import date

    from pm.lake import Lake

__all__ = ["outputs_of", "print_age", "print_flags", "print_look", "run_to_show"]

_MAX_NAMED = 8
"""Maximum number of tickers named in a sentence."""


def run_to_show(lake: Lake, run_id: str | None) -> str:
    """Return the run that the user named; for None the newest one, of the whole watch list if there is one.

    Raises
    ------
    InputError
        There is no run of the whole pipeline by this name.
    NoResultsError
        No run is done yet, or what the run computed from the sample was removed.
    """
    from pm.tables.vocabulary import RunScope

    runs = lake.select_rows("runs", columns=("run_id", "scope"), kind="run")
    of_sample = {row["run_id"] for row in runs if row["scope"] == RunScope.SAMPLE}
    if run_id is None:
        newest = lake.select_rows("latest_run", columns=("run_id",))
        if newest:
            return str(newest[0]["run_id"])
        if of_sample:
            message = "There are no results of your own bars yet; those of the sample were removed."
        else:
            message = "There are no results yet: no run is done."
        raise NoResultsError(message, where=lake.location.where, hint="pm run")
    if run_id in of_sample:
        raise NoResultsError(
            "The results of this run were removed: it was about the sample, which your own bars have ended.",
            where=f"run {run_id}",
            hint="pm run, for results of your own bars; pm run --source sample, for the sample again",
        )
    known = sorted(row["run_id"] for row in runs)
    if run_id not in known:
        raise InputError(
            f"There is no run {run_id!r}.{did_you_mean(run_id, known)}",
            where="table runs",
            hint="list the runs with `pm runs`",
        )
    return run_id


def outputs_of(lake: Lake, run_id: str) -> dict[str, str]:
    """Return for each stage of a run the run whose rows are its result."""
    rows = lake.select_rows("run_outputs", columns=("stage", "output_run_id"), run_id=run_id)
    return {row["stage"]: row["output_run_id"] for row in rows if row["output_run_id"] is not None}


def print_look(lake: Lake, run_id: str) -> None:
    """Say what a run is about, unless it is the whole watch list as of now, and which run is the newest that is."""
    from pm.cli.render import print_lines

    run = lake.select_rows("runs", columns=("scope", "source", "tickers", "as_of"), run_id=run_id)[0]
    look = _described(run)
    if look is None:
        return
    newest = lake.select_rows("latest_run", columns=("run_id", "scope", "source", "tickers", "as_of"))
    if newest and _described(newest[0]) is None:
        print_lines(f"{look} The newest whole run stays {newest[0]['run_id']}.")
    else:
        print_lines(f"{look} There is no whole run yet: pm run")


def _described(run: dict[str, Any]) -> str | None:
    """Return what a run is about if it is a look at a part or at another day, in a sentence."""
    from pm.cli.render import join_names
    from pm.tables.vocabulary import RunScope

    scope = run["scope"] or (RunScope.PART if run["tickers"] else RunScope.WHOLE)  # older versions recorded none
    if scope == RunScope.WHOLE:
        return None
    of = ""
    if run["tickers"]:
        of = f"{join_names(run['tickers'].split(','), limit=_MAX_NAMED)} only"
    elif run["source"]:
        of = f"the tickers of source {visible_line(run['source'])!r} only"
    if scope == RunScope.PAST:
        return f"This is a look at {run['as_of']}{of and f', at {of}'}."
    return f"This is a look at {of}."


def print_flags(lake: Lake, run_id: str) -> None:
    """Say how to see the flags that a run has put on bars, if it has."""
    from pm.cli.render import print_lines

    if lake.select_rows("bar_flags", columns=("ticker",), limit=1, run_id=run_id):
        print_lines('To see which bars were flagged, and why: pm sql "FROM bar_flags"')


def print_age(lake: Lake, run_id: str, newest: date, *, max_age_days: int) -> None:
    """Warn if the newest bar is older than the setting `forecast.max_age_days` on the present day.

    A look at the past says which day it is of, and is not about today.
    """
    from pm.cli.render import print_lines
    from pm.tables.vocabulary import RunScope

    if lake.select_rows("runs", columns=("scope",), run_id=run_id)[0]["scope"] == RunScope.PAST:
        return
    today = utc_today()
    if (today - newest).days > max_age_days:
        print_lines(
            f"WARNING: the newest bar is of {age(newest, today)}, more than {plural(max_age_days, 'day')}",
            f"(forecast.max_age_days): this is not about today. {_remedy(lake)}",
        )


def _remedy(lake: Lake) -> str:
    """Return how to get newer bars, in a sentence."""
    from pm.settings.refresh import VENDOR_NAMES

    if lake.select_rows("universe", columns=("ticker",), limit=1, source=VENDOR_NAMES):
        return "How old the bars of each ticker are: pm data health. Newer bars: pm refresh"
    return "Newer bars: pm import PATH"
