"""Stage `portfolio`: how much of each ticker to hold, from joint scenarios, discovered edges and what is held."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.portfolio.currencies import HUNDREDTHS, RateOf, in_base_currency, is_rate, rate_of
from pm.prices import adjusted_close, log_returns
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS, RUNS
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS
from pm.tables.quality import BARS
from pm.tables.vocabulary import PortfolioStatus, Reason
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from datetime import date

    from pm.portfolio.held import Held
    from pm.portfolio.propose import Market

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

_CURRENCIES = "SELECT ticker, currency FROM universe WHERE currency IS NOT NULL ORDER BY ticker"


@dataclass(frozen=True)
class _Universe:
    """Tickers that can be held: the rate of each that needs one, its unit, and those that are left out."""

    tickers: tuple[str, ...]
    rates: dict[str, RateOf]
    units: dict[str, float]
    exclusions: list[tuple[str, Exclusion]]


def _compute(context: Context) -> Result:
    from pm.portfolio.propose import propose

    as_of = watch_list(context).as_of
    settings = context.settings
    cost = settings.signals.round_trip_cost / 2
    targets, runs, excluded, summaries = [], [], [], []
    for currency, accounts in _accounts(context).items():
        universe = _universe(context, currency)
        bars = _bars(context, universe, as_of)
        market, left_out = _market(context, universe, bars)
        excluded += [*universe.exclusions, *left_out]
        for account in accounts or (_model(context, bars, universe, as_of),):
            proposal = propose(market, account, settings.portfolio, cost=cost)
            targets.append(proposal.targets)
            runs.append(proposal.runs)
            summaries.append(_summary(proposal.runs.row(by_predicate=pl.col("in_use"), named=True)))
    exclusions = exclusions_frame(context.stage.name, excluded).unique(["ticker", "reason"], maintain_order=True)
    return Result(
        [
            Append(TARGETS, context.stamp(pl.concat(targets), cutoff=as_of)),
            Append(PORTFOLIO_RUNS, context.stamp(pl.concat(runs), cutoff=as_of)),
            Append(EXCLUSIONS, context.stamp(exclusions, cutoff=as_of)),
        ],
        "; ".join(summaries),
    )


def _accounts(context: Context) -> dict[str, list[Held]]:
    """Return the accounts by their base currency; a currency without an account is that of the model portfolio.

    There are no accounts in the lake yet: views `positions` and `equity`, for `held_of_accounts`, come with the ledger.
    """
    return {context.settings.portfolio.currency: []}


def _summary(used: dict[str, object]) -> str:
    if used["status"] == PortfolioStatus.KEPT:
        return f"{used['portfolio']}: the weights held stay: {used['detail']}"
    relaxed = f"; RELAXED: {used['detail']}" if used["status"] == PortfolioStatus.RELAXED else ""
    return (
        f"{used['portfolio']}: {plural(int(str(used['positions'])), 'position')} by {used['allocator']}, "
        f"{used['invested']:.0%} invested, volatility {used['annual_volatility']:.0%}, "
        f"turnover {used['turnover']:.0%}{relaxed}"
    )


def _universe(context: Context, base: str) -> _Universe:
    """Return the tickers with a volatility that can be held in a currency, and those left out."""
    volatility = context.read_outputs(VOLATILITY, "step = 1")
    tickers = sorted(volatility["ticker"].unique())
    told = {row["ticker"]: row["currency"] for row in context.known_rows(_CURRENCIES, ())}
    currencies = {HUNDREDTHS.get(currency, currency) for currency in told.values()} | {base}
    kept, rates, units, excluded = [], {}, {}, []
    for ticker in tickers:
        unit = told.get(ticker, base)
        currency = HUNDREDTHS.get(unit, unit)
        units[ticker] = 0.01 if unit in HUNDREDTHS else 1.0
        if is_rate(ticker, currencies | {"USD", "EUR"}):
            detail = f"{ticker} is a rate of exchange: it values other tickers, and is not held"
            excluded.append((ticker, Exclusion(Reason.IS_A_RATE, detail)))
            continue
        if currency != base:
            rate = rate_of(currency, base, tickers)
            if rate is None:
                detail = f"there is no rate of {currency} in {base}; add its bars: pm universe add {currency}{base}=X"
                excluded.append((ticker, Exclusion(Reason.NO_RATE, detail)))
                continue
            rates[ticker] = rate
        kept.append(ticker)
    return _Universe(tuple(kept), rates, units, excluded)


def _bars(context: Context, universe: _Universe, as_of: date) -> pl.DataFrame:
    """Return the newest bars of the tickers and of their rates: ticker, date, close, adj_factor."""
    tickers = sorted({*universe.tickers, *(rate for rate, _ in universe.rates.values())})
    bars = context.read(
        BARS,
        "date <= ?",
        [as_of],
        among={"ticker": tickers},
        columns=("ticker", "date", "close", "adj_factor"),
    )
    sessions = context.settings.portfolio.scenario_sessions
    return bars.group_by("ticker", maintain_order=True).tail(sessions + 1)


def _market(context: Context, universe: _Universe, bars: pl.DataFrame) -> tuple[Market, list[tuple[str, Exclusion]]]:
    """Return the scenarios, prices and views of the tickers, and those left out for too few returns."""
    from pm.portfolio.edges import edge_views
    from pm.portfolio.history import MIN_RETURNS, drawn_scenarios, standardised_returns
    from pm.portfolio.propose import Market
    from pm.signals import edge_discoveries

    settings, horizon = context.settings.portfolio, context.settings.forecast.horizon
    volatility = context.read_outputs(VOLATILITY, "step = ?", [horizon])
    sigmas = dict(volatility.select("ticker", "cumulative_sigma").iter_rows())
    returns = log_returns(bars).filter(pl.col("ticker").is_in(list(sigmas)) & pl.col("log_return").is_finite())
    known, standardised = standardised_returns(returns, settings.scenario_sessions, settings.seed)
    drawn = drawn_scenarios(
        known, standardised, sigmas,
        horizon=horizon, count=settings.scenarios, decay=settings.scenario_decay, seed=settings.seed,
    )  # fmt: skip
    usable = [t for t in universe.tickers if t in known and universe.rates.get(t, (t, False))[0] in known]
    left_out = [
        (ticker, Exclusion(Reason.TOO_FEW_RETURNS, f"fewer than {MIN_RETURNS} returns on dates that most tickers have"))
        for ticker in universe.tickers
        if ticker not in usable
    ]
    rates = {ticker: rate for ticker, rate in universe.rates.items() if ticker in usable}
    scenarios = in_base_currency(drawn, rates)
    places = [known.index(ticker) for ticker in usable]
    scenarios = replace(scenarios, tickers=tuple(usable), returns=scenarios.returns[:, places])
    weights = context.read_outputs(MODEL_WEIGHTS, "model = 'ensemble'")
    found = edge_discoveries(weights, context.settings.signals.false_discovery_rate)
    forecasts = context.read_outputs(FORECASTS, "model = 'ensemble'")
    views = edge_views(forecasts, found.filter("discovered")["ticker"].to_list(), usable, horizon)
    return Market(scenarios, _prices(bars, universe), views), left_out


def _prices(bars: pl.DataFrame, universe: _Universe) -> dict[str, float]:
    """Return the last close of each ticker in the currency of the portfolio."""
    closes = dict(bars.group_by("ticker", maintain_order=True).agg(pl.col("close").last()).iter_rows())
    return {
        ticker: closes[ticker] * universe.units[ticker] * _rate(closes, universe.rates.get(ticker))
        for ticker in universe.tickers
        if ticker in closes
    }


def _rate(closes: dict[str, float], rate: RateOf | None) -> float:
    if rate is None:
        return 1.0
    ticker, inverted = rate
    return 1 / closes[ticker] if inverted else closes[ticker]


def _model(context: Context, bars: pl.DataFrame, universe: _Universe, as_of: date) -> Held:
    """Return the model portfolio: what the targets of the run before have become since."""
    from pm.portfolio.held import MODEL, Held, drifted_weights

    settings = context.settings.portfolio
    last = context.rows(_LAST_TARGETS, [MODEL, as_of, context.run_id])
    if not last:
        return Held(MODEL, settings.currency, settings.model_equity)
    then = last[0]["cutoff"]
    before = bars.filter(pl.col("date") <= then)
    growth = _base_prices(bars, universe)
    start = _base_prices(before, universe)
    moved = {ticker: growth[ticker] / start[ticker] for ticker in growth if ticker in start}
    weights = drifted_weights({row["ticker"]: row["weight"] for row in last if row["weight"]}, moved)
    return Held(MODEL, settings.currency, settings.model_equity, weights)


def _base_prices(bars: pl.DataFrame, universe: _Universe) -> dict[str, float]:
    """Return the last adjusted close of each ticker, times its rate."""
    latest = bars.group_by("ticker", maintain_order=True).agg(adjusted_close().last())
    closes = dict(latest.iter_rows())
    return {
        ticker: closes[ticker] * _rate(closes, universe.rates.get(ticker))
        for ticker in universe.tickers
        if ticker in closes and universe.rates.get(ticker, (ticker, False))[0] in closes
    }


STAGE = Stage(
    "portfolio",
    _compute,
    reads=(*WATCH_LIST_TABLES, VOLATILITY, FORECASTS, MODEL_WEIGHTS),
    past=(RUNS,),
    writes=(TARGETS, PORTFOLIO_RUNS, EXCLUSIONS),
    sections=("portfolio", "signals.round_trip_cost", "signals.false_discovery_rate", "forecast.horizon"),
    depends=scope,
)
"""Propose a portfolio from what the run forecast, and from the targets of the run before."""
