"""Stage `portfolio`: how much of each ticker to hold, from joint scenarios, discovered edges and what is held."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.holdable import adjusted_prices, holdable_tickers, last_prices
from pm.pipeline.holdings import (
    HELD_TABLES,
    HELD_VIEWS,
    MARK_TABLES,
    accounts_held,
    held_tickers,
    held_version,
    newest_drawdowns,
    newest_mark,
)
from pm.pipeline.joint import JOINT_SECTIONS, JOINT_TABLES, in_currency, joint_inputs, joint_risk
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import run_tickers, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import first_of, plural
from pm.portfolio.held import MODEL
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS, RUNS
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS
from pm.tables.risk import LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS, proposed
from pm.tables.vocabulary import LimitAction, PortfolioStatus, Reason, TargetReason, TickerStatus
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.pipeline.holdable import Holdable
    from pm.pipeline.joint import JointInputs
    from pm.portfolio.held import Held
    from pm.portfolio.propose import Acted, Market
    from pm.risk.limits import LimitEvent
    from pm.risk.portfolio_tables import RiskInputs
    from pm.risk.scenarios import Scenarios
    from pm.settings import Limit
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
    """Limits of risk of a portfolio, what they are applied to, and what they did: of all tickers of the joint model."""

    context: Context
    held: Held
    drawdown: float
    scenarios: Scenarios
    betas: FloatArray
    traded_values: FloatArray
    events: tuple[LimitEvent, ...] = field(default=())

    def act(self, tickers: tuple[str, ...], weights: FloatArray, before: FloatArray) -> Acted:
        """Return the weights that may be traded to, and keep what was done."""
        return self._acted(tickers, weights, before, self.context.settings.risk.limits)

    def stop(self, tickers: tuple[str, ...], weights: FloatArray) -> None:
        """Keep what limits that stop trading say of weights that are not going to be traded anyway."""
        limits = self.context.settings.risk.limits
        stops = {LimitAction.BLOCK, LimitAction.HALT}
        self._acted(tickers, weights, weights, {name: limit for name, limit in limits.items() if limit.action in stops})

    def _acted(
        self, tickers: tuple[str, ...], weights: FloatArray, before: FloatArray, limits: Mapping[str, Limit]
    ) -> Acted:
        from pm.portfolio.propose import Acted
        from pm.risk.limit_values import LimitState
        from pm.risk.limits import apply_limits

        settings = self.context.settings.risk
        place_of = {ticker: place for place, ticker in enumerate(self.scenarios.tickers)}
        places = [place_of[ticker] for ticker in tickers]
        state = LimitState(
            tickers,
            weights=weights,
            previous=before,
            equity=self.held.equity,
            drawdown=self.drawdown,
            scenarios=_among(self.scenarios, tickers),
            level=settings.limit_level,
            betas=self.betas[places],
            traded_values=self.traded_values[places],
            groups=settings.groups,
            fixed=frozenset(self.held.stays),
        )
        limited = apply_limits(state, limits)
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

    settings = context.settings
    found = accounts_held(context)
    last = [] if found else context.rows(_LAST_TARGETS, [MODEL, watch_list(context).as_of, context.run_id])
    joint = joint_inputs(context, held_tickers(found) | {row["ticker"] for row in last if row["weight"]})
    inputs = joint_risk(context, joint, horizons=[settings.forecast.horizon]) if joint.model.tickers else None
    left_out, listed = _not_traded(context, joint), _listed(context)
    excluded = [each for each in left_out.items() if each[0] in listed]
    excluded += _without_volatility(context, joint)
    frames: dict[Table, list[pl.DataFrame]] = {table: [] for table in _WRITTEN}
    drawdowns = newest_drawdowns(context)
    summaries = []
    for currency, accounts in _by_currency(context, found).items():
        holdable = holdable_tickers(context, joint.model.tickers, currency)
        excluded += [each for each in holdable.exclusions if each[0] not in left_out]
        own = None if inputs is None else in_currency(inputs, holdable.rates)
        tradable = tuple(ticker for ticker in holdable.tickers if ticker not in left_out)
        market = _market(context, joint, own, holdable, tradable)
        for one in accounts or [_model(context, joint, holdable, last)]:
            # What cannot be traded tonight stays, but for what is delisted or no longer wanted.
            held = replace(one, stays=(held_tickers([one]) - set(tradable)) & listed & set(joint.model.tickers))
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
            used = proposal.runs.row(by_predicate=pl.col("in_use"), named=True)
            summaries += [_summary(used), *_told(proposal.targets, held)]
            if own is None or limits is None:
                continue
            name = proposed(held.portfolio)
            aimed = dict(proposal.targets.select("ticker", "weight").iter_rows())
            weights = np.array([aimed.get(ticker, 0.0) for ticker in joint.model.tickers], dtype=np.float64)
            if used["status"] == PortfolioStatus.KEPT and held.problem is None and not limits.events:
                limits.stop(joint.model.tickers, weights)
            frames[LIMIT_EVENTS].append(limit_events_frame(name, limits.events))
            summaries += [f"LIMIT {event.detail}" for event in limits.events]
            if weights.any() and np.isfinite(weights).all():
                risk = portfolio_tables(name, weights, own)
                for table in _RISK_TABLES:
                    frames[table].append(risk[table])
    frames[EXCLUSIONS].append(
        exclusions_frame(context.stage.name, excluded).unique(["ticker", "reason"], maintain_order=True)
    )
    writes = [Append(table, context.stamp(table.together(frames[table]), cutoff=joint.as_of)) for table in _WRITTEN]
    return Result(writes, "; ".join(summaries))


def _by_currency(context: Context, found: Sequence[Held]) -> dict[str, list[Held]]:
    """Return the accounts by their base currency; a currency without an account is that of the model portfolio."""
    accounts: dict[str, list[Held]] = {}
    for held in found:
        accounts.setdefault(held.currency, []).append(held)
    return accounts or {context.settings.portfolio.currency: []}


def _listed(context: Context) -> set[str]:
    """Return the tickers on the watch list that are not delisted, with bars or without."""
    told = context.known_rows("SELECT ticker, status FROM universe", ())
    delisted = {row["ticker"] for row in told if row["status"] == TickerStatus.DELISTED}
    every = replace(context.request, tickers=None)
    return {*run_tickers(context.known_rows, every), *(row["ticker"] for row in told)} - delisted


def _not_traded(context: Context, joint: JointInputs) -> dict[str, Exclusion]:
    """Return the tickers of the joint model that are not traded tonight, each with the reason."""
    found = {
        ticker: Exclusion(Reason.STAND_IN, f"{ticker} has no fitted volatility and is not traded; {detail}")
        for ticker, detail in joint.stand_ins.items()
    }
    told = context.known_rows("SELECT ticker FROM universe WHERE status = ?", [TickerStatus.DELISTED.value])
    delisted = {row["ticker"] for row in told}
    limit = context.settings.forecast.max_age_days
    last = joint.bars.group_by("ticker", maintain_order=True).agg(pl.col("date").last())
    for ticker, day in last.iter_rows():
        age = (joint.as_of - day).days
        if ticker in delisted:
            found[ticker] = Exclusion(Reason.DELISTED, f"{ticker} is delisted; its last bar is of {day}")
        elif age > limit:
            detail = f"last bar {day} is {age} days old on {joint.as_of}, at most {limit} allowed"
            found.setdefault(ticker, Exclusion(Reason.STALE, detail))
    return found


def _without_volatility(context: Context, joint: JointInputs) -> list[tuple[str, Exclusion]]:
    volatile = context.read_outputs(VOLATILITY, "step = 1")["ticker"].unique().sort()
    return [
        (ticker, Exclusion(Reason.NOT_IN_RISK, f"{ticker} has no fitted volatility, so that its risk is not known"))
        for ticker in volatile
        if ticker not in joint.model.tickers
    ]


def _told(targets: pl.DataFrame, held: Held) -> list[str]:
    """Return what the user is told of positions that stay as they are, or are closed for no reason of risk."""
    told = []
    for reason, words in (
        (TargetReason.NOT_TRADED, "not traded tonight, for want of a volatility or of a recent bar"),
        (TargetReason.NOT_ALLOCATED, "to be closed, being delisted or no longer on the watch list"),
    ):
        names = targets.filter(reason=reason.value)["ticker"].to_list()
        if names:
            told.append(f"{held.portfolio}: {first_of(names)}: {words}")
    return told


def _summary(used: dict[str, object]) -> str:
    if used["status"] == PortfolioStatus.KEPT:
        return f"{used['portfolio']}: the weights held stay: {used['detail']}"
    relaxed = f"; RELAXED: {used['detail']}" if used["status"] == PortfolioStatus.RELAXED else ""
    return (
        f"{used['portfolio']}: {plural(int(str(used['positions'])), 'position')} by {used['allocator']}, "
        f"{used['invested']:.0%} invested, volatility {used['annual_volatility']:.0%}, "
        f"turnover {used['turnover']:.0%}{relaxed}"
    )


def _among(drawn: Scenarios, tickers: tuple[str, ...]) -> Scenarios:
    from pm.risk.scenarios import Scenarios

    place_of = {ticker: place for place, ticker in enumerate(drawn.tickers)}
    places = [place_of[ticker] for ticker in tickers]
    returns = drawn.returns if tickers == drawn.tickers else drawn.returns[:, places]
    return Scenarios(tickers, drawn.horizon, returns, drawn.probabilities)


def _market(
    context: Context, joint: JointInputs, inputs: RiskInputs | None, holdable: Holdable, tradable: tuple[str, ...]
) -> Market:
    """Return the scenarios, prices, covariance and views of the tickers that can be traded."""
    from pm.portfolio.currencies import to_base_currency
    from pm.portfolio.edges import edge_views
    from pm.portfolio.propose import Market
    from pm.risk.covariance import next_covariance
    from pm.risk.scenarios import Scenarios
    from pm.signals import edge_discoveries

    horizon = context.settings.forecast.horizon
    if inputs is None:
        return Market(Scenarios((), horizon, np.empty((1, 0)), np.ones(1)), {})
    places = [joint.model.tickers.index(ticker) for ticker in tradable]
    turned = to_base_currency(joint.model.tickers, holdable.rates)[places]
    covariance = horizon * turned @ next_covariance(joint.model) @ turned.T
    weights = context.read_outputs(MODEL_WEIGHTS, "model = 'ensemble'")
    found = edge_discoveries(weights, context.settings.signals.false_discovery_rate)
    forecasts = context.read_outputs(FORECASTS, "model = 'ensemble'")
    discovered = found.filter("discovered")["ticker"].to_list()
    drawn = inputs.scenarios[horizon]
    others = tuple(ticker for ticker in drawn.tickers if ticker not in set(tradable))
    return Market(
        _among(drawn, tradable),
        last_prices(joint.bars, holdable),
        edge_views(forecasts, discovered, list(tradable), horizon),
        covariance,
        _among(drawn, others) if others else None,
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
    from pm.risk.factors import relative_betas

    fallen = 0.0 if held.portfolio == MODEL else drawdowns.get(held.portfolio)
    prices = last_prices(joint.bars, holdable)
    newest = joint.bars.group_by("ticker", maintain_order=True).tail(_SESSIONS_TRADED)
    shares = dict(newest.group_by("ticker").agg((pl.col("close") * pl.col("volume")).mean()).iter_rows())
    closes = dict(newest.group_by("ticker", maintain_order=True).agg(pl.col("close").last()).iter_rows())
    traded = [
        np.nan
        if shares.get(ticker) is None or ticker not in prices
        else shares[ticker] * prices[ticker] / closes[ticker]
        for ticker in joint.model.tickers
    ]
    return _Limits(
        context,
        held,
        float("nan") if fallen is None else -fallen,
        inputs.scenarios[context.settings.risk.limit_horizon],
        relative_betas(joint.model),
        np.array(traded, dtype=np.float64),
    )


def _model(context: Context, joint: JointInputs, holdable: Holdable, last: Sequence[dict[str, Any]]) -> Held:
    """Return the model portfolio: what the targets of the run before have become since."""
    from pm.portfolio.held import Held, drifted_weights

    settings = context.settings.portfolio
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
    past=(RUNS, *HELD_TABLES, *MARK_TABLES),
    writes=_WRITTEN,
    views=HELD_VIEWS,
    sections=(
        *JOINT_SECTIONS,
        "portfolio",
        "signals.round_trip_cost",
        "signals.false_discovery_rate",
        "forecast.horizon",
        "forecast.max_age_days",
    ),
    depends=lambda context: [scope(context), held_version(context), newest_mark(context)],
)
"""Propose a portfolio for each account from what the run forecast; without an account, for the model portfolio."""
