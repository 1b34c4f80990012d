"""`pm report`, `pm open` and `pm tearsheet`: the report of a night, and what an account, a trial or a ticker made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_account, complete_run, complete_ticker, complete_trial
from pm.cli.context import open_reader, open_workspace, require_workspace
from pm.cli.paths import expand_home
from pm.errors import InputError, NoResultsError, StorageError, UnknownTickerError, did_you_mean

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.report.tearsheet import Tearsheet
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["open_", "report", "tearsheet"]

_Run = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="Run of the report. [default: the newest report]", autocompletion=complete_run),
]
_DOORWAY = "ticker.html"
"""File beside the reports that leads to a ticker's card: openers of files drop what stands after a # in an address."""
_LEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={address}">
<title>{ticker}</title>
</head>
<body><p><a href="{address}">{ticker}</a></p></body>
</html>
"""
_KINDS = {".html": "html", ".htm": "html", ".pdf": "pdf"}


def report(
    context: typer.Context,
    run: _Run = None,
    opened: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    ticker: Annotated[
        str | None,
        typer.Option(metavar="TICKER", help="Go to the card of this ticker.", autocompletion=complete_ticker),
    ] = None,
) -> None:
    """Print the path of a run's report; with --open, show it in the browser too."""
    from pm.cli.render import print_lines
    from pm.report.tickers import ticker_anchor

    workspace = require_workspace(context)
    file = _report_file(workspace, run)
    if ticker is None:
        print_lines(f"Report: {file}")
        if opened:
            _browse(file.as_uri())
        return
    name = _ticker_of(context, run, ticker)
    address = f"{file.as_uri()}#{ticker_anchor(name)}"
    print_lines(f"Report: {file}", f"At {address}")
    if opened:
        _browse(_lead_to(file, name))


def open_(context: typer.Context, run: _Run = None) -> None:
    """Open a report in the browser: short for `pm report --open`."""
    report(context, run, opened=True)


def tearsheet(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="File to write: it ends in .html or .pdf.")
    ],
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="Account.", autocompletion=complete_account)
    ] = None,
    trial: Annotated[
        str | None,
        typer.Option(metavar="TRIAL", help="Name of a trial, see `pm trials`.", autocompletion=complete_trial),
    ] = None,
    ticker: Annotated[
        str | None, typer.Option(metavar="TICKER", help="Ticker, as if held.", autocompletion=complete_ticker)
    ] = None,
) -> None:
    """Write what an account, a trial or a ticker made: growth, months, drawdowns, statistics, and what it proves."""
    from pm.cli.render import print_lines
    from pm.export.pdf import print_pdf
    from pm.open_files import write_whole
    from pm.report.tearsheet import render_tearsheet

    if sum(name is not None for name in (account, trial, ticker)) != 1:
        raise typer.BadParameter("name one of --account, --trial and --ticker", param_hint="tearsheet")
    target = expand_home(output).absolute()
    kind = _KINDS.get(target.suffix.lower())
    if kind is None:
        raise InputError(
            f"A tearsheet is written as HTML or PDF, not as {target.suffix or 'a file without an ending'}.",
            where=str(output),
            hint="-o FILE.html, or -o FILE.pdf",
        )
    _, settings = open_workspace(context)
    with open_reader(context) as lake, lake.reading():
        html = render_tearsheet(_sheet(lake, settings, account, trial, ticker))
    if not target.parent.is_dir():
        raise InputError("There is no such folder.", where=str(target.parent), hint="make it, or name another")
    if kind == "pdf":
        print_pdf(html, target)
    else:
        try:
            write_whole(target, html)
        except OSError as error:
            raise StorageError(
                f"The tearsheet cannot be written: {error.strerror}.",
                where=str(target),
                hint="free some space, or choose another folder",
            ) from error
    print_lines(f"Written: {target}")


