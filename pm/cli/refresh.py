"""`pm refresh`: fetch what is new, and check it; and what `pm run` says of tickers that could not be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 - Typer reads annotations

from pm.cli.context import open_workspace, open_writer
from pm.cli.options import NoWait, Source, Tickers, parse_tickers
from pm.errors import IncompleteError
from pm.plural import plural

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["incomplete", "refresh"]

_NAMED = 5
"""Maximum number of tickers whose failure is told."""


def refresh(
    context: typer.Context,
    source: Source = None,
    tickers: Tickers = None,
    no_wait: NoWait = False,
) -> None:
    """Fetch the bars that are new of the tickers on the watch list, and check them.

    Nothing is asked for before the next close of a ticker's exchange, except for tickers that are named. What has
    landed when a refresh is interrupted stays; the next one asks for the rest.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import progress_shown
    from pm.cli.render import print_lines
    from pm.cli.results import print_flags
    from pm.pipeline import Request, refresh_bars

    request = Request(source, parse_tickers(tickers))
    workspace, settings = open_workspace(context, create=True)
    message = "Interrupted. What has landed stays; the next `pm refresh` asks for the rest."
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible(message) as wrap, progress_shown() as observer:
            result = refresh_bars(lake, workspace, settings, wrap(observer), request=request)
        if not result.worked:
            print_lines(f"Nothing is new. ({result.seconds:.2f} s)")
        with lake.reading():
            print_flags(lake, result.run_id)
            failed = incomplete(lake, result.run_id)
    if failed is not None:
        raise failed


def incomplete(lake: Lake, run_id: str) -> IncompleteError | None:
    """Return the error about the tickers that a run could not fetch; None if there are none.

    Tickers that are recorded as delisted do not count.
    """
    from pm.pipeline import failed_tickers

    failed = failed_tickers(lake, run_id)
    if not failed:
        return None
    lines = [f"  {each.ticker}: {each.detail} ({each.reason})" for each in failed[:_NAMED]]
    if len(failed) > _NAMED:
        lines.append(f"  … and {len(failed) - _NAMED:,} more")
    return IncompleteError(
        "\n".join([f"{plural(len(failed), 'ticker')} could not be fetched; all others are in.", *lines]),
        where="table fetches",
        hint="the next refresh asks again; see `pm data health`",
    )
