"""The end of the sample, once there are bars of files or vendors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.open_files import delete
from pm.pipeline.events import Notice
from pm.pipeline.request import Request
from pm.pipeline.runner import Runner
from pm.tables.vocabulary import RunKind

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.pipeline.events import Observer
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["delete_report_of_sample", "end_sample"]


def end_sample(lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, request: Request) -> bool:
    """Remove the sample where it is beside bars of files or vendors, and was not asked for since: see decision 0042.

    An import removes it itself. It is left when a vendor's first bars have landed, after a look at it
    (`--source sample`), after the watch list asked for it, by an import that was cut off, and by older versions.
    Returns whether it was removed.
    """
    from pm.pipeline.stages import check, sample

    if sample.outlived_since(lake.known_rows, request) is None:
        return False
    Runner(lake, settings, workspace, observer).run((sample.STAGE, check.STAGE), Request(), kind=RunKind.SAMPLE)
    delete_report_of_sample(lake, workspace, observer)
    return True


def delete_report_of_sample(lake: Lake, workspace: Workspace, observer: Observer) -> None:
    """Delete the newest report if the newest run that it shows was one on the sample."""
    from pm.pipeline.stages.report import LATEST

    if lake.rows("FROM latest_run"):
        return
    try:
        delete(workspace.reports / LATEST)
    except OSError as error:
        observer(Notice(f"{LATEST} still shows the sample, since it cannot be deleted: {error.strerror}"))
