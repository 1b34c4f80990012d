"""Make the data of a report from the five tickers of the sample: random walks with drift, and EWMA volatility."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from importlib.resources import files
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.llm.analyst import assess_risks, comment
from pm.llm.gathering import FactTables, gather_facts
from pm.llm.rows import commentary_frames
from pm.report import Before, Books, Record, ReportData
from pm.sessions import next_sessions
from pm.settings import load_settings
from pm.signals import decide
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import STAGE_EVENTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import RunScope

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[str]]

HORIZON = 20
AS_OF = date(2013, 3, 1)
STAMP = {"run_id": "20130301-2100-test", "snapshot_id": 7, "cutoff": AS_OF}
MODELS = {"naive": None, "drift": 1000, "drift_250": 250}


def _prices() -> pl.DataFrame:
    file = files("bokeh_sampledata") / "_data" / "stocks.csv.gz"
    bars = pl.read_csv(file.read_bytes(), try_parse_dates=True).sort("Ticker", "Date")
    factor = pl.col("Adj Close") / pl.col("Close")
    return bars.select(
        ticker="Ticker",
        date="Date",
        close=pl.col("Adj Close") / factor.last().over("Ticker"),
    )


def _features(prices: pl.DataFrame) -> pl.DataFrame:
    change = pl.col("close").log().diff()
    return prices.with_columns(change.over("ticker").alias("r")).select(
        "ticker",
        "date",
        drawdown=(pl.col("close") / pl.col("close").cum_max() - 1).over("ticker"),
        volatility_20=pl.col("r").rolling_std(20).over("ticker"),
        ewm_volatility=(pl.col("r") ** 2).ewm_mean(alpha=0.06, adjust=False).sqrt().over("ticker"),
    )


def _drift(log_price: NDArray[np.float64], window: int | None) -> float:
    if window is None:
        return 0.0
    used = log_price[-window:]
    return float((used[-1] - used[0]) / (len(used) - 1))


def _weights(ticker: str, log_price: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return weights by inverse mean squared error over eight origins, a quarter of the weight reserved for naive."""
    origins = [len(log_price) - 1 - HORIZON * back for back in range(8, 0, -1)]
    steps = np.arange(1, HORIZON + 1)
    errors: dict[str, NDArray[np.float64]] = {}
    rows = []
    for model, window in MODELS.items():
        if window == 250 and len(log_price) < 250:
            reason = f"needs 250 bars, has {len(log_price)}"
            rows.append({"ticker": ticker, "model": model, "weight": 0.0, "verdict": "edge", "reason": reason})
            continue
        errors[model] = np.array(
            [
                log_price[at + 1 : at + 1 + HORIZON] - log_price[at] - steps * _drift(log_price[: at + 1], window)
                for at in origins
            ]
        )
    mse = {model: float((error**2).mean()) for model, error in errors.items()}
    total = sum(1 / loss for loss in mse.values())
    for model, loss in mse.items():
        rows.append(
            {
                "ticker": ticker,
                "model": model,
                "weight": 0.75 / loss / total + (0.25 if model == "naive" else 0.0),
                "verdict": "edge",
                "rmse": math.sqrt(loss),
                "mae": float(np.abs(errors[model]).mean()),
                "relative_rmse": math.sqrt(loss / mse["naive"]),
                "origins": len(origins),
            }
        )
    return rows


