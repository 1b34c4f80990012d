"""Commands that write: init, run, import."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pm.cli.state import open_workspace

__all__ = ["Day", "Tickers", "named_tickers", "register"]

Day = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day to take for today; bars after it are not looked at."),
]
Tickers = Annotated[str | None, typer.Option(help="Only these, comma-separated: AAPL,IBM.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("run")(run)
    app.command("import")(import_)
    app.command("init")(init)


def run(
    source: Annotated[
        str | None, typer.Option(help="Where bars come from: sample, files. [default: files if imported, else sample]")
    ] = None,
    tickers: Tickers = None,
    as_of: Day = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes to forecast in; 0 for the setting's.")] = 0,
    engine: Annotated[
        str | None, typer.Option(help="What forecasts in parallel: local, dask, ray. [default: the setting's]")
    ] = None,
    address: Annotated[str | None, typer.Option(help="A running cluster of that engine: HOST:PORT.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with a run that was cut off or failed.")] = None,
) -> None:
    """Take bars to forecasts, signals and a report.

    Stages whose inputs have not changed are skipped. A run that was cut off is resumed where it was.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import watched
    from pm.cli.show import say, show_signals
    from pm.pipeline import Request, open_lake, run_pipeline
    from pm.pipeline.stages.report import LATEST, report_path

    if resume is not None and (source, tickers, as_of) != (None, None, None):
        raise typer.BadParameter("a run is resumed as it was asked; leave out the rest", param_hint="--resume")
    names = named_tickers(tickers)
    workspace, settings = open_workspace(create=True)
    said = "Interrupted. What was committed stays; `pm run` goes on where this stopped."
    with open_lake(workspace, settings) as lake:
        with interruptible(said) as heeding, watched() as observer:
            request = Request(
                source,
                names,
                as_of.date() if as_of else None,
                jobs,
                engine,
                address,
            )
            result = run_pipeline(lake, workspace, settings, heeding(observer), request=request, resume=resume)
        show_signals(lake, run_id=result.run_id)
    if not result.worked:
        say(f"Nothing is new since run {result.outputs['signals']}. ({result.seconds:.2f} s)")
    say(f"Report: {report_path(workspace, result.outputs['report'])}")
    say(f"        the newest is always {workspace.reports / LATEST}")


def named_tickers(tickers: str | None) -> tuple[str, ...] | None:
    """Give the tickers named, sorted, each once; None for all."""
    if tickers is None:
        return None
    names = tuple(sorted({name.strip() for name in tickers.split(",") if name.strip()}))
    if not names:
        raise typer.BadParameter("name at least one ticker", param_hint="--tickers")
    return names


def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="CSV or Parquet files, or folders of them.")],
    tickers: Tickers = None,
) -> None:
    """Land bars from CSV or Parquet files and check them: all of the files, or none."""
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import watched
    from pm.cli.show import show_import
    from pm.pipeline import import_bars, open_lake

    names = named_tickers(tickers)
    workspace, settings = open_workspace(create=True)
    said = "Interrupted. What has landed is checked by the next `pm run`; to be sure of the rest, import it again."
    with open_lake(workspace, settings) as lake:
        with interruptible(said) as heeding, watched() as observer:
            result = import_bars(lake, workspace, settings, heeding(observer), paths=paths, tickers=names)
        show_import(lake, result.run_id)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make it in.", show_default="the current one")] = Path(),
) -> None:
    """Write a workspace: settings with comments, and folders for the lake, models and your own views."""
    from pm.cli.show import say
    from pm.workspace import init_workspace

    workspace = init_workspace(folder)
    say(f"Workspace: {workspace.root}")
    say("Next: `pm import PATH…` to bring your own bars, or `pm run` for the embedded sample.")
