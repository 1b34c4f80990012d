"""The root of the command line: its commands, its global options, and how errors are shown."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from errno import EINVAL, ENOSPC
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pm import __version__
from pm.cli import (
    account,
    actions,
    ask,
    audit,
    backtest,
    config,
    data,
    doctor,
    edges,
    evaluate,
    forecast,
    halt,
    import_,
    init,
    lake,
    models,
    monitor,
    notify,
    observations,
    policy,
    portfolio,
    quarantine,
    refresh,
    report,
    risk,
    run,
    runs,
    schedule,
    serve,
    signals,
    sources,
    sql,
    status,
    tables,
    text,
    track,
    trade,
    trials,
    universe,
    validate,
    warm,
)
from pm.cli.context import Options
from pm.cli.listing import OutputFormat, listing
from pm.cli.paths import workspace_path
from pm.cli.visible import visible
from pm.errors import PmError, StorageError, is_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

__all__ = ["main"]

_OUTPUTS_OF_THEIR_OWN = frozenset({"sql", "tearsheet"})
"""Commands whose options --format or -o are about something else than the table that they list."""
_COLLECTED_AFTER = 50_000
"""Number of new objects after which Python looks for unreachable ones; with its 700 that is 6% of a first run."""
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended: 128 and the number of the signal, as shells have it."""


