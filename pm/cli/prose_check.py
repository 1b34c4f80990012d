"""Check whether a language model can be let write, and show what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.llm.base import LanguageModel
    from pm.workspace import Workspace

__all__ = ["check_prose_shown"]

_PROSE_SECONDS = 600.0
"""Longest time of the check of a model's texts."""
_SHOWN = 6
"""Largest number of problems that are named."""


def check_prose_shown(workspace: Workspace, engine: LanguageModel) -> None:
    """Let a model write about the sheets, keep what was found, and show it."""
    from pm.cli.render import print_lines
    from pm.llm.prose import REQUIRED, check_prose, save_prose_report
    from pm.plural import plural

    def progress(done: int, of: int) -> None:
        typer.echo(f"{engine.info.name}: {done} of {of} texts", err=True) if done in {1, of} or done % 10 == 0 else None

    report = check_prose(engine, _PROSE_SECONDS, progress)
    save_prose_report(workspace.models, report)
    sheets: dict[str, list[int]] = {}
    for failure in report.failures:
        sheets.setdefault(failure.problem, []).append(failure.sheet)
    commonest = sorted(sheets.items(), key=lambda found: -len(found[1]))
    left = len(commonest) - _SHOWN
    verdict = (
        "It may write in runs." if report.passed else "It may not write: code writes, and it orders the sentences."
    )
    print_lines(
        f"Model {report.model}: sha256 {report.sha256}",
        f"{report.true} of {report.sheets} texts hold in every claim, and {REQUIRED:.0%} must. "
        f"{report.asked} were asked for, in {report.seconds:.0f} s.",
        *(f"{_sheets(places)}: {problem}" for problem, places in commonest[:_SHOWN]),
        *([f"… and {plural(left, 'other problem')}: {workspace.models / 'models.json'}"] if left > 0 else []),
        verdict,
    )


def _sheets(places: Sequence[int]) -> str:
    """Return in words on which sheets of facts a model failed."""
    from pm.plural import plural

    shown = ", ".join(map(str, places[:5]))
    return (
        f"Sheet {shown}" if len(places) == 1 else f"{plural(len(places), 'sheet')} ({shown}{', …' * (len(places) > 5)})"
    )
