"""Observations as regressors of a forecast: what was known at each bar, and which names a forecast may use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.statistics.discoveries import q_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.forecast.base import Panel

__all__ = ["AcceptedObservations", "accepted_observations", "known_at_bars", "with_observations"]


@dataclass(frozen=True)
class AcceptedObservations:
    """The observations that forecasts use as regressors.

    Attributes
    ----------
    names
        Names, sorted.
    since
        Last day that their tests depend on: only forecasts from later dates use them. A forecast from an earlier date
        would be judged by what chose them.
    """

    names: tuple[str, ...]
    since: date


def accepted_observations(
    tests: pl.DataFrame, *, rate: float, as_of: date, horizon: int
) -> AcceptedObservations | None:
    """Return the observations that forecasts of a day may use, or None.

    The newest test of each name counts, of those that depend on nothing after the day. Of many names without any worth,
    one in twenty passes a test at 5%. So the p-values of all names ever tested are adjusted together (Benjamini and
    Hochberg), and a name is accepted if its adjusted p-value is at most `rate`.

    Parameters
    ----------
    tests
        Rows of table `observation_tests`.
    rate
        Largest expected share of worthless names among those accepted: `signals.false_discovery_rate`.
    as_of
        The day.
    horizon
        Horizon of the forecasts, for which the tests must have been made.
    """
    newest = (
        tests.filter(pl.col("last_target") <= as_of, pl.col("dm_p_value").is_finite(), pl.col("horizon") == horizon)
        .sort("run_id")
        .unique("name", keep="last", maintain_order=True)
    )
    if newest.is_empty():
        return None
    adjusted = pl.Series(q_values(newest["dm_p_value"].to_numpy()))
    accepted = newest.filter(adjusted <= rate, pl.col("relative_loss") < 1)
    if accepted.is_empty():
        return None
    return AcceptedObservations(tuple(sorted(accepted["name"])), max(accepted["last_target"].to_list()))


def known_at_bars(bars: pl.DataFrame, observations: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return what was known of each ticker at the end of the day of each bar: ticker, bar, and a column a name.

    Of the values known by then, that of the newest date counts, and of its revisions the one known last. A day ends at
    midnight in UTC. A value that was not known yet, or of which there is none, is null.

    Parameters
    ----------
    bars
        Columns ticker, date, bar.
    observations
        Columns ticker, date, known_at, name, value.
    names
        Names of the columns.
    """
    found = bars.select("ticker", "date", "bar").with_columns(
        until=pl.col("date").cast(pl.Datetime("us")) + timedelta(days=1) - timedelta(microseconds=1)
    )
    found = found.sort("until", "ticker", maintain_order=True)
    for name in names:
        own = (
            observations.filter(pl.col("name") == name)
            .sort("ticker", "known_at", "date")
            .filter(pl.col("date") >= pl.col("date").cum_max().over("ticker"))
            .select("ticker", "known_at", pl.col("value").alias(name))
            .sort("known_at", maintain_order=True)
        )
        found = found.join_asof(
            own, left_on="until", right_on="known_at", by="ticker", strategy="backward", check_sortedness=False
        ).drop("known_at", strict=False)
    return found.select("ticker", "bar", *names).sort("ticker", "bar")


def with_observations(panel: Panel, observations: pl.DataFrame | None, names: Sequence[str]) -> Panel:
    """Return the panel with what was known of observations at each bar."""
    if observations is None or not names:
        return panel
    return replace(panel, observed=known_at_bars(panel.bars, observations, names))
