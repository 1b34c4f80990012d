"""Stage `backtest`: walk the decisions of a configuration over past dates, and record it as a trial."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.errors import InputError, PmError, did_you_mean
from pm.pipeline.compiling import compile_ahead
from pm.pipeline.holdable import currencies_told
from pm.pipeline.joint import JOINT_SECTIONS
from pm.pipeline.replay import replayed_past
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages.evaluate import FORECASTING
from pm.pipeline.watch_list import WATCH_LIST_TABLES, judged_bars
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.settings.root import section_values
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS, POLICIES
from pm.tables.quality import BARS
from pm.tables.sources import UNIVERSE_CHANGES
from pm.tables.validation import (
    FORECAST_DATES,
    TRIAL_FILLS,
    TRIAL_JUDGEMENTS,
    TRIAL_RETURNS,
    TRIAL_TARGETS,
    TRIALS,
)
from pm.tables.vocabulary import TrialState
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from pm.pipeline.decision_dates import Past
    from pm.pipeline.stages.past_forecasts import KnownPast, PastReader
    from pm.settings import Settings
    from pm.tables.declaration import Table
    from pm.typing import FloatArray
    from pm.validation.decision import DayForecasts
    from pm.validation.prices import SessionPrices
    from pm.validation.walk import Walk

__all__ = ["TrialRequest", "backtesting", "checking"]

_SECTIONS = (*JOINT_SECTIONS, "signals", "risk", "portfolio", "forecast", "volatility")
"""Sections of the settings that decisions depend on."""


_TICKERS = "SELECT DISTINCT ticker FROM bars ORDER BY ticker"


@dataclass(frozen=True)
class TrialRequest:
    """The configuration of a trial, where it is not that of the settings.

    Attributes
    ----------
    name
        Name of the trial; None for one made from its configuration.
    first
        First date of a decision; None for the first one with a year of sessions up to it.
    step
        Number of sessions from one decision to the next; None for that of the settings.
    cost
        Cost of buying or of selling, as a share of the value traded; None for that of the settings.
    allocator
        Allocator of the weights; None for that of the settings.
    benchmark
        'equal', 'cash' or a ticker; None for that of the settings.
    deposits
        Cash paid in before the open of a session, negative if taken out, by its date.
    started_by
        User of the operating system.
    """

    name: str | None = None
    first: date | None = None
    step: int | None = None
    cost: float | None = None
    allocator: str | None = None
    benchmark: str | None = None
    deposits: tuple[tuple[date, float], ...] = ()
    started_by: str | None = None

    @property
    def costs(self) -> str:
        """Where the costs come from; see column `costs` of table `trials`."""
        return "settings" if self.cost is None else "none" if self.cost == 0 else "given"

    def settings_of(self, settings: Settings) -> Settings:
        """Return the settings of the decisions: one allocator, its costs, and as many paths as a backtest uses."""
        signals, portfolio, risk = settings.signals, settings.portfolio, settings.risk
        if self.cost is not None:
            signals = signals.model_copy(update={"round_trip_cost": 2 * self.cost})
        allocator = self.allocator or portfolio.allocator
        portfolio = portfolio.model_copy(update={"allocator": allocator})
        risk = risk.model_copy(update={"paths": settings.validation.paths or risk.paths})
        return settings.model_copy(update={"signals": signals, "portfolio": portfolio, "risk": risk})


def backtesting(request: TrialRequest, reader: PastReader) -> Stage:
    """Return the stage that runs a trial and records it, whatever becomes of it.

    A row says that it starts before anything is computed, so that a trial that is killed counts too.

    Parameters
    ----------
    request
        The configuration of the trial.
    reader
        Reads the bars, dates and forecasts.
    """
    return Stage(
        "backtest",
        partial(_compute, request=request, reader=reader),
        reads=(
            *WATCH_LIST_TABLES,
            UNIVERSE_CHANGES,
            VOLATILITY,
            VOLATILITY_FITS,
            FORECASTS,
            MODEL_WEIGHTS,
            POLICIES,
            FORECAST_DATES,
        ),
        past=(*replayed_past(FORECASTING), TRIAL_JUDGEMENTS),
        writes=(TRIALS, TRIAL_RETURNS, TRIAL_FILLS, TRIAL_TARGETS),
        sections=(*dict.fromkeys(_SECTIONS), "validation"),
        depends=lambda _: None,
    )


def _compute(context: Context, *, request: TrialRequest, reader: PastReader) -> Iterator[Result]:
    from pm.validation.ledger import TrialLedger, rows_hash

    judgements = context.read(TRIAL_JUDGEMENTS).to_dicts()
    ledger = TrialLedger(context.read(TRIALS).to_dicts(), context.run_id, judgements)
    for row in ledger.unended():
        detail = f"It never ended; found when trial {context.run_id} started."
        ledger.end(row, TrialState.KILLED, detail=detail)
    step = request.step or context.settings.validation.step
    known = reader.of(context)
    past = known.past
    settings = request.settings_of(context.settings)
    _check(context, request, past)  # what cannot be is refused before it counts as a trial
    market = _market(context, request, past, settings)
    started = ledger.start(_configuration(context, request, past, settings, step))
    yield Result([Append(TRIALS, ledger.drain())], "started")
    try:
        done = _run(context, request, known, settings, market)
    except BaseException as error:
        ledger.end(started, TrialState.FAILED, detail=_why(error))
        yield Result([Append(TRIALS, ledger.drain())], "failed")
        raise
    own = pl.lit(context.run_id).alias("trial_id")
    made = ((TRIAL_RETURNS, done.returns), (TRIAL_FILLS, done.walk.fills), (TRIAL_TARGETS, done.walk.targets))
    frames = {table.name: (table, frame.with_columns(own)) for table, frame in made}
    targets_hash = rows_hash(*frames[TRIAL_TARGETS.name])
    end = ledger.end(started, TrialState.DONE, **done.summary, targets_hash=targets_hash)
    yield Result(
        [Append(TRIALS, ledger.drain()), *(Append(table, frame) for table, frame in frames.values())],
        f"trial {end['name']}: {plural(end['decisions'], 'decision')}, {plural(end['fills'], 'fill')}, "
        f"{plural(end['n_days'], 'session')}",
    )


def _why(error: BaseException) -> str:
    """Return why a trial failed, in a line."""
    if isinstance(error, KeyboardInterrupt):
        return "It was interrupted."
    return str(error).splitlines()[0] if isinstance(error, PmError) else f"{type(error).__name__}: {error}"


def _configuration(
    context: Context, request: TrialRequest, past: Past, settings: Settings, step: int
) -> dict[str, Any]:
    """Return what the row of a trial says of its configuration."""
    values = {name: section_values(settings, name) for name in _SECTIONS}
    benchmark = request.benchmark or settings.validation.benchmark
    universe: list[object] = [[ticker, past.watched.sources[ticker]] for ticker in past.watched.tickers]
    if past.has_changes:
        universe.append([[day, sorted(own)] for day, own in past.members.items()])
    cost = settings.signals.round_trip_cost / 2
    name = request.name or f"{settings.portfolio.allocator}, every {step}"
    return {
        "trial_id": context.run_id,
        "name": name,
        "settings_hash": _sha256([values, [[str(day), amount] for day, amount in request.deposits]]),
        "code_hash": context.code_hash,
        "universe_hash": _sha256(universe),
        "allocator": settings.portfolio.allocator,
        "tickers": len(past.watched.tickers),
        "universe_known_from": past.known_from,
        "from_date": past.decisions[0],
        "to_date": past.sessions[-1],
        "step": step,
        "decisions": len(past.decisions),
        "costs": request.costs,
        "cost": cost,
        "benchmark": benchmark,
        "started_by": request.started_by,
        "snapshot_id": context.snapshot,
    }


@dataclass(frozen=True)
class _Done:
    """A trial that has ended: its returns with those of the benchmarks, and what its row says of them."""

    walk: Walk
    returns: pl.DataFrame
    summary: dict[str, Any]


@dataclass(frozen=True)
class _Market:
    """Prices of a trial, and the daily returns of its benchmark and of equal weights."""

    prices: SessionPrices
    benchmark: FloatArray
    equal: FloatArray
    currencies: Mapping[str, str]


def checking(request: TrialRequest) -> Callable[[Context, Past], None]:
    """Return a function that refuses a trial that cannot be: its benchmark has no price, or a deposit no session.

    The function raises an InputError. A trial that is refused does not count.
    """
    return lambda context, past: _check(context, request, past)


def _check(context: Context, request: TrialRequest, past: Past) -> None:
    _check_deposits(request, past)
    _named_benchmark(context, request, past)


def _market(context: Context, request: TrialRequest, past: Past, settings: Settings) -> _Market:
    from pm.portfolio.holdable import holdable_of
    from pm.validation.benchmarks import equal_returns
    from pm.validation.prices import session_prices

    currencies = currencies_told(context)
    holdable = holdable_of(currencies, past.watched.tickers, settings.portfolio.currency)
    prices = session_prices(past.bars, past.sessions, holdable.tickers, rates=holdable.rates, units=holdable.units)
    equal = equal_returns(
        prices,
        past.decisions,
        cost=settings.signals.round_trip_cost / 2,
        max_age_days=settings.forecast.max_age_days,
        members=past.members,
    )
    named = _named_benchmark(context, request, past)
    return _Market(prices, equal if named is None else named, equal, currencies)


def _named_benchmark(context: Context, request: TrialRequest, past: Past) -> FloatArray | None:
    """Return the daily returns of cash or of a ticker; None for equal weights."""
    from pm.validation.benchmarks import CASH, EQUAL, ticker_returns

    named = request.benchmark or context.settings.validation.benchmark
    if named == EQUAL:
        return None
    if named == CASH:
        return np.zeros(len(past.sessions) - 1 - past.sessions.index(past.decisions[0]))
    return ticker_returns(_priced(context, named, past), named, past.decisions[0])


def _priced(context: Context, ticker: str, past: Past) -> SessionPrices:
    """Return the prices of a ticker, which can be one that the trial is not about, such as an index fund.

    Raises
    ------
    InputError
        It has no bars, or there is no rate of its currency.
    """
    from pm.portfolio.holdable import holdable_of
    from pm.validation.benchmarks import CASH, EQUAL
    from pm.validation.prices import session_prices

    bars = past.bars
    if ticker not in past.watched.tickers:
        columns = ("ticker", "date", "open", "high", "low", "close", "adj_factor", "volume")
        own = context.read(BARS, "date <= ?", [past.watched.as_of], among={"ticker": [ticker]}, columns=columns)
        if not own.height:
            names = [EQUAL, CASH, *(row["ticker"] for row in context.known_rows(_TICKERS, ()))]
            raise InputError(
                f"There is no benchmark {ticker!r}: it is not {EQUAL!r} or {CASH!r}, and no ticker with bars."
                f"{did_you_mean(ticker, names)}",
                where="validation.benchmark, --benchmark",
                hint=f"choose {EQUAL}, {CASH} or a ticker: pm universe list",
            )
        bars = pl.concat([bars, own]).sort("ticker", "date")
    currency = context.settings.portfolio.currency
    holdable = holdable_of(currencies_told(context), {*past.watched.tickers, ticker}, currency)
    for left_out, exclusion in holdable.exclusions:
        if left_out == ticker:
            raise InputError(
                f"Benchmark {ticker} has no price in {currency}: {exclusion.detail}.",
                where="validation.benchmark, --benchmark",
                hint="choose another one: equal, cash, or a ticker",
            )
    return session_prices(bars, past.sessions, [ticker], rates=holdable.rates, units=holdable.units)


def _run(context: Context, request: TrialRequest, known: KnownPast, settings: Settings, market: _Market) -> _Done:
    from pm.statistics.sharpe import sharpe_of
    from pm.validation.ledger import content_hash
    from pm.validation.snooping import MIN_OBSERVATIONS
    from pm.validation.walk import WalkInputs, walk_forward

    for package in ("pm.risk", "pm.validation"):
        compile_ahead(context, package)
    past = known.past
    forecasts = _forecasts(context, past, known.runs)
    walk = walk_forward(
        WalkInputs(
            market.prices,
            past.bars.drop("open", "high", "low"),
            past.decisions,
            forecasts.__getitem__,
            market.currencies,
            judged_bars(settings),
            settings,
            dict(request.deposits),
        ),
        context.progress,
    )
    returns = walk.returns.with_columns(benchmark=pl.Series(market.benchmark), equal=pl.Series(market.equal))
    # Without a trade there is nothing that a ratio could be of, and a few returns say nothing of it.
    excess = (returns["net"] - returns["benchmark"]).to_numpy()
    found = sharpe_of(excess if walk.fills.height and len(excess) >= MIN_OBSERVATIONS else excess[:0])
    numbers = {"sharpe": found.ratio, "skew": found.skewness, "kurtosis": found.kurtosis}
    summary = {
        "n_days": returns.height,
        "fills": walk.fills.height,
        "returns_hash": content_hash(returns, walk.fills),
        **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
    }
    return _Done(walk, returns, summary)


def _forecasts(context: Context, past: Past, runs: Mapping[date, str]) -> Mapping[date, DayForecasts]:
    """Return what was forecast from each date of the tickers on the watch list then, read at once."""
    from pm.validation.decision import DayForecasts

    horizon = context.settings.forecast.horizon
    pairs = pl.DataFrame({"run_id": list(runs.values()), "cutoff": list(runs)}, schema_overrides={"cutoff": pl.Date})
    names = sorted(set(runs.values()))

    def by_day(table: Table, where: str = "true", *parameters: object) -> Callable[[date], pl.DataFrame]:
        rows = context.read(table, where, parameters, among={"run_id": names})
        kept = rows.join(pairs, on=["run_id", "cutoff"], how="semi", maintain_order="left")
        parts = {day: own for (day,), own in kept.partition_by("cutoff", as_dict=True, maintain_order=True).items()}
        return lambda day: parts.get(day, rows.clear())

    volatility, fits = by_day(VOLATILITY, "step = 1"), by_day(VOLATILITY_FITS)
    forecasts = by_day(FORECASTS, "model = 'ensemble' AND step = ?", horizon)
    weights = by_day(MODEL_WEIGHTS, "model = 'ensemble'")
    known = {}
    for day, run in runs.items():
        own = DayForecasts(volatility(day), fits(day), forecasts(day), weights(day), run)
        everybody = len(past.members[day]) == len(past.watched.tickers)
        known[day] = own if everybody else own.of(past.members[day])
    return known


def _check_deposits(request: TrialRequest, past: Past) -> None:
    sessions = set(past.sessions)
    for day, _ in request.deposits:
        if day not in sessions or day <= past.decisions[0]:
            raise InputError(
                f"A deposit on {day} cannot be made: it is no session after {past.decisions[0]}, the first decision.",
                where="--deposit",
                hint=f"choose a session up to {past.sessions[-1]}",
            )


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
