"""`pm monitor`: check the system from what its tables hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace
from pm.cli.paths import expand_home
from pm.errors import EngineError, PmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pm.monitor import Finding

__all__ = ["monitor", "print_findings", "raise_worst"]


def monitor(
    context: typer.Context,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="File to write the checks to as JSON; '-' for standard output."),
    ] = None,
    metrics: Annotated[
        bool,
        typer.Option("--metrics", help="Print the checks as OpenMetrics text, for a Prometheus, and nothing else."),
    ] = False,
    rules: Annotated[
        bool, typer.Option("--rules", help="Print the rule of each check also where all is well.")
    ] = False,
) -> None:
    """Check the system: bars, nights, schedule, calibration, ledger, language model, lake.

    Every status follows from the tables by a rule that is printed. The exit code is 0 if all is well, 24 if something
    is degraded, and 25 if something fails. The checks are recorded in table health_checks.
    """
    import json

    from pm import __version__
    from pm.cli.render import print_lines
    from pm.monitor import worst
    from pm.pipeline import read_lake
    from pm.pipeline.monitoring import check_system, record_checks

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake:
        findings = check_system(workspace, settings, lake)
    recorded = _recorded(lambda: record_checks(workspace, settings, findings))
    if json_file is not None:
        text = json.dumps(
            {"status": worst(findings).value, "version": __version__, "checks": _as_rows(findings)}, indent=1
        )
        _write(json_file, f"{text}\n")
    if metrics:
        typer.echo(_openmetrics(findings), nl=False)
    elif json_file is None or str(json_file) != "-":
        print_findings(findings, rules=rules)
        if not recorded:
            print_lines("Not recorded in health_checks: another process is writing to the lake.")
    raise_worst(findings)


def _recorded(record: Callable[[], bool]) -> bool:
    """Return whether the checks could be recorded; a lake that cannot be written to must not hide them."""
    try:
        return record()
    except PmError as error:
        typer.echo(f"Not recorded in health_checks: {error.what}", err=True)
        return True


def _openmetrics(findings: Sequence[Finding]) -> str:
    from pm import __version__
    from pm.monitor.metrics import openmetrics

    try:
        return openmetrics(findings, version=__version__)
    except ModuleNotFoundError:
        raise EngineError(
            "OpenMetrics needs the package prometheus-client, which is not installed.",
            where="pm monitor --metrics",
            hint="pip install 'portfolio-maximizer[serve]'",
        ) from None


def _as_rows(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {
            "subject": finding.subject,
            "status": finding.status.value,
            "detail": finding.detail,
            "rule": finding.rule,
            "hint": finding.hint,
            "values": dict(finding.values),
        }
        for finding in findings
    ]


def _write(file: Path, text: str) -> None:
    """Write a text to a file, or to standard output for '-'."""
    from pm.cli.write import refuse_folder
    from pm.errors import StorageError
    from pm.open_files import write_whole

    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    target = expand_home(file)
    refuse_folder(target)
    try:
        write_whole(target, text)
    except OSError as error:
        raise StorageError(
            f"The checks cannot be written: {error.strerror}.", where=str(target), hint="choose another file"
        ) from None


def print_findings(findings: Sequence[Finding], *, rules: bool) -> None:
    """Print a line for each finding, and below it its rule and what to do where it is not healthy.

    Parameters
    ----------
    rules
        Print the rules of healthy findings too.
    """
    from pm.cli.listing import current_listing
    from pm.cli.render import print_frame, print_lines
    from pm.tables.vocabulary import HealthStatus

    if current_listing() is not None:
        import polars as pl

        columns = ("subject", "status", "detail", "rule", "hint")
        rows = [[str(row[name]) if row[name] else None for name in columns] for row in _as_rows(findings)]
        print_frame(pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row"))
        return
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print_lines(f"{finding.status:<8}  {finding.subject:<{width}}  {finding.detail}")
        if rules or finding.status is not HealthStatus.HEALTHY:
            print_lines(f"          {'':<{width}}  Rule: {finding.rule}")
            if finding.hint:
                print_lines(f"          {'':<{width}}  Try: {finding.hint}")


def raise_worst(findings: Sequence[Finding]) -> None:
    """End the command with the exit code of the worst finding.

    Raises
    ------
    typer.Exit
        A finding is degraded (24) or failing (25).
    """
    from pm.errors import DegradedError, FailingError
    from pm.monitor import worst
    from pm.tables.vocabulary import HealthStatus

    codes = {HealthStatus.DEGRADED: DegradedError.exit_code, HealthStatus.FAILING: FailingError.exit_code}
    code = codes.get(worst(findings))
    if code is not None:
        raise typer.Exit(code)
