"""Stage `portfolio`: how much of each ticker to hold, from joint scenarios, discovered edges and what is held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.holdable import adjusted_prices, holdable_tickers, last_prices
from pm.pipeline.holdings import HELD_TABLES, HELD_VIEWS, accounts_held, held_version, newest_drawdowns
from pm.pipeline.joint import JOINT_SECTIONS, JOINT_TABLES, in_currency, joint_inputs, joint_risk
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import scope
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS, RUNS
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS
from pm.tables.risk import LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS, proposed
from pm.tables.vocabulary import LimitAction, PortfolioStatus, Reason
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from pm.pipeline.holdable import Holdable
    from pm.pipeline.joint import JointInputs
    from pm.portfolio.held import Held
    from pm.portfolio.propose import Acted, Market
    from pm.risk.limits import LimitEvent
    from pm.risk.portfolio_tables import RiskInputs
    from pm.risk.scenarios import Scenarios
    from pm.tables.declaration import Table
    from pm.typing import FloatArray

__all__ = ["STAGE"]

_LAST_TARGETS = """
SELECT ticker, weight, cutoff
FROM targets
WHERE portfolio = ? AND cutoff < ? AND run_id IN (
    SELECT run_id FROM runs WHERE kind = 'run' AND (scope = 'whole' OR run_id = ?)
)
QUALIFY dense_rank() OVER (ORDER BY cutoff DESC, run_id DESC) = 1
ORDER BY ticker
"""
"""Query for the newest targets of a portfolio before a day: those of runs of the whole watch list."""

_SESSIONS_TRADED = 20
"""Number of newest bars whose mean value traded says how liquid a ticker is."""
_RISK_TABLES = (PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS)


@dataclass
class _Limits:
    """Limits of risk of a portfolio, what they are applied to, and what they did."""

    context: Context
    held: Held
    drawdown: float
    scenarios: Scenarios
    betas: FloatArray
    traded_values: FloatArray
    events: tuple[LimitEvent, ...] = field(default=())

    def act(self, tickers: tuple[str, ...], weights: FloatArray, before: FloatArray) -> Acted:
        """Return the weights that may be traded to, and keep what was done."""
        from pm.portfolio.propose import Acted
        from pm.risk.limit_values import LimitState
        from pm.risk.limits import apply_limits

        settings = self.context.settings.risk
        state = LimitState(
            tickers,
            weights=weights,
            previous=before,
            equity=self.held.equity,
            drawdown=self.drawdown,
            scenarios=self.scenarios,
            level=settings.limit_level,
            betas=self.betas,
            traded_values=self.traded_values,
            groups=settings.groups,
        )
        limited = apply_limits(state, settings.limits)
        self.events = limited.events
        if not limited.blocked:
            return Acted(limited.weights)
        stops = {LimitAction.BLOCK, LimitAction.HALT}
        why = " ".join(event.detail for event in limited.events if event.action in stops)
        return Acted(limited.weights, why.rstrip(".") or "a weight is not a number after the limits of risk have acted")


def _compute(context: Context) -> Result:
    from pm.portfolio.propose import propose
    from pm.risk.limits import limit_events_frame
    from pm.risk.portfolio_tables import portfolio_tables

    joint = joint_inputs(context)
    settings = context.settings
    inputs = joint_risk(context, joint, horizons=[settings.forecast.horizon]) if joint.model.tickers else None
    volatile = context.read_outputs(VOLATILITY, "step = 1")["ticker"].unique().sort()
    excluded = [
        (ticker, Exclusion(Reason.NOT_IN_RISK, f"{ticker} has no fitted volatility, so that its risk is not known"))
        for ticker in volatile
        if ticker not in joint.model.tickers
    ]
    frames: dict[Table, list[pl.DataFrame]] = {table: [] for table in _WRITTEN}
    drawdowns = newest_drawdowns(context)
    summaries = []
    for currency, accounts in _accounts(context).items():
        holdable = holdable_tickers(context, joint.model.tickers, currency)
        excluded += holdable.exclusions
        own = None if inputs is None else in_currency(inputs, holdable.rates)
        market = _market(context, joint, own, holdable)
        for held in accounts or [_model(context, joint, holdable)]:
            limits = None if own is None else _limits(context, joint, own, holdable, held, drawdowns)
            proposal = propose(
                market,
                held,
                settings.portfolio,
                cost=settings.signals.round_trip_cost / 2,
                act=None if limits is None else limits.act,
            )
            frames[TARGETS].append(proposal.targets)
            frames[PORTFOLIO_RUNS].append(proposal.runs)
            summaries.append(_summary(proposal.runs.row(by_predicate=pl.col("in_use"), named=True)))
            if own is None or limits is None:
                continue
            name = proposed(held.portfolio)
            frames[LIMIT_EVENTS].append(limit_events_frame(name, limits.events))
            summaries += [f"LIMIT {event.detail}" for event in limits.events]
            aimed = dict(proposal.targets.select("ticker", "weight").iter_rows())
            weights = np.array([aimed.get(ticker, 0.0) for ticker in joint.model.tickers], dtype=np.float64)
            if weights.any() and np.isfinite(weights).all():
                risk = portfolio_tables(name, weights, own)
                for table in _RISK_TABLES:
                    frames[table].append(risk[table])
    frames[EXCLUSIONS].append(
        exclusions_frame(context.stage.name, excluded).unique(["ticker", "reason"], maintain_order=True)
    )
    writes = [Append(table, context.stamp(table.together(frames[table]), cutoff=joint.as_of)) for table in _WRITTEN]
    return Result(writes, "; ".join(summaries))


def _accounts(context: Context) -> dict[str, list[Held]]:
    """Return the accounts by their base currency; a currency without an account is that of the model portfolio."""
    found: dict[str, list[Held]] = {}
    for held in accounts_held(context):
        found.setdefault(held.currency, []).append(held)
    return found or {context.settings.portfolio.currency: []}


def _summary(used: dict[str, object]) -> str:
    if used["status"] == PortfolioStatus.KEPT:
        return f"{used['portfolio']}: the weights held stay: {used['detail']}"
    relaxed = f"; RELAXED: {used['detail']}" if used["status"] == PortfolioStatus.RELAXED else ""
    return (
        f"{used['portfolio']}: {plural(int(str(used['positions'])), 'position')} by {used['allocator']}, "
        f"{used['invested']:.0%} invested, volatility {used['annual_volatility']:.0%}, "
        f"turnover {used['turnover']:.0%}{relaxed}"
    )


def _places(joint: JointInputs, holdable: Holdable) -> list[int]:
    return [joint.model.tickers.index(ticker) for ticker in holdable.tickers]


def _among(drawn: Scenarios, holdable: Holdable, places: list[int]) -> Scenarios:
    from pm.risk.scenarios import Scenarios

    return Scenarios(holdable.tickers, drawn.horizon, drawn.returns[:, places], drawn.probabilities)


def _market(context: Context, joint: JointInputs, inputs: RiskInputs | None, holdable: Holdable) -> Market:
    """Return the scenarios, prices, covariance and views of the tickers that can be held."""
    from pm.portfolio.currencies import to_base_currency
    from pm.portfolio.edges import edge_views
    from pm.portfolio.propose import Market
    from pm.risk.covariance import next_covariance
    from pm.risk.scenarios import Scenarios
    from pm.signals import edge_discoveries

    horizon = context.settings.forecast.horizon
    if inputs is None:
        return Market(Scenarios((), horizon, np.empty((1, 0)), np.ones(1)), {})
    places = _places(joint, holdable)
    turned = to_base_currency(joint.model.tickers, holdable.rates)[places]
    covariance = horizon * turned @ next_covariance(joint.model) @ turned.T
    weights = context.read_outputs(MODEL_WEIGHTS, "model = 'ensemble'")
    found = edge_discoveries(weights, context.settings.signals.false_discovery_rate)
    forecasts = context.read_outputs(FORECASTS, "model = 'ensemble'")
    discovered = found.filter("discovered")["ticker"].to_list()
    return Market(
        _among(inputs.scenarios[horizon], holdable, places),
        last_prices(joint.bars, holdable),
        edge_views(forecasts, discovered, list(holdable.tickers), horizon),
        covariance,
    )


def _limits(
    context: Context,
    joint: JointInputs,
    inputs: RiskInputs,
    holdable: Holdable,
    held: Held,
    drawdowns: dict[str, float | None],
) -> _Limits:
    """Return the limits of risk of a portfolio; the model portfolio has no past from which it could have fallen."""
    from pm.portfolio.held import MODEL
    from pm.risk.factors import relative_betas

    places = _places(joint, holdable)
    fallen = 0.0 if held.portfolio == MODEL else drawdowns.get(held.portfolio)
    prices = last_prices(joint.bars, holdable)
    newest = joint.bars.group_by("ticker", maintain_order=True).tail(_SESSIONS_TRADED)
    shares = dict(newest.group_by("ticker").agg((pl.col("close") * pl.col("volume")).mean()).iter_rows())
    closes = dict(newest.group_by("ticker", maintain_order=True).agg(pl.col("close").last()).iter_rows())
    traded = [
        np.nan
        if shares.get(ticker) is None or ticker not in prices
        else shares[ticker] * prices[ticker] / closes[ticker]
        for ticker in holdable.tickers
    ]
    return _Limits(
        context,
        held,
        float("nan") if fallen is None else -fallen,
        _among(inputs.scenarios[context.settings.risk.limit_horizon], holdable, places),
        relative_betas(joint.model)[places],
        np.array(traded, dtype=np.float64),
    )


def _model(context: Context, joint: JointInputs, holdable: Holdable) -> Held:
    """Return the model portfolio: what the targets of the run before have become since."""
    from pm.portfolio.held import MODEL, Held, drifted_weights

    settings = context.settings.portfolio
    last = context.rows(_LAST_TARGETS, [MODEL, joint.as_of, context.run_id])
    if not last:
        return Held(MODEL, settings.currency, settings.model_equity)
    growth = adjusted_prices(joint.bars, holdable)
    start = adjusted_prices(joint.bars.filter(pl.col("date") <= last[0]["cutoff"]), holdable)
    moved = {ticker: growth[ticker] / start[ticker] for ticker in growth if ticker in start}
    weights = drifted_weights({row["ticker"]: row["weight"] for row in last if row["weight"]}, moved)
    return Held(MODEL, settings.currency, settings.model_equity, weights)


_WRITTEN = (TARGETS, PORTFOLIO_RUNS, *_RISK_TABLES, LIMIT_EVENTS, EXCLUSIONS)

STAGE = Stage(
    "portfolio",
    _compute,
    reads=(*JOINT_TABLES, FORECASTS, MODEL_WEIGHTS),
    past=(RUNS, *HELD_TABLES),
    writes=_WRITTEN,
    views=HELD_VIEWS,
    sections=(
        *JOINT_SECTIONS,
        "portfolio",
        "signals.round_trip_cost",
        "signals.false_discovery_rate",
        "forecast.horizon",
    ),
    depends=lambda context: [scope(context), held_version(context)],
)
"""Propose a portfolio for each account from what the run forecast; without an account, for the model portfolio."""
