"""Find the panel models of volatility that runs of all tickers left for runs that name tickers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pm.tables.volatility import PANEL_FITS

if TYPE_CHECKING:
    from datetime import date

    from pm.pipeline.stage import Context

__all__ = ["stored_panel", "stored_panels_key"]

_NEWEST_AGE = timedelta(days=31)
"""Largest age of a stored panel model that a run of named tickers reads; with an older one it fits its own."""

_NEWEST = f"""
SELECT run_id, cutoff, snapshot_id FROM {PANEL_FITS.qualified}
WHERE source = ? AND cutoff BETWEEN ? AND ?
GROUP BY ALL
ORDER BY cutoff DESC, snapshot_id DESC, run_id
LIMIT 1
"""  # noqa: S608 - a constant

_ALL = f"""
SELECT run_id, cutoff::VARCHAR AS cutoff FROM {PANEL_FITS.qualified}
WHERE source = ? AND (? IS NULL OR cutoff <= ?)
GROUP BY ALL
ORDER BY ALL
"""  # noqa: S608 - a constant


def stored_panel(context: Context, as_of: date) -> tuple[str, date] | None:
    """Return the run and the day of the stored panel model that a run which names tickers reads; None to fit one."""
    from pm.volatility.panel_tables import FITTED_TO_ALL

    if context.request.tickers is None:
        return None
    found = context.rows(_NEWEST, [FITTED_TO_ALL, as_of - _NEWEST_AGE, as_of])
    return (found[0]["run_id"], found[0]["cutoff"]) if found else None


def stored_panels_key(context: Context, until: date | None) -> list[object]:
    """Return the stored panel models that forecasts from past dates can read; nothing where no tickers are named.

    Parameters
    ----------
    context
        Context of a stage that declares that it reads table `panel_fits`.
    until
        Last of the dates; None if it is not known.
    """
    from pm.volatility.panel_tables import FITTED_TO_ALL

    if context.request.tickers is None:
        return []
    return [[row["run_id"], row["cutoff"]] for row in context.rows(_ALL, [FITTED_TO_ALL, until, until])]
