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
from pm.llm.writing import write_prose
from pm.open_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from pm.llm.base import LanguageModel

__all__ = ["REQUIRED", "ProseFailure", "ProseReport", "check_prose", "fact_sheets", "may_write", "save_prose_report"]

REQUIRED = 0.95
"""Share of the sheets about which a model's first text must be true for it to be let write."""
_CALL_SECONDS = 5.0
"""Longest time of a text, as in a run."""
_RECORD = "prose.json"
"""File in the folder of models that keeps the reports, by the hash of the model."""


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
    """Return the fifty sheets: five US shares on ten past dates, computed by runs as of these dates."""
    stored = json.loads(_stored_sheets())
    return tuple(FactSheet.from_json(sheet) for sheet in stored)


def check_prose(model: LanguageModel, deadline: float) -> ProseReport:
    """Let a model write about each sheet once, and count the texts in which every claim holds.

    Parameters
    ----------
    model
        The model.
    deadline
        Longest time of the whole check, in seconds; what was not asked by then counts as failed.
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
    """Keep a report in the folder of models, where `may_write` finds it."""
    kept = _kept(folder)
    kept[report.sha256] = {"passed": report.passed, "sheets_sha256": _sheets_hash()} | asdict(report)
    write_whole(folder / _RECORD, json.dumps(kept, indent=1) + "\n")


def may_write(folder: Path, sha256: str) -> bool:
    """Return whether a model has passed the check, by what the folder of models keeps.

    A damaged record says no, and so does one of other sheets than those of this version.
    """
    report = _kept(folder).get(sha256)
    if not isinstance(report, dict) or report.get("passed") is not True:
        return False
    return report.get("sheets_sha256") == _sheets_hash()


def _kept(folder: Path) -> dict[str, object]:
    try:
        kept = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
