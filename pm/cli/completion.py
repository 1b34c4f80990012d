"""Complete names on the command line: those of the workspace at hand, and the keys of settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - Typer reads annotations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "complete_account",
    "complete_order",
    "complete_run",
    "complete_setting",
    "complete_table",
    "complete_ticker",
    "complete_tickers",
    "complete_trial",
]


_WORD = re.compile(r"[\w.:@%+/=^-]+")
"""A name that no shell takes apart."""


def complete_ticker(context: typer.Context, incomplete: str) -> list[str]:
    """Return the tickers of the workspace that begin with what is typed, whatever its capital letters."""
    return _beginning(_names(context, "data_health", "ticker"), incomplete)


def complete_tickers(context: typer.Context, incomplete: str) -> list[str]:
    """Return comma-separated lists of tickers whose last one begins with what is typed after the last comma."""
    first, comma, last = incomplete.rpartition(",")
    return [_AnyCase(f"{first}{comma}{name}") for name in _beginning(_names(context, "data_health", "ticker"), last)]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the runs that begin with what is typed, the newest first."""
    return _beginning(sorted(_names(context, "runs", "run_id"), reverse=True), incomplete)


def complete_account(context: typer.Context, incomplete: str) -> list[str]:
    """Return the accounts that begin with what is typed."""
    return _beginning(_names(context, "accounts", "account"), incomplete)


def complete_order(context: typer.Context, incomplete: str) -> list[str]:
    """Return the open orders that begin with what is typed."""
    return _beginning(_names(context, "open_orders", "order_id"), incomplete)


def complete_trial(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of trials, and their identifiers, that begin with what is typed."""
    names = _names(context, "trial_verdicts", "name")
    return _beginning([*dict.fromkeys(names), *_names(context, "trial_verdicts", "trial_id")], incomplete)


def complete_setting(incomplete: str) -> list[str]:
    """Return the sections and keys of the settings that begin with what is typed."""
    from pm.settings.described import setting_names

    return _beginning(setting_names(), incomplete)


def complete_table(context: typer.Context, incomplete: str) -> list[str]:
    """Return the tables and views that begin with what is typed."""
    from pm.errors import PmError
    from pm.lake.description import tables_and_views
    from pm.reader import Reader

    try:
        with Reader(_workspace(context)) as reader:
            return _beginning(tables_and_views(reader.lake)["name"], incomplete)
    except PmError:  # a shell shows nothing but completions
        return []


def _names(context: typer.Context, table: str, column: str) -> list[str]:
    from pm.errors import PmError
    from pm.reader import Reader

    try:
        with Reader(_workspace(context)) as reader:
            return [str(row[column]) for row in reader.lake.select_rows(table, columns=(column,), order=(column,))]
    except PmError:
        return []


def _workspace(context: typer.Context) -> Path | None:
    """Return the folder that --workspace, before the command, or PM_WORKSPACE names."""
    folder: Path | None = context.find_root().params.get("workspace")
    return folder


class _AnyCase(str):
    """A name that begins with what is typed whatever the capital letters of either. Typer asks again."""

    __slots__ = ()

    def startswith(self, prefix: str | tuple[str, ...], *bounds: int) -> bool:  # type: ignore[override]
        prefixes = (prefix,) if isinstance(prefix, str) else prefix
        return self.lower().startswith(tuple(each.lower() for each in prefixes), *bounds)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that begin with what is typed; without those that a shell would take for several words."""
    return [name for name in map(_AnyCase, names) if _WORD.fullmatch(name) and name.startswith(incomplete)]