def _sheet(lake: Lake, settings: Settings, account: str | None, trial: str | None, ticker: str | None) -> Tearsheet:
    from pm.cli.known_tickers import as_known
    from pm.cli.trials import one_trial
    from pm.pipeline.tearsheets import account_tearsheet, ticker_tearsheet, trial_tearsheet

    if trial is not None:
        return trial_tearsheet(lake, one_trial(lake, trial))
    if account is not None:
        known = lake.select("accounts", columns=("account",))["account"].to_list()
        if account not in known:
            raise InputError(
                f"There is no account {account!r}.{did_you_mean(account, known)}",
                where="table accounts",
                hint="list them: pm account list" if known else "open one: pm account open",
            )
        return account_tearsheet(lake, settings, account)
    assert ticker is not None  # noqa: S101 - one of the three is named
    (name,) = as_known(lake, [ticker])
    known = lake.select("latest_bars", columns=("ticker",))["ticker"].to_list()
    if name not in known:
        raise UnknownTickerError.from_missing([name], known, where="view latest_bars")
    return ticker_tearsheet(lake, settings, name)


def _report_file(workspace: Workspace, run: str | None) -> Path:
    """Return the file of a report.

    Raises
    ------
    InputError
        The name cannot be that of a run.
    NoResultsError
        There is no such report.
    """
    from pm.pipeline.stages.report import LATEST, report_path

    if run is not None and not re.fullmatch(r"[0-9A-Za-z-]+", run):
        raise InputError(f"{run!r} is no name of a run.", where="RUN", hint="list the runs with `pm runs`")
    file = workspace.reports / LATEST if run is None else report_path(workspace, run)
    if not file.is_file():
        what = "There is no report yet." if run is None else f"There is no report of run {run}."
        hint = "pm run" if run is None else "list the runs with `pm runs`; only the newest reports are kept"
        raise NoResultsError(what, where=str(workspace.reports), hint=hint)
    return file


def _ticker_of(context: typer.Context, run: str | None, ticker: str) -> str:
    """Return the ticker of a report that a name stands for: that of a signal, whatever its capital letters.

    Raises
    ------
    NoResultsError
        The run of the report has no signals.
    UnknownTickerError
        It has no such ticker.
    """
    from pm.cli.known_tickers import as_known_of

    with open_reader(context) as lake, lake.reading():
        made = run or _newest(lake)
        output = lake.select_rows("run_outputs", columns=("output_run_id",), run_id=made, stage="signals")
        found = lake.select_rows("signals", columns=("ticker",), run_id=output[0]["output_run_id"]) if output else []
    known = [row["ticker"] for row in found]
    if not known:
        raise NoResultsError("This report has no signals.", where=f"run {made}", hint="pm run")
    (name,) = as_known_of(known, [ticker])
    if name not in known:
        raise UnknownTickerError.from_missing([name], known, where=f"signals of run {made}")
    return name


def _newest(lake: Lake) -> str | None:
    """Return the run that the newest report is about."""
    newest = lake.select_rows("latest_run", columns=("run_id",))
    return newest[0]["run_id"] if newest else None


def _lead_to(file: Path, ticker: str) -> str:
    """Return the address of a file that leads to a ticker's card in a report; that of the card if it has no room.

    The opener of files of Windows and those of many desktops drop the # and what follows, and then show the top.
    """
    from html import escape

    from pm.open_files import write_whole
    from pm.report.tickers import ticker_anchor

    anchor = ticker_anchor(ticker)
    door = file.with_name(_DOORWAY)
    try:
        write_whole(door, _LEAD.format(address=escape(f"{file.name}#{anchor}"), ticker=escape(ticker)))
    except OSError:
        return f"{file.as_uri()}#{anchor}"
    return door.as_uri()


def _browse(address: str) -> None:
    import webbrowser

    from pm.cli.render import print_lines

    if not webbrowser.open(address):
        print_lines("There is no browser here: open the file yourself.")
