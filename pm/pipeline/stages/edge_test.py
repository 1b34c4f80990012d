"""Stage `edge_test`: whether forecasts with an observation as regressor are better than no change."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import NoResultsError, did_you_mean
from pm.pipeline.observations import known_observations
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, newest_bars, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.observations import OBSERVATION_TESTS, OBSERVATIONS

if TYPE_CHECKING:
    from pm.forecast.edge_test import ObservationTest

__all__ = ["testing"]

_EVERY_BAR = 1_000_000
"""Number of bars that no history reaches."""


def testing(name: str) -> Stage:
    """Return the stage that tests an observation, and stores what it found."""
    return Stage(
        "edge_test",
        partial(_compute, name=name),
        reads=(*WATCH_LIST_TABLES, OBSERVATIONS),
        writes=(OBSERVATION_TESTS,),
        sections=("forecast", "signals.false_discovery_rate"),
        depends=lambda context: [*scope(context), name],
    )


def _compute(context: Context, *, name: str) -> Result:
    from pm.forecast.edge_test import observation_edge

    names = [row["name"] for row in context.rows("SELECT DISTINCT name FROM observations ORDER BY name")]
    if name not in names:
        raise NoResultsError(
            f"There are no observations named {name!r}.{did_you_mean(name, names)}",
            where="table observations",
            hint="import some: pm observations import FILE; and list them: pm observations list",
        )
    watched = watch_list(context)
    settings = context.settings
    observations = known_observations(context, [name], watched.tickers, watched.as_of)
    tickers = sorted(set(observations["ticker"]))
    bars = newest_bars(context, tickers, watched.as_of, _EVERY_BAR)
    test = partial(
        observation_edge,
        name=name,
        settings=settings.forecast,
        as_of=watched.as_of,
        rate=settings.signals.false_discovery_rate,
    )
    found = next(context.workers.map(partial(_on_pair, test=test), [(bars, observations)]))
    reason = _reason(found) if tickers else f"no observation of the tickers was known on {watched.as_of}"
    numbers = {"relative_loss": found.relative_loss, "dm_statistic": found.statistic, "dm_p_value": found.p_value}
    row = {
        "name": name,
        "horizon": settings.forecast.horizon,
        "tickers": len(found.tickers),
        "origins": found.origins,
        "periods": found.periods,
        "first_origin": found.first_origin,
        "last_target": found.last_target,
        **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
        "claimed": sum(edge.claimed for edge in found.tickers),
        "discovered": sum(edge.discovered for edge in found.tickers),
        "reason": reason,
    }
    rows = pl.DataFrame([row], schema=OBSERVATION_TESTS.unstamped_schema)
    return Result([Append(OBSERVATION_TESTS, context.stamp(rows, cutoff=watched.as_of))], reason)


def _on_pair(pair: tuple[pl.DataFrame, pl.DataFrame], *, test: partial[ObservationTest]) -> ObservationTest:
    return test(*pair)


def _reason(found: ObservationTest) -> str:
    left_out = f"; {plural(len(found.refused), 'ticker')} left out" if found.refused else ""
    if not found.tickers:
        first = next(iter(found.refused.items()), None)
        why = f" ({first[0]}: {first[1]})" if first is not None else ""
        return f"no ticker has enough observations and bars to test it{why}{left_out}"
    of = f"{plural(found.origins, 'forecast')} of {plural(len(found.tickers), 'ticker')}"
    if not math.isfinite(found.p_value):
        return f"{of} are too few to tell{left_out}"
    numbers = f"loss {found.relative_loss:.4f} of that of no change, p = {found.p_value:.3f}"
    return f"{of} in {plural(found.periods, 'period')}: {numbers}{left_out}"
