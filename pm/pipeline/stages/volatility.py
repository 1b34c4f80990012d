"""Stage `volatility`: fit each ticker's conditional variance and the distribution of its return over the horizon.

All tickers are read twice: for the sums that the panel model is fitted to, and for what each ticker has of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.chunks import map_chunks
from pm.pipeline.compiling import compile_ahead
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stored_panels import stored_panel
from pm.pipeline.watch_list import (
    WATCH_LIST_TABLES,
    judged_bars,
    newest_bars,
    run_day,
    scope,
    watch_list,
    watched_sources,
)
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import QUARANTINE
from pm.tables.vocabulary import Reason
from pm.tables.volatility import PANEL_FITS, PANEL_MARKET, VOLATILITY, VOLATILITY_FITS, VOLATILITY_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.volatility.panel import PanelModel
    from pm.volatility.pooled_levels import PooledLevels

__all__ = ["STAGE"]

_WITHOUT_PRICES = """
WITH refused AS (
    SELECT q.ticker, a.origin, count(*) AS rows
    FROM quarantine q JOIN raw.batches a USING (batch_id)
    WHERE q.ticker IS NOT NULL
    GROUP BY ALL
),
watched AS (
    SELECT ticker FROM universe WHERE ? IS NULL OR source = ?
    UNION
    SELECT ticker FROM refused WHERE NOT EXISTS (FROM universe) AND list_contains(?, origin)
)
SELECT w.ticker, coalesce(sum(r.rows), 0)::BIGINT AS rows
FROM watched w LEFT JOIN refused r USING (ticker)
WHERE w.ticker NOT IN (SELECT ticker FROM bars) AND (? IS NULL OR list_contains(?, w.ticker))
GROUP BY w.ticker
ORDER BY w.ticker
"""


_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class _Panel:
    """The panel model of a run, where it comes from, and tickers that it could not be fitted to.

    `levels` are None unless an earlier run learnt them.
    """

    model: PanelModel
    levels: PooledLevels | None
    source: str
    exclusions: pl.DataFrame


def _compute(context: Context) -> Result:
    from pm.volatility import finish_volatility, fit_tickers, learnt_levels
    from pm.volatility.panel_tables import panel_fits_frame, panel_market_frame
    from pm.volatility.session_variance import returns_and_ranges

    watched = watch_list(context)
    settings = context.settings.volatility
    compile_ahead(context, "pm.volatility")
    size = context.settings.run.chunk_size
    count = judged_bars(context.settings)
    chunks = [
        (
            returns_and_ranges(
                newest_bars(context, watched.tickers[start : start + size], watched.as_of, count, prices=_PRICES)
            ),
        )
        for start in range(0, len(watched.tickers), size)
    ]
    panel = _panel(context, chunks, watched.as_of)
    fit = partial(fit_tickers, settings=settings, horizon=context.settings.forecast.horizon, panel=panel.model)
    computed = map_chunks(context, fit, chunks)
    levels = panel.levels or learnt_levels(computed.results)
    fitted = finish_volatility(computed.results, levels)
    paths = fitted.paths
    failed = pl.concat([computed.exclusions, panel.exclusions]).unique("ticker", keep="first", maintain_order=True)
    excluded = pl.concat([fitted.exclusions, failed, _without_prices(context)])
    models = paths.filter(pl.col("step") == 1).group_by("model").len().sort("model")
    counted = ", ".join(f"{count:,} by {model}" for model, count in models.iter_rows())
    fits = {
        VOLATILITY: paths,
        VOLATILITY_MEMBERS: fitted.members,
        VOLATILITY_FITS: fitted.fits,
        PANEL_FITS: panel_fits_frame(panel.model, levels, panel.source),
        PANEL_MARKET: panel_market_frame(panel.model),
        EXCLUSIONS: excluded,
    }
    return Result(
        [Append(table, context.stamp(rows, cutoff=watched.as_of)) for table, rows in fits.items()],
        f"{counted or 'no ticker could be fitted'}; "
        f"panel of {plural(panel.model.tickers, 'ticker')}{computed.failures}",
    )


def _panel(context: Context, chunks: Sequence[tuple[pl.DataFrame]], as_of: date) -> _Panel:
    """Return the panel model: fitted to the tickers of the run or, where the run names tickers, that of an earlier run.

    What a run of few tickers says of a ticker is then what the run of all of them said.
    """
    from pm.volatility.fit import panel_days, sum_panel
    from pm.volatility.panel import fit_panel
    from pm.volatility.panel_sums import PanelSums
    from pm.volatility.panel_tables import FITTED_TO_ALL, FITTED_TO_NAMED, levels_from_table, panel_from_tables

    stored = stored_panel(context, as_of)
    if stored is not None:
        of_run = "run_id = ? AND cutoff = ?"
        fits, market = (context.read(table, of_run, list(stored)) for table in (PANEL_FITS, PANEL_MARKET))
        model, levels = panel_from_tables(fits, market), levels_from_table(fits)
        if len(levels.weight) >= context.settings.forecast.horizon:
            return _Panel(model, levels, stored[0], exclusions_frame(context.stage.name, []))
    settings = context.settings.volatility
    summed = map_chunks(context, partial(sum_panel, settings=settings, as_of=as_of), chunks)
    sums = PanelSums.empty(as_of, panel_days(settings))
    for part in summed.results:
        sums.add(part)
    source = FITTED_TO_ALL if context.request.tickers is None else FITTED_TO_NAMED
    return _Panel(fit_panel(sums), None, source, summed.exclusions)


def _depends(context: Context) -> list[object]:
    """Return the parts of the request that the result depends on, and the newest panel model where it is read."""
    if context.request.tickers is None:
        return scope(context)
    as_of = run_day(context.known_rows, context.request)
    stored = None if as_of is None else stored_panel(context, as_of)
    return [*scope(context), None if stored is None else [stored[0], str(stored[1])]]


def _without_prices(context: Context) -> pl.DataFrame:
    """Return the exclusions of watched tickers without a usable bar: every row was refused, or there are none."""
    request = context.request
    named = list(request.tickers) if request.tickers is not None else None
    sources = watched_sources(context.known_rows, request)
    found = context.rows(_WITHOUT_PRICES, [request.source, request.source, sources, named, named])
    excluded = []
    for row in found:
        detail = f"{row['rows']} rows, all refused; see pm quarantine" if row["rows"] else "no bars in the lake"
        excluded.append((row["ticker"], Exclusion(Reason.NO_PRICES, detail)))
    return exclusions_frame(context.stage.name, excluded)


STAGE = Stage(
    "volatility",
    _compute,
    reads=(*WATCH_LIST_TABLES, QUARANTINE),
    past=(PANEL_FITS, PANEL_MARKET),
    writes=(VOLATILITY, VOLATILITY_MEMBERS, VOLATILITY_FITS, PANEL_FITS, PANEL_MARKET, EXCLUSIONS),
    sections=("volatility", "forecast.horizon", "forecast.window"),
    depends=_depends,
)
"""Fit volatility to the returns up to the run's day."""
