"""The command line's root: its groups, its global options, and how errors reach the user."""

from __future__ import annotations

import os
import sys
from errno import ENOSPC
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pm import __version__
from pm.cli import evaluating, lake, policy, reading, running, state
from pm.errors import PmError, StorageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="pm",
    help="Portfolio Maximizer: a lake of daily bars, honest forecasts, sized signals and a report, traceable by SQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
running.register(app)
reading.register(app)
evaluating.register(app)
app.add_typer(reading.runs_app, name="runs")
app.add_typer(policy.app, name="policy")
app.add_typer(lake.app, name="lake")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pm {__version__}")
        raise typer.Exit


@app.callback()
def root(
    workspace: Annotated[
        Path | None,
        typer.Option(envvar="PM_WORKSPACE", help="The workspace's folder; else the one this folder lies in."),
    ] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Global options; they may stand before or after the command."""
    del version
    state.options = state.Options(workspace=workspace, debug=debug)


def main() -> None:
    """Run the command line; leave with the exit codes of docs/errors.md."""
    if sys.stdout is None:  # closed by the shell: `pm run >&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # an ASCII terminal shows `?` instead of failing
    try:
        app(_globals_first(sys.argv[1:]))
    except PmError as error:
        if state.options.debug:
            raise
        _say(f"error: {error}", *getattr(error, "__notes__", ()))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `pm sql … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last place that can say it
        _end(error)


def _end(error: Exception) -> NoReturn:
    """Leave because of an error that is nobody's mistake in the lake or the question."""
    from pm.lake.connection import INTERRUPTED

    if str(error) == INTERRUPTED:  # Ctrl-C, by way of DuckDB
        sys.exit(130)
    if state.options.debug:
        raise error
    if isinstance(error, OSError) and error.errno == ENOSPC:
        _say(
            "error: The output cannot be written: no space is left.",
            "  try:   free some space, or name a file: -o FILE",
        )
        sys.exit(StorageError.exit_code)
    _say(
        f"error: {type(error).__name__}: {error}",
        "  where: inside pm; this is a bug",
        "  try:   the same with --debug, and report what it prints",
    )
    sys.exit(1)


def _globals_first(arguments: list[str]) -> list[str]:
    """Move the global options to the front, so that `pm run --workspace DIR` works like `pm --workspace DIR run`."""
    front: list[str] = []
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        if argument == "--":
            rest += [argument, *pending]
        elif argument == "--debug" or argument.startswith("--workspace="):
            front.append(argument)
        elif argument == "--workspace":
            front += [argument, *[value for value in [next(pending, None)] if value is not None]]
        else:
            rest.append(argument)
    return front + rest


def _say(*lines: str) -> None:
    for line in lines:
        typer.echo(line, err=True)
