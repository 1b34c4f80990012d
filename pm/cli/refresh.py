"""`pm refresh`: fetch what is new, and check it; and what `pm run` says of tickers that have no new bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 - Typer reads annotations

from pm.cli.context import open_workspace, open_writer
from pm.cli.options import NoWait, Source, Tickers, parse_tickers
from pm.errors import IncompleteError, StaleError
from pm.plural import first_of, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.lake import Lake
    from pm.pipeline import FailedTicker, Request

__all__ = ["incomplete", "refresh", "too_old"]

_NAMED = 5
"""Maximum number of reasons that are told, and of tickers that are named for each."""


def refresh(
    context: typer.Context,
    source: Source = None,
    tickers: Tickers = None,
    no_wait: NoWait = False,
) -> None:
    """Fetch the bars that are new of the tickers on the watch list, and check them; then their news.

    Nothing is asked for before the next close of a ticker's exchange, except for tickers that are named. What has
    landed when a refresh is interrupted stays; the next one asks for the rest. News need a key of Finnhub.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.cli.render import print_lines
    from pm.cli.results import print_flags
    from pm.pipeline import Request, refresh_bars

    request = Request(source, parse_tickers(tickers))
    workspace, settings = open_workspace(context, create=True)
    message = "Interrupted. What has landed stays; the next `pm refresh` asks for the rest."
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        request = of_known(lake, request)
        with interruptible(message) as wrap, progress_shown() as observer:
            result = refresh_bars(lake, workspace, settings, wrap(observer), request=request)
        if not result.worked:
            print_lines(f"Nothing is new. ({result.seconds:.2f} s)")
        with lake.reading():
            print_flags(lake, result.run_id)
            failed = incomplete(lake, result.run_id, request)
            stale = too_old(lake, result.run_id, max_age_days=settings.forecast.max_age_days)
    if (problem := failed or stale) is not None:
        raise problem


def incomplete(lake: Lake, run_id: str, request: Request) -> IncompleteError | None:
    """Return the error about the tickers and the files of watched folders that did not come; None if all did.

    Tickers that are recorded as delisted do not count.
    """
    from pm.pipeline import failed_tickers, unread_files

    failed, unread = failed_tickers(lake, run_id), unread_files(lake, request)
    if not failed and not unread:
        return None
    parts = [f"{plural(len(failed), 'ticker')} could not be fetched"] if failed else []
    hints = ["the next refresh asks again; see `pm data health`"] if failed else []
    if unread:
        those = "that is watched" if len(unread) == 1 else "that are watched"
        parts.append(f"{plural(len(unread), 'file or folder', 'files or folders')} {those} could not be read")
        hints.append("correct the files or take them away, or watch no more: pm universe remove --files FOLDER")
    return IncompleteError(
        "\n".join([f"{', and '.join(parts)}; all others are in.", *_failed_lines(failed), *_unread_lines(unread)]),
        where=" and ".join(["table fetches"] * bool(failed) + ["table folders"] * bool(unread)),
        hint="; ".join(hints),
    )


def _unread_lines(unread: Sequence[str]) -> list[str]:
    lines = [f"  {line}" for line in unread[:_NAMED]]
    return [*lines, f"  … and {len(unread) - _NAMED:,} more"] if len(unread) > _NAMED else lines


def _failed_lines(failed: Sequence[FailedTicker]) -> list[str]:
    """Return a line for each of the most frequent reasons, with some of its tickers."""
    alike: dict[tuple[str, str], list[str]] = {}
    for each in failed:
        alike.setdefault((each.reason, each.detail), []).append(each.ticker)
    reasons = sorted(alike.items(), key=lambda item: -len(item[1]))
    lines = []
    for (reason, detail), tickers in reasons[:_NAMED]:
        lines.append(f"  {first_of(tickers, _NAMED)}: {detail} ({reason})")
    if left := sum(len(tickers) for _, tickers in reasons[_NAMED:]):
        lines.append(f"  … and {left:,} more")
    return lines


def too_old(lake: Lake, run_id: str, *, max_age_days: int) -> StaleError | None:
    """Return the error about the tickers of a run whose vendors have no new bars; None if there are none.

    Parameters
    ----------
    max_age_days
        Setting `forecast.max_age_days`.
    """
    from pm.age import age
    from pm.clock import utc_today
    from pm.pipeline import stale_tickers_of

    stale = stale_tickers_of(lake, run_id, max_age_days=max_age_days)
    if not stale:
        return None
    today = utc_today()
    lines = [
        f"  {each.ticker}: the last bar from {each.vendor!r} is of {each.last_date}, {age(each.last_date, today)}"
        for each in stale[:_NAMED]
    ]
    if len(stale) > _NAMED:
        lines.append(f"  … and {len(stale) - _NAMED:,} more")
    have = "has no bar" if len(stale) == 1 else "have no bars"
    limit = f"the last {plural(max_age_days, 'day')} (forecast.max_age_days)"
    return StaleError(
        "\n".join([f"{plural(len(stale), 'ticker')} {have} of {limit}.", *lines]),
        where="table bars",
        hint="see `pm data health`, and ask again: pm refresh; take a ticker that trades no more off the watch list "
        "(pm universe remove), or its bars from another vendor (pm universe move)",
    )
