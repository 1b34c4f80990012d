"""Find the observations that forecasts of a day may use as regressors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.pipeline.watch_list import watch_list
from pm.tables.observations import OBSERVATION_TESTS, OBSERVATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl

    from pm.forecast.observed import AcceptedObservations
    from pm.pipeline.stage import Context

__all__ = ["accepted", "known_observations", "observations_key"]

_KEY = """
SELECT name, count(*) AS rows, max(fetched_at)::VARCHAR AS newest FROM observations WHERE list_contains(?, name)
GROUP BY name ORDER BY name
"""


def accepted(context: Context, *, as_of: date) -> AcceptedObservations | None:
    """Return the observations that passed the test of edges by what was known on a day, or None."""
    if not _are_tested(context):
        return None  # the usual case, in which nothing is imported to find it
    from pm.forecast.observed import accepted_observations

    settings = context.settings
    return accepted_observations(
        context.read(OBSERVATION_TESTS),
        rate=settings.signals.false_discovery_rate,
        as_of=as_of,
        horizon=settings.forecast.horizon,
    )


def _are_tested(context: Context) -> bool:
    return bool(context.rows("SELECT 1 AS found FROM observation_tests LIMIT 1"))


def known_observations(context: Context, names: Sequence[str], tickers: Sequence[str], as_of: date) -> pl.DataFrame:
    """Return the rows of table `observations` that were known at the end of a day, in UTC."""
    return context.read(
        OBSERVATIONS,
        "known_at < ?::DATE + 1 AND list_contains(?, name)",
        [as_of, list(names)],
        among={"ticker": tickers},
        columns=("ticker", "date", "known_at", "name", "value"),
    )


def observations_key(context: Context) -> list[object]:
    """Return what the forecasts of a run depend on: the observations they use, and the newest rows of these.

    Rows of other observations change no forecast. Without any test, forecasts use none, and nothing is looked up.
    """
    if not _are_tested(context):
        return []
    used = accepted(context, as_of=watch_list(context).as_of)
    if used is None:
        return []
    rows = context.rows(_KEY, [list(used.names)])
    return [str(used.since), [[row["name"], row["rows"], row["newest"]] for row in rows]]
