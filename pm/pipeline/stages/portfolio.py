"""Stage `portfolio`: how much of each ticker to hold, from joint scenarios, discovered edges and what is held."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.errors import did_you_mean
from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.holdable import currencies_told, holdable_tickers, rates_needed
from pm.pipeline.holdings import (
    HELD_TABLES,
    HELD_VIEWS,
    MARK_TABLES,
    MARK_VIEWS,
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
from pm.portfolio.holdable import adjusted_prices, last_prices
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS, RUNS
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS
from pm.tables.risk import LIMIT_EVENTS, MODEL_PORTFOLIO, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS, proposed
from pm.tables.vocabulary import PortfolioStatus, Reason, TargetReason, TickerStatus
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.portfolio.held import Held
    from pm.portfolio.holdable import Holdable
    from pm.portfolio.market import Market
    from pm.portfolio.risk_limits import RiskLimits
    from pm.risk.joint_inputs import JointInputs
    from pm.risk.portfolio_tables import RiskInputs
    from pm.tables.declaration import Table

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

_RISK_TABLES = (PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS)


def _compute(context: Context) -> Result:
    from pm.portfolio.propose import propose
    from pm.risk.limits import limit_events_frame
    from pm.risk.portfolio_tables import portfolio_tables

    settings = context.settings
    found = accounts_held(context)
    last = [] if found else context.rows(_LAST_TARGETS, [MODEL_PORTFOLIO, watch_list(context).as_of, context.run_id])
    wanted = held_tickers(found) | {row["ticker"] for row in last if row["weight"]}
    joint = joint_inputs(context, wanted | rates_needed(context, found))
    inputs = joint_risk(context, joint, horizons=[settings.forecast.horizon]) if joint.model.tickers else None
    left_out, listed = _not_traded(context, joint), _listed(context)
    excluded = [each for each in left_out.items() if each[0] in listed]
    excluded += _without_volatility(context, joint)
    _tell_unknown(context, {*listed, *joint.model.tickers})
    frames: dict[Table, list[pl.DataFrame]] = {table: [] for table in _WRITTEN}
    drawdowns = newest_drawdowns(context)
    summaries = []
    for currency, accounts in _by_currency(context, found).items():
        holdable = holdable_tickers(context, joint.model.tickers, currency, accounts)
        excluded += [each for each in holdable.exclusions if each[0] not in left_out]
        own = None if inputs is None else in_currency(inputs, holdable.rates)
        reached: dict[tuple[str, ...], Market] = {}
        for one in accounts or [_model(context, joint, holdable, last)]:
            beyond = _out_of_reach(context, one, holdable)
            excluded += beyond.items()
            tradable = tuple(ticker for ticker in holdable.tickers if ticker not in left_out | beyond)
            if tradable not in reached:
                reached[tradable] = _market(context, joint, own, holdable, tradable)
            market = reached[tradable]
            # What cannot be traded tonight stays, but for what is delisted or no longer wanted.
            held = replace(one, stays=(held_tickers([one]) - set(tradable)) & listed & set(joint.model.tickers))
            limits = None if own is None else _limits(context, joint, own, holdable, held, drawdowns)
            proposal = propose(
                market,
                held,
                settings.portfolio,
                cost=settings.signals.round_trip_cost / 2,
                act=None if limits is None else limits.act,
                keeps=None if limits is None else limits.keeps,
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
            if used["status"] == PortfolioStatus.KEPT and not limits.events:
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


def _tell_unknown(context: Context, known: set[str]) -> None:
    """Notify the user of tickers in groups of the settings that are neither held nor listed: no limit bounds them."""
    settings = context.settings
    groups = {f"portfolio.groups.{name}": group.tickers for name, group in settings.portfolio.groups.items()}
    groups |= {f"risk.groups.{name}": tickers for name, tickers in settings.risk.groups.items()}
    for where, tickers in sorted(groups.items()):
        if unknown := sorted(set(tickers) - known):
            nearest = did_you_mean(unknown[0], known)
            context.notify(f"{where} names {first_of(unknown)}, which is neither held nor on the watch list.{nearest}")


def _not_traded(context: Context, joint: JointInputs) -> dict[str, Exclusion]:
    """Return the tickers of the joint model that are not traded tonight, each with the reason."""
    from pm.portfolio.tradable import not_traded

    told = context.known_rows("SELECT ticker FROM universe WHERE status = ?", [TickerStatus.DELISTED.value])
    return not_traded(joint, {row["ticker"] for row in told}, max_age_days=context.settings.forecast.max_age_days)


def _out_of_reach(context: Context, held: Held, holdable: Holdable) -> dict[str, Exclusion]:
    """Return the tickers in which the broker of an account cannot be sent orders, each with the reason."""
    from pm.broker.reach import out_of_reach

    broker = context.rows("SELECT broker FROM accounts WHERE account = ?", [held.portfolio])
    if not broker:
        return {}
    told = currencies_told(context)
    found = {ticker: out_of_reach(broker[0]["broker"], ticker, told.get(ticker)) for ticker in holdable.tickers}
    return {
        ticker: Exclusion(Reason.OUT_OF_REACH, f"account {held.portfolio}: {why}")
        for ticker, why in found.items()
        if why is not None
    }


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
        (
            TargetReason.NOT_TRADED,
            "not traded tonight, for want of a volatility, a recent bar or a way to its exchange",
        ),
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


def _market(
    context: Context, joint: JointInputs, inputs: RiskInputs | None, holdable: Holdable, tradable: tuple[str, ...]
) -> Market:
    """Return the scenarios, prices, covariance and views of the tickers that can be traded."""
    from pm.portfolio.market import market_of, without_tickers
    from pm.signals import edge_discoveries

    horizon = context.settings.forecast.horizon
    if inputs is None:
        return without_tickers(horizon)
    weights = context.read_outputs(MODEL_WEIGHTS, "model = 'ensemble'")
    found = edge_discoveries(weights, context.settings.signals.false_discovery_rate)
    return market_of(
        joint.model,
        inputs.scenarios[horizon],
        tradable,
        prices=last_prices(joint.bars, holdable),
        rates=holdable.rates,
        forecasts=context.read_outputs(FORECASTS, "model = 'ensemble'"),
        discovered=found.filter("discovered")["ticker"].to_list(),
    )


def _limits(
    context: Context,
    joint: JointInputs,
    inputs: RiskInputs,
    holdable: Holdable,
    held: Held,
    drawdowns: dict[str, float | None],
) -> RiskLimits:
    """Return the limits of risk of a portfolio; the model portfolio has no past from which it could have fallen."""
    from pm.portfolio.risk_limits import RiskLimits, traded_values
    from pm.risk.factors import relative_betas

    settings = context.settings.risk
    fallen = 0.0 if held.portfolio == MODEL_PORTFOLIO else drawdowns.get(held.portfolio)
    return RiskLimits(
        settings,
        held,
        float("nan") if fallen is None else -fallen,
        inputs.scenarios[settings.limit_horizon],
        relative_betas(joint.model),
        traded_values(joint.bars, last_prices(joint.bars, holdable), joint.model.tickers),
    )


def _model(context: Context, joint: JointInputs, holdable: Holdable, last: Sequence[dict[str, Any]]) -> Held:
    """Return the model portfolio: what the targets of the run before have become since."""
    from pm.portfolio.held import Held, drifted_weights

    settings = context.settings.portfolio
    if not last:
        return Held(MODEL_PORTFOLIO, settings.currency, settings.model_equity)
    growth = adjusted_prices(joint.bars, holdable)
    start = adjusted_prices(joint.bars.filter(pl.col("date") <= last[0]["cutoff"]), holdable)
    moved = {ticker: growth[ticker] / start[ticker] for ticker in growth if ticker in start}
    weights = drifted_weights({row["ticker"]: row["weight"] for row in last if row["weight"]}, moved)
    return Held(MODEL_PORTFOLIO, settings.currency, settings.model_equity, weights)


_WRITTEN = (TARGETS, PORTFOLIO_RUNS, *_RISK_TABLES, LIMIT_EVENTS, EXCLUSIONS)

STAGE = Stage(
    "portfolio",
    _compute,
    reads=(*JOINT_TABLES, FORECASTS, MODEL_WEIGHTS),
    past=(RUNS, *HELD_TABLES, *MARK_TABLES),
    writes=_WRITTEN,
    views=(*HELD_VIEWS, *MARK_VIEWS),
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
