"""Which past dates have forecasts in the lake that depend on the same as those that would be computed now."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.pipeline.fingerprint import code_hash, code_reader
from pm.pipeline.observations import observations_key
from pm.pipeline.stored_panels import stored_panels_key
from pm.prices import adjusted_close, log_return
from pm.tables.forecast import POLICIES
from pm.tables.validation import FORECAST_DATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pm.pipeline.stage import Context, Stage
    from pm.pipeline.watch_list import WatchList
    from pm.settings import Settings

__all__ = ["bars_hashes", "forecast_dates_frame", "inputs_hashes", "stored_forecasts"]

_DIGITS = 9
"""Number of decimals of log returns that count: a later dividend rescales all factors, and changes returns by rounding
errors alone."""
_PRICES = ("open", "high", "low", "close")


def inputs_hashes(
    context: Context,
    stages: Sequence[Stage],
    dates: Sequence[date],
    *,
    bars: pl.DataFrame,
    watched: WatchList,
    settings: Settings,
) -> dict[date, str]:
    """Return a hash of all that the forecasts from each date depend on.

    It covers the code, libraries and settings of the stages, the tickers with their sources and exchanges, the
    policies, the observations in use, the stored panel models that named tickers read, and the prices and log returns
    up to the date.

    Parameters
    ----------
    context
        Context of a stage that declares that it reads table `policies`.
    stages
        The stages that forecast.
    dates
        Dates to forecast from, ascending.
    bars
        Columns ticker, date, close, adj_factor, by ticker and date.
    settings
        Settings of the stages.
    """
    reader = code_reader(context.workspace)
    policies = context.read(POLICIES, columns=("policy_id", "accepted"))
    common = json.dumps(
        [
            [code_hash(stage, settings, reader) for stage in stages],
            [[ticker, watched.sources[ticker], watched.exchanges[ticker]] for ticker in watched.tickers],
            policies.rows(),
            observations_key(context),
            *stored_panels_key(context, max(dates, default=None)),
        ]
    )
    return bars_hashes(bars, dates, common)


def bars_hashes(bars: pl.DataFrame, dates: Sequence[date], common: str) -> dict[date, str]:
    """Return a hash of a text, and of the prices as traded and log returns of bars up to each date.

    Bars after a date do not change its hash, and neither does a later dividend or split, which rescales the factors of
    all bars before it.

    Parameters
    ----------
    bars
        Columns ticker, date, open, high, low, close, adj_factor, by ticker and date.
    dates
        Dates, ascending.
    common
        Text that all hashes cover.
    """
    rows = (
        bars.select("ticker", "date", *_PRICES, move=log_return(adjusted_close()).fill_null(0.0).round(_DIGITS))
        .sort("date", "ticker")
        .with_columns(pl.col(*_PRICES, "move").cast(pl.Float64).fill_null(float("nan")) + 0.0)  # no negative 0
    )
    days = rows["date"].to_numpy().astype("datetime64[D]")
    names = rows["ticker"].to_list()
    numbers = [rows[name].to_numpy().astype("<f8") for name in (*_PRICES, "move")]
    running = hashlib.sha256(common.encode())
    found: dict[date, str] = {}
    start = 0
    for day in dates:
        end = int(np.searchsorted(days, np.datetime64(day), side="right"))
        running.update("\x1f".join(names[start:end]).encode())
        running.update(days[start:end].astype("<i8").tobytes())
        for values in numbers:
            running.update(values[start:end].tobytes())
        found[day] = running.copy().hexdigest()
        start = end
    return found


def stored_forecasts(context: Context, hashes: Mapping[date, str], steps: Sequence[int]) -> dict[date, str]:
    """Return for each date whose forecasts are in the lake the newest run that computed them.

    Parameters
    ----------
    context
        Context of a stage that declares that it reads table `forecast_dates`.
    hashes
        Hash of what the forecasts from each date depend on; see `inputs_hashes`.
    steps
        Steps that must have been kept.
    """
    rows = context.read(FORECAST_DATES, among={"inputs_hash": sorted(hashes.values())})
    found: dict[date, str] = {}
    for row in rows.sort("run_id").iter_rows(named=True):
        kept = {int(step) for step in row["steps"].split(",")}
        if hashes.get(row["cutoff"]) == row["inputs_hash"] and kept.issuperset(steps):
            found[row["cutoff"]] = row["run_id"]
    return found


def forecast_dates_frame(context: Context, hashes: Mapping[date, str], steps: Sequence[int]) -> pl.DataFrame:
    """Return the rows of table `forecast_dates` of dates that were forecast from."""
    rows = [{"inputs_hash": known, "steps": ",".join(map(str, steps)), "cutoff": day} for day, known in hashes.items()]
    return context.stamp(pl.DataFrame(rows, schema={"inputs_hash": pl.String, "steps": pl.String, "cutoff": pl.Date}))
