"""`pm doctor`: examine the installation, the machine and the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pm.cli.context import Options

__all__ = ["doctor"]


def doctor(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare only the sizes of data files, not their checksums.")
    ] = False,
    rules: Annotated[
        bool, typer.Option("--rules", help="Print the rule of each check also where all is well.")
    ] = False,
) -> None:
    """Examine the installation, the machine, and every file of the workspace; print what is wrong and what mends it.

    The exit code is 0 if all is well, 24 if something is degraded, and 25 if something fails. Nothing is changed.
    """
    from pm.cli.monitor import print_findings, raise_worst
    from pm.cli.render import print_lines
    from pm.pipeline.examination import examine
    from pm.workspace import absolute, find_workspace

    options: Options = context.obj
    folder = absolute(options.workspace or Path())
    workspace = find_workspace(folder, parents=options.workspace is None)
    findings = examine(workspace, whole=not quick)
    print_findings(findings, rules=rules)
    if workspace is None:
        print_lines("There is no workspace here: only the installation was examined.")
    raise_worst(findings)