def _conform(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema = TABLES[name].polars_schema
    return pl.DataFrame([STAMP | row for row in rows], schema=schema)


def _spoken(data: dict[str, Any]) -> dict[str, pl.DataFrame]:
    """Return what stage `llm` writes without a model."""
    newest = data["features"].group_by("ticker").agg(pl.all().sort_by("date").last())
    tables = FactTables(
        tickers=sorted(data["signals"]["ticker"]),
        as_of=AS_OF,
        snapshot=7,
        signals=data["signals"],
        weights=data["weights"],
        exclusions=data["exclusions"],
        flags=data["flags"],
        standing=newest.select(
            "ticker",
            "date",
            drawdown_250="drawdown",
            first_date=pl.lit(date(2012, 3, 1)),
            sessions=pl.lit(250),
            rank=pl.lit(0.9),
        ),
    )
    sheets, absent = gather_facts(tables), "language model not installed: …"
    frames = commentary_frames(
        comment(sheets, None, may_write=False, call_seconds=1, absent=absent),
        assess_risks(sheets, None, call_seconds=1, absent=absent),
        None,
    )
    stamps = [pl.lit(value).alias(name) for name, value in STAMP.items()]
    named = {"commentary": frames.commentary, "commentary_cells": frames.cells} | {
        "assessments": frames.assessments,
        "concerns": frames.concerns,
    }
    return {name: frame.with_columns(stamps) for name, frame in named.items()}


def _books() -> Books:
    """Return an account that holds IBM, and is to sell some of it."""
    held = {"ticker": "IBM", "quantity": 120.5, "price": 202.91, "price_date": AS_OF, "currency": "USD"}
    worth = {"base_value": 24_450.66, "base_gain": -12.5, "base_cost": 24_463.16}
    order = {"ticker": "IBM", "side": "sell", "quantity": 71.5, "filled": 0.0, "order_type": "market"}
    account = {"account": "main", "broker": "paper", "currency": "USD", "cash": 75_549.34, "equity": 100_000.0}
    made = {"deposits": 99_000.0, "realised_gain": 12.25, "dividends": 3.5, "commissions": 1.0}
    return Books(
        accounts=pl.DataFrame([account | {"date": AS_OF}]),
        positions=pl.DataFrame([held | worth | {"account": "main"}]).with_columns(
            pl.col("quantity").cast(pl.Decimal(18, 9))
        ),
        orders=pl.DataFrame([order | {"account": "main", "purpose": "rebalance", "state": "planned"}]),
        halts=pl.DataFrame(schema={"sequence": pl.Int64, "reason": pl.String}),
        payments=pl.DataFrame([{"account": "main"} | made]),
        equity=_equity(),
        heads=pl.DataFrame([{"rows": 41, "head": "ab" * 32}]),
    )


def _equity() -> pl.DataFrame:
    """Return an account whose value falls by 3%, and ends a session of 0.5% gain at 100,000."""
    returns = [None, 0.02, -0.01, -0.02, 0.0158, 0.005]
    growth = np.cumprod([1.0 + (value or 0.0) for value in returns])
    return pl.DataFrame(
        {
            "account": "main",
            "date": [date(2013, 2, day) for day in (22, 25, 26, 27, 28)] + [AS_OF],
            "equity": 100_000.0 * growth / growth[-1],
            "flow": [98_980.0, 0.0, 500.0, 0.0, 0.0, 0.0],  # shares among them, which are no deposit
            "daily_return": returns,
            "growth": growth,
            "drawdown": growth / np.maximum.accumulate(growth) - 1,
        }
    )


def _portfolio() -> dict[str, pl.DataFrame]:
    """Return what the account aims at (to buy MSFT), what it can lose, and a limit that acted."""
    risk = {"method": "joint", "origin_date": AS_OF, "seed": 1}
    targets = [
        {"ticker": "IBM", "weight": 0.10, "previous_weight": 0.245, "shares": 49.0, "reason": "traded"},
        {"ticker": "MSFT", "weight": 0.30, "previous_weight": 0.0, "shares": 1079.0, "reason": "traded"},
        {"ticker": "FB", "weight": 0.0, "previous_weight": 0.0, "shares": 0.0, "reason": "not_allocated"},
    ]
    losses = [("main", 1, 0.99, 0.0311), ("main proposed", 20, 0.975, 0.0789)]
    limit = {"portfolio": "main proposed", "limit_name": "max_weight", "subject": "MSFT", "value": 0.41, "bound": 0.3}
    component = {"portfolio": "main", "ticker": "IBM", "horizon": 1, "level": 0.99, "origin_date": AS_OF}
    return {
        "targets": _conform(
            "targets", [{"portfolio": "main", "core_weight": 0.2, "tilt": 0.0} | row for row in targets]
        ),
        "risk": _conform(
            "portfolio_risk",
            [
                risk
                | {"portfolio": name, "horizon": horizon, "level": level, "var": loss, "es": loss * 1.3}
                | {"se_var": loss / 30, "se_es": loss / 20, "scenarios": 20_000}
                for name, horizon, level, loss in losses
            ],
        ),
        "contributions": _conform(
            "risk_contributions", [component | {"weight": 0.245, "component_es": 0.0404, "share": 1.0}]
        ),
        "limit_events": _conform(
            "limit_events",
            [limit | {"action": "scale", "value_after": 0.3, "detail": "The weights were made smaller."}],
        ),
    }


def _before() -> Before:
    """Return a night before that held IBM, had no limit, and had left out GOOG."""
    trade = {"account": "main", "ticker": "IBM", "side": "buy", "quantity": 120.5, "price": 203.01, "currency": "USD"}
    return Before(
        run_id="20130228-2100-test",
        as_of=date(2013, 2, 28),
        signals=pl.DataFrame({"ticker": ["AAPL", "FB", "IBM", "MSFT"], "action": ["BUY", "SELL", "HOLD", "HOLD"]}),
        verdicts=pl.DataFrame({"ticker": ["IBM", "MSFT"], "verdict": ["no edge", "edge"]}),
        limits=pl.DataFrame(schema=dict.fromkeys(("portfolio", "limit_name", "subject"), pl.String)),
        left_out=pl.DataFrame({"ticker": ["FB", "GOOG"]}),
        trades=pl.DataFrame([trade]),
        new_bars=5,
        restated=1,
        refused=0,
    )


def _record(prices: pl.DataFrame) -> Record:
    """Return a record of two nights: half of the outcomes are as they were said."""
    days = prices.filter(ticker="IBM")["date"].to_list()
    night = {"signals": 5, "acted": 4, "came_true": 0.5, "net_result": 0.01, "inside_90": 0.8, "relative_crps": 0.99}
    past = [
        {"ticker": "IBM", "step": 1, "origin_date": days[n - 1], "outcome_date": days[n], "origin_close": close}
        | {name: close * factor for name, factor in zip(("q05", "q25", "q50", "q75", "q95"), _SPREAD, strict=True)}
        for n, close in ((-3, 200.0), (-2, 201.0), (-1, 202.0))
    ]
    sessions = days[-5:]
    risk = {"portfolio": "main", "horizon": 1, "level": 0.99, "var": 0.02, "loss": 0.01, "exceeded": False}
    return Record(
        equal=pl.DataFrame({"date": sessions, "daily_return": [0.01, -0.02, 0.0, 0.01, 0.002]}),
        benchmark=pl.DataFrame(schema={"date": pl.Date, "close": pl.Float64}),
        nights=pl.DataFrame(
            [
                night | {"night": day, "run_id": f"run-{n}", "resolved": n, "due": date(2013, 3, 28)}
                for n, day in enumerate(days[-2:])
            ]
        ),
        past_forecasts=pl.DataFrame(past),
        coverage=pl.DataFrame(
            [
                {"slice": "all", "step": 1, "level": level, "coverage": level - 0.02, "forecasts": 50}
                | {"lower": level - 0.1, "upper": min(1.0, level + 0.05)}
                for level in (0.5, 0.8, 0.9, 0.95)
            ]
        ),
        reliability=pl.DataFrame(
            [{"event": "gain", "slice": "all", "probability": 0.6, "signals": 20, "came_true": 0.5, "isotonic": 0.5}]
        ),
        calibration=pl.DataFrame([{"event": "gain", "slice": "all", "probability": 0.6, "came_true": 0.5}]),
        risk_outcomes=pl.DataFrame(
            [risk | {"outcome_date": day} for day in sessions[:3]]
            + [risk | {"outcome_date": sessions[3], "loss": 0.03, "exceeded": True}]
        ),
        risk_backtest=pl.DataFrame(
            [
                {"portfolio": "main", "horizon": 1, "level": 0.99, "forecasts": 4, "exceptions": 1, "share": 0.25}
                | {"kupiec_p": 0.04, "zone": "yellow"}
            ]
        ),
        validations=_conform(
            "validations",
            [
                {"subject": "signals", "measure": "probability of a gain", "part": "", "verdict": "too_early"}
                | {"reason": "There are 2 outcomes; a verdict needs 8.", "outcomes": 2, "independent": 1}
            ],
        ),
    )


def _trials() -> pl.DataFrame:
    """Return a trial that proves nothing."""
    return pl.DataFrame(
        [
            {"trial_id": "t1", "name": "equal 20", "state": "done", "started_at": datetime(2013, 2, 1, tzinfo=UTC)}
            | {"verdict": "not_proven", "reasons": "Luck explains it.", "annual_return": 0.1, "annual_benchmark": 0.09}
            | {"annual_sharpe": 0.2, "deflated": 0.4}
        ]
    )


_SPREAD = (0.97, 0.99, 1.0, 1.01, 1.03)


def _renamed(value: Any, names: dict[str, str]) -> Any:  # noqa: ANN401 - frames and groups of frames
    """Return a frame, or a group of frames, with other names for some tickers."""
    if isinstance(value, pl.DataFrame):
        return value.with_columns(pl.col("ticker").replace(names)) if "ticker" in value.columns else value
    if isinstance(value, Before | Books | Record):
        return replace(value, **{one.name: _renamed(getattr(value, one.name), names) for one in fields(value)})
    return value


def build(tickers: dict[str, str] | None = None) -> ReportData:
    """Return the data of a report. `tickers` maps tickers to other names, such as ones that contain markup."""
    prices = _prices()
    features = _features(prices)
    targets = next_sessions(AS_OF, HORIZON, exchange="XNYS")
    scores = [NormalDist().inv_cdf(level) for level in QUANTILES]
    forecasts, volatility, weights = [], [], []
    for (ticker,), part in prices.partition_by("ticker", as_dict=True).items():
        close = float(part["close"][-1])
        sigma = float(features.filter(pl.col("ticker") == ticker)["ewm_volatility"][-1])
        log_price = np.log(part["close"].to_numpy())
        weights += _weights(ticker, log_price)
        drift = _drift(log_price, 1000)
        for step, target in enumerate(targets, start=1):
            spread = sigma * math.sqrt(step)
            mean = drift * step
            at = {"ticker": ticker, "step": step, "origin_date": part["date"][-1]}
            quantiles = {
                quantile_column("q", level): close * math.exp(mean + spread * score)
                for level, score in zip(QUANTILES, scores, strict=True)
            }
            forecasts.append(
                at
                | {"model": "ensemble", "target_date": target, "origin_close": close, "mean_log_return": mean}
                | {"sigma": spread, "mean": close * math.exp(mean)}
                | quantiles
            )
            volatility.append(at | {"model": "ewma", "sigma": sigma, "cumulative_sigma": spread})
    forecast_frame, volatility_frame = _conform("forecasts", forecasts), _conform("volatility", volatility)
    decisions = decide(forecast_frame, volatility_frame, settings=load_settings().signals)
    jump = prices.filter(pl.col("ticker") == "AAPL", pl.col("date") == date(2000, 9, 29)).row(0, named=True)
    flag = {"ticker": "AAPL", "date": jump["date"], "rule": "jump", "value": -0.519}
    counts = prices.group_by("ticker").agg(
        bars=pl.len(),
        first_date=pl.col("date").min(),
        last_date=pl.col("date").max(),
        quarantined=pl.lit(0),
        flagged=(pl.col("ticker").first() == "AAPL").cast(pl.Int64),
    )
    stages = [
        ("ingest", 0.41, prices.height, 210.0),
        ("forecast", 4.2, len(forecasts), 480.0),
        ("signals", 0.02, 5, 480.0),
    ]
    event = {"run_id": STAMP["run_id"], "attempt": 1, "status": "done"}
    data: dict[str, Any] = {
        "signals": decisions.signals.with_columns(
            pl.lit("b1").alias("last_bar_batch_id"), *(pl.lit(value).alias(name) for name, value in STAMP.items())
        ),
        "forecasts": forecast_frame,
        "volatility": volatility_frame,
        "weights": _conform("model_weights", weights),
        "history": prices,
        "features": features,
        "quality": counts,
        "flags": _conform("bar_flags", [flag | {"detail": "the close fell by 51.9% in a day, no split or dividend"}]),
        "reconciliation": _conform(
            "reconciliation",
            [
                {"batch_id": "b1", "landed": prices.height, "inserted": prices.height}
                | dict.fromkeys(("updated", "unchanged", "quarantined"), 0)
            ],
        ),
        "exclusions": _conform(
            "exclusions",
            [
                {
                    "stage": "volatility",
                    "ticker": "FB",
                    "reason": "short_history",
                    "detail": "195 returns, GARCH needs 250; exponentially weighted volatility is used",
                }
            ],
        ),
    }
    data |= _portfolio()
    data |= {"books": _books(), "before": _before(), "record": _record(prices), "trials": _trials()}
    if tickers:
        data = {name: _renamed(value, tickers) for name, value in data.items()}
    data |= _spoken(data)
    return ReportData(
        run_id=str(STAMP["run_id"]),
        as_of=AS_OF,
        source="sample",
        snapshot_id=7,
        version="0.1.0",
        scope=RunScope.WHOLE,
        watched=5,
        made_on=date(2013, 3, 2),
        max_age_days=10,
        started_at=datetime(2013, 3, 1, 21, 0, tzinfo=UTC),
        timings=pl.DataFrame(
            [
                event | {"stage": stage, "seconds": took, "rows": rows, "peak_memory_mb": memory}
                for stage, took, rows, memory in stages
            ],
            schema=STAGE_EVENTS.polars_schema,
        ),
        **data,
    )


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    return build()


@pytest.fixture(scope="session")
def hostile_data() -> ReportData:
    return build({"AAPL": "<script>alert(1)</script>", "IBM": "A&B\"'", "FB": "</script><img src=x onerror=alert(1)>"})
