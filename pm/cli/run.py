"""`pm run`: take bars to forecasts, signals and a report."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.context import open_workspace, open_writer
from pm.cli.options import Address, AsOf, Engine, Jobs, NoWait, Source, Tickers, parse_tickers

__all__ = ["run"]


def run(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    context: typer.Context,
    source: Source = None,
    tickers: Tickers = None,
    as_of: AsOf = None,
    jobs: Jobs = 0,
    engine: Engine = None,
    address: Address = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Interrupted or failed run to continue; see `pm runs`.")
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Update the lake; compute forecasts, signals and a report.

    Stages whose inputs have not changed are skipped. An interrupted run is continued where it stopped. With --as-of,
    --tickers or --source it is a look at the past or at a part, which never replaces the newest run and report.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.cli.refresh import incomplete, too_old
    from pm.cli.render import print_lines
    from pm.cli.results import print_flags
    from pm.cli.signals import no_signals, print_signals
    from pm.pipeline import Request, check_first_run, run_pipeline
    from pm.pipeline.stages.report import LATEST, report_path

    if resume is not None and (source, tickers, as_of) != (None, None, None):
        raise typer.BadParameter(
            "a run is continued with its own source, tickers and date; leave out --source, --tickers and --as-of",
            param_hint="--resume",
        )
    request = Request(source, parse_tickers(tickers), as_of.date() if as_of else None, jobs, engine, address)
    workspace, settings = open_workspace(
        context, create=True, check=lambda settings: check_first_run(settings, request, resume=resume)
    )
    message = "Interrupted. Finished stages are saved; the next `pm run` continues from there."
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        request = of_known(lake, request)
        with interruptible(message) as wrap, progress_shown() as observer:
            result = run_pipeline(lake, workspace, settings, wrap(observer), request=request, resume=resume)
        with lake.reading():
            print_flags(lake, result.run_id)
            found = print_signals(lake, result.run_id, max_age_days=settings.forecast.max_age_days)
            failed = incomplete(lake, result.run_id, request)
            stale = too_old(lake, result.run_id, max_age_days=settings.forecast.max_age_days)
    if not result.worked:
        print_lines(f"Nothing is new since run {result.outputs['signals']}. ({result.seconds:.2f} s)")
    print_lines(
        f"Report: {report_path(workspace, result.outputs['report'])}",
        f"Newest report: {workspace.reports / LATEST}",
    )
    if not found:
        raise no_signals(result.run_id)
    if (problem := failed or stale) is not None:
        raise problem
