"""Check whether a language model can be let write: whether every claim of its texts on fifty sheets of facts holds."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pm.llm.facts import FactSheet
from pm.llm.prose_writing import write_prose
from pm.llm.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.base import LanguageModel

__all__ = ["REQUIRED", "ProseFailure", "ProseReport", "check_prose", "fact_sheets", "may_write", "save_prose_report"]

REQUIRED = 0.95
"""Share of the sheets about which a model's first text must be true for it to be let write."""
_CALL_SECONDS = 5.0
"""Longest time of a text, as in a run."""
_KIND = "prose"
"""Kind of the check in the registry of models."""


@dataclass(frozen=True)
class ProseFailure:
    """A sheet about which the model wrote nothing that holds: its place, from 1, the ticker, and why."""

    sheet: int
    ticker: str
    problem: str


@dataclass(frozen=True)
class ProseReport:
    """Result of the check of a model.

    Attributes
    ----------
    model, sha256
        The model.
    sheets, asked, true
        Number of sheets, of those that there was time to ask about, and of those whose text was true in every claim.
    failures
        The others that were asked about.
    seconds
        Time that the check took.
    """

    model: str
    sha256: str
    sheets: int
    asked: int
    true: int
    failures: tuple[ProseFailure, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the model may write: a sheet that was not asked about counts as failed."""
        return self.true >= REQUIRED * self.sheets


@cache
def _stored_sheets() -> str:
    return (files("pm.llm") / "fact_sheets.json").read_text(encoding="utf-8")


def _sheets_hash() -> str:
    return hashlib.sha256(_stored_sheets().encode()).hexdigest()


@cache
def fact_sheets() -> tuple[FactSheet, ...]:
    """Return the fifty sheets: five US shares on thirteen past dates, computed by runs as of these dates."""
    stored = json.loads(_stored_sheets())
    return tuple(FactSheet.from_json(sheet) for sheet in stored)


def check_prose(
    model: LanguageModel, deadline: float, progress: Callable[[int, int], None] | None = None
) -> ProseReport:
    """Let a model write about each sheet once, and count the texts in which every claim holds.

    Parameters
    ----------
    model
        The model.
    deadline
        Longest time of the whole check, in seconds; what was not asked by then counts as failed.
    progress
        Called with the number of sheets that are done, and that of all.
    """
    started = time.monotonic()
    sheets = fact_sheets()
    asked, failures = 0, []
    for place, sheet in enumerate(sheets, start=1):
        left = deadline - (time.monotonic() - started)
        if left <= 0:
            break
        asked += 1
        written = write_prose(model, sheet, call_seconds=min(_CALL_SECONDS, left), tries=1)
        if isinstance(written, str):
            failures.append(ProseFailure(place, sheet.ticker, written))
        if progress is not None:
            progress(place, len(sheets))
    return ProseReport(
        model=model.info.name,
        sha256=model.info.sha256,
        sheets=len(sheets),
        asked=asked,
        true=asked - len(failures),
        failures=tuple(failures),
        seconds=time.monotonic() - started,
    )


def save_prose_report(folder: Path, report: ProseReport) -> None:
    """Keep a report with what is known of models, where `may_write` finds it.

    Raises
    ------
    StorageError
        The folder of models cannot be written.
    """
    kept = {"passed": report.passed, "sheets_sha256": _sheets_hash()} | asdict(report)
    Registry(folder).set_check(report.sha256, _KIND, kept)


def may_write(folder: Path, sha256: str) -> bool:
    """Return whether a model has passed the check, by what is known of models in their folder.

    A damaged record says no, and so does one of other sheets than those of this version.
    """
    kept = Registry(folder).check(sha256, _KIND)
    return kept is not None and kept.get("passed") is True and kept.get("sheets_sha256") == _sheets_hash()