class _Root(TyperGroup):
    """The root command."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's own types
        """Read the global options."""
        with _plain_refusals():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - click's own types
        """Run the command that the arguments name, and write out all that it printed."""
        try:
            with _plain_refusals():
                result = super().invoke(ctx)
            sys.stdout.flush()
        except OSError as error:
            if not _reader_is_gone(error):
                raise
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        return result


@contextmanager
def _plain_refusals() -> Iterator[None]:
    """Say why a value is refused without what pydantic, which reads it for Typer, puts around the words."""
    try:
        yield
    except typer.BadParameter as error:
        message = error.message.removeprefix("Value error, ")
        error.message = message.replace("does not match the formats '%Y-%m-%d'", "is no date; write it as 2013-03-01")
        raise


def _reader_is_gone(error: OSError) -> bool:
    """Return whether the reader of standard output has read enough, as in `pm sql … | head`.

    Windows calls that an invalid argument, as it does other errors: then the output itself is asked.
    """
    if isinstance(error, BrokenPipeError):
        return True
    if error.errno != EINVAL:
        return False
    try:
        sys.stdout.flush()  # what could not be written is still held
    except OSError:
        return True
    return False


@cache
def _command() -> Any:  # noqa: ANN401 - click's own type
    """Return the command line, built once for all calls of `main` in a process: that takes 0.02 s."""
    return typer.main.get_command(_command_line())


def _command_line() -> typer.Typer:
    """Build the command line."""
    app = typer.Typer(
        name="pm",
        cls=_Root,
        help="Portfolio Maximizer: forecasts, signals and a report from daily bars, every number traceable by SQL.",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help takes half the time, and reads the same on every terminal
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command("run")(run.run)
    app.command("refresh")(refresh.refresh)
    app.command("import")(import_.import_)
    app.command("init")(init.init)
    app.command("evaluate")(evaluate.evaluate)
    app.command("backtest")(backtest.backtest)
    app.add_typer(trials.app, name="trials")
    app.command("signals")(signals.signals)
    app.command("forecast")(forecast.forecast)
    app.command("sql")(sql.sql)
    app.command("tables")(tables.tables)
    app.command("quarantine")(quarantine.quarantine)
    app.command("validate")(validate.validate)
    app.command("lots")(trade.lots)
    app.command("monitor")(monitor.monitor)
    app.command("serve")(serve.serve)
    app.command("doctor")(doctor.doctor)
    app.command("status")(status.status)
    app.command("report")(report.report)
    app.command("open")(report.open_)
    app.command("tearsheet")(report.tearsheet)
    app.command("halt")(halt.halt)
    app.command("resume")(halt.resume)
    app.command("replay")(audit.replay)
    app.command("warm")(warm.warm)
    app.command("config")(config.config)
    app.add_typer(account.app, name="account")
    app.add_typer(trade.app, name="trade")
    app.add_typer(audit.app, name="audit")
    app.command("ask")(ask.ask)
    app.add_typer(runs.app, name="runs")
    app.add_typer(actions.app, name="actions")
    app.add_typer(universe.app, name="universe")
    app.add_typer(sources.app, name="sources")
    app.add_typer(data.app, name="data")
    app.add_typer(observations.app, name="observations")
    app.add_typer(edges.app, name="edges")
    app.add_typer(policy.app, name="policy")
    app.add_typer(risk.app, name="risk")
    app.add_typer(portfolio.app, name="portfolio")
    app.add_typer(track.app, name="track")
    app.add_typer(models.app, name="models")
    app.add_typer(text.app, name="text")
    app.add_typer(lake.app, name="lake")
    app.add_typer(notify.app, name="notify")
    app.add_typer(schedule.app, name="schedule")
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pm {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=workspace_path,
            envvar="PM_WORKSPACE",
            help="Folder of the workspace. [default: the current folder or the nearest parent that is one]",
        ),
    ] = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            show_default=False,
            help="Format of what a command lists: table, csv, json or parquet. [default: table, or the ending of FILE]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="File to write what a command lists to."),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            show_default=False,
            help="Lowest level of logs/events.jsonl: debug, info, warning or error. [default: setting run.log_level]",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep the global options for the command; `main` reads --debug itself."""
    del debug, version
    context.obj = Options(workspace=workspace, log_level=log_level)
    context.with_resource(listing(output_format, output))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv
        Arguments after the command's name; those of the process by default.

    Returns
    -------
    Exit code: 0, a code of docs/errors.md, 2 for a wrong command line, or 130 after Ctrl-C.
    """
    if argv is None:  # the process is this command's own
        gc.set_threshold(_COLLECTED_AFTER)
    global_options, rest = _split_global_options(sys.argv[1:] if argv is None else argv)
    with _writable_streams():
        try:
            _command().main([*global_options, *rest], prog_name="pm")
        except SystemExit as leaving:  # Typer ends every command this way, whether it went well or not
            return int(leaving.code or 0)
        except BaseException as error:  # nothing above can explain it to the user
            if not is_failure(error):
                raise
            return _explain(error, debug="--debug" in global_options)
    return 0


def _explain(error: BaseException, *, debug: bool) -> int:
    """Show an error to the user and return the exit code."""
    if _is_interrupted_query(error):
        return INTERRUPTED
    if debug:
        _print_error("".join(traceback.format_exception(error)).rstrip())
        return 1
    if isinstance(error, PmError):
        _print_error(f"error: {error}", *getattr(error, "__notes__", ()))
        return error.exit_code
    if isinstance(error, OSError) and error.errno == ENOSPC:
        _print_error(
            "error: The output cannot be written: no space is left on the device.",
            "  try:   free some space, or write to a file on another disk: -o FILE",
        )
        return StorageError.exit_code
    if isinstance(error, PermissionError):
        _print_error(
            f"error: There is no permission: {error.strerror}.",
            f"  where: {error.filename}",
            "  try:   correct its permissions, or those of its folder",
        )
        return StorageError.exit_code
    _print_error(
        f"error: {type(error).__name__}: {error}",
        "  where: inside pm; this is a bug",
        "  try:   the same command with --debug, and report what it prints",
    )
    return 1


def _is_interrupted_query(error: BaseException) -> bool:
    """Return whether the user pressed Ctrl-C while DuckDB was at work, which it reports as an error of its own."""
    if not isinstance(error, RuntimeError):
        return False
    from pm.lake.connection import INTERRUPTED as MESSAGE

    return str(error) == MESSAGE


def _print_error(*lines: str) -> None:
    for line in lines:
        typer.echo(visible(line), err=True)


def _split_global_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the global options from the rest: `pm run --workspace DIR` is `pm --workspace DIR run`.

    A command that has an option --format or -o of its own keeps it.
    """
    has_own = _OUTPUTS_OF_THEIR_OWN & set(arguments[:3])
    named = {"--workspace", "--log-level"} if has_own else {"--workspace", "--log-level", "--format", "--output", "-o"}
    own_flags = () if has_own else ("--format=", "--output=")
    global_options: list[str] = []
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        if argument == "--":
            rest += [argument, *pending]
        elif argument == "--debug" or argument.startswith(("--workspace=", "--log-level=", *own_flags)):
            global_options.append(argument)
        elif argument in named:
            value = next(pending, None)
            if value is None:  # the root says that the option lacks it, if nothing follows
                return [*global_options, argument], []
            global_options += [argument, value]
        else:
            rest.append(argument)
    return global_options, rest


@contextmanager
def _writable_streams() -> Iterator[None]:
    """Make standard output and error writable, whatever they are, and leave them as they were."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is None or stream.closed:  # the shell closed it: `pm run >&-`
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(redirect(nowhere))
                continue
            if isinstance(stream, TextIOWrapper):
                keeps = stream.isatty() or _user_chose_the_encoding()
                stack.callback(stream.reconfigure, encoding=stream.encoding, errors=stream.errors)
                # A file or a pipe gets UTF-8, also where the system's encoding lacks `σ`; an ASCII terminal shows `?`.
                stream.reconfigure(encoding=stream.encoding if keeps else "utf-8", errors="replace")
            stack.enter_context(redirect(stream))  # Typer replaces it when a pipe breaks
            stack.callback(_flush, stream)
        yield


def _user_chose_the_encoding() -> bool:
    """Return whether the environment names an encoding; "encoding:errors" is its form, and either may be missing."""
    return bool(os.environ.get("PYTHONIOENCODING", "").partition(":")[0])


def _flush(stream: TextIO) -> None:
    """Write out what a stream holds; drop it if that fails, or Python would complain when the process ends."""
    try:
        stream.flush()
    except OSError:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
