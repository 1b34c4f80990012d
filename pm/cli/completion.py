"""Complete names on the command line: tickers, tables, runs and reports of the workspace at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["complete_run", "complete_table", "complete_ticker", "complete_tickers"]


def complete_ticker(incomplete: str) -> list[str]:
    """Return the tickers of the workspace that begin with what is typed, whatever its capital letters."""
    return _beginning(_names("data_health", "ticker"), incomplete)


def complete_tickers(incomplete: str) -> list[str]:
    """Return comma-separated lists of tickers whose last one begins with what is typed after the last comma."""
    first, comma, last = incomplete.rpartition(",")
    return [f"{first}{comma}{name}" for name in _beginning(_names("data_health", "ticker"), last)]


def complete_run(incomplete: str) -> list[str]:
    """Return the runs that begin with what is typed, the newest first."""
    return _beginning(sorted(_names("runs", "run_id"), reverse=True), incomplete)


def complete_table(incomplete: str) -> list[str]:
    """Return the tables and views that begin with what is typed."""
    from pm.errors import PmError
    from pm.lake.description import tables_and_views
    from pm.reader import Reader

    try:
        with Reader(_workspace()) as reader:
            return _beginning(tables_and_views(reader.lake)["name"], incomplete)
    except PmError:  # a shell shows nothing but completions
        return []


def _names(table: str, column: str) -> list[str]:
    from pm.errors import PmError
    from pm.reader import Reader

    try:
        with Reader(_workspace()) as reader:
            return [str(row[column]) for row in reader.lake.select_rows(table, columns=(column,), order=(column,))]
    except PmError:
        return []


def _workspace() -> Path | None:
    from pm.settings import workspace_variable

    named = workspace_variable()
    return Path(named) if named else None


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.lower().startswith(incomplete.lower())]
