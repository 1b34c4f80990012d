"""Stage `risk_history`: the risk of equal weights as of past dates, for the views to compare with what followed."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from pm.errors import InputError
from pm.pipeline.compiling import compile_ahead
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.prices import log_returns
from pm.tables.quality import BARS
from pm.tables.risk import PORTFOLIO_RISK, RISK_CONTRIBUTIONS

__all__ = ["testing_risk"]

_MIN_ROWS = 300
"""Minimum number of sessions before the first date: a volatility needs 250."""
_REFIT = 125
"""Number of sessions between fits of the volatility models."""
_EVERY_RETURN = 1_000_000
"""Window that no history fills."""


def testing_risk(sessions: int) -> Stage:
    """Return the stage that computes risk before each of the newest sessions, as it would have been known then.

    Volatility models are fitted every 125 sessions. Risk of one session is computed before each, that of a longer
    horizon before every so many sessions, so that windows do not overlap. What is a change of units, and no return, is
    judged from all bars, also later ones.
    """
    return Stage(
        "risk_history",
        partial(_compute, sessions=sessions),
        reads=WATCH_LIST_TABLES,
        writes=(PORTFOLIO_RISK, RISK_CONTRIBUTIONS),
        sections=("risk", "volatility"),
        depends=lambda context: [*scope(context), sessions],
    )


def _compute(context: Context, *, sessions: int) -> Result:
    from pm.risk.assess import assess
    from pm.risk.history import past_models
    from pm.risk.history_matrix import return_matrix, weighted_returns
    from pm.risk.scenarios import simple_returns
    from pm.volatility.series import usable_returns

    compile_ahead(context, "pm.risk")
    watched = watch_list(context)
    settings = context.settings.risk
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": watched.tickers},
        columns=("ticker", "date", "close", "adj_factor"),
    )
    dates, returns = return_matrix(usable_returns(log_returns(bars), _EVERY_RETURN), watched.tickers)
    rows = range(max(_MIN_ROWS, len(dates) - sessions), len(dates))
    if not rows:
        raise InputError(
            f"A backtest needs more than {_MIN_ROWS} sessions; the bars have {len(dates)}.",
            where="table bars",
            hint="import older bars, or name tickers that have more: --tickers",
        )
    levels = settings.model_copy(update={"tail_levels": []})
    risks, contributions = context.spool(PORTFOLIO_RISK), context.spool(RISK_CONTRIBUTIONS)
    models = past_models(
        returns,
        dates,
        watched.tickers,
        rows,
        volatility=context.settings.volatility,
        settings=settings,
        refit=_REFIT,
    )
    for done, past in enumerate(models):
        context.progress(done, len(rows))
        model = past.model
        horizons = [horizon for horizon in settings.horizons if done % horizon == 0]
        if not model.tickers:
            continue
        weights = np.full(len(model.tickers), 1.0 / len(model.tickers))
        places = [watched.tickers.index(ticker) for ticker in model.tickers]
        history = weighted_returns(simple_returns(returns[: past.row, places]), weights)
        found = assess(
            "model",
            weights,
            model,
            model.scenarios(horizons, paths=settings.paths, seed=settings.seed),
            settings=levels,
            past_returns=history[np.isfinite(history)],
            ewma_lambda=context.settings.volatility.ewma_lambda,
            drawdowns=False,
        )
        day = model.dates[-1].item()
        first = (pl.col("horizon") == pl.col("horizon").min()) & (pl.col("level") == pl.col("level").min())
        risks.add(context.stamp(found.risk, cutoff=day))
        contributions.add(context.stamp(found.contributions.filter(first), cutoff=day))
    summary = f"risk before {plural(len(rows), 'session')}, {dates[rows[0]]} to {dates[rows[-1]]}"
    return Result([risks.append(), contributions.append()], summary)
