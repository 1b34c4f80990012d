"""Make the data of a report from the five tickers of the sample: random walks with drift, and EWMA volatility."""

from __future__ import annotations

import math
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
from pm.report import ReportData
from pm.sessions import next_sessions
from pm.settings import load_settings
from pm.signals import decide
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import STAGE_EVENTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import RunScope

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def _holdings() -> dict[str, pl.DataFrame]:
    """Return an account that holds IBM, is to sell some of it and to buy MSFT, and what it can lose."""
    day, risk = {"price_date": AS_OF, "account": "main"}, {"method": "joint", "origin_date": AS_OF, "seed": 1}
    positions = [
        day | {"ticker": "IBM", "quantity": 120.5, "price": 202.91, "base_value": 24450.66, "base_gain": -12.5}
    ]
    order = {"account": "main", "filled": 0.0, "order_type": "market", "purpose": "rebalance", "state": "planned"}
    targets = [
        {"ticker": "IBM", "weight": 0.10, "previous_weight": 0.245, "shares": 49.0, "reason": "traded"},
        {"ticker": "MSFT", "weight": 0.30, "previous_weight": 0.0, "shares": 1079.0, "reason": "traded"},
        {"ticker": "FB", "weight": 0.0, "previous_weight": 0.0, "shares": 0.0, "reason": "not_allocated"},
    ]
    losses = [("main", 1, 0.99, 0.0311), ("main proposed", 20, 0.975, 0.0789)]
    limit = {"portfolio": "main proposed", "limit_name": "max_weight", "subject": "MSFT", "value": 0.41, "bound": 0.3}
    account = {"account": "main", "broker": "paper", "currency": "USD", "cash": 75_549.34, "equity": 100_000.0}
    return {
        "accounts": pl.DataFrame([account | {"date": AS_OF}]),
        "positions": pl.DataFrame(positions).with_columns(pl.col("quantity").cast(pl.Decimal(18, 9))),
        "orders": pl.DataFrame([order | {"ticker": "IBM", "side": "sell", "quantity": 71.5}]),
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
        "limit_events": _conform(
            "limit_events",
            [limit | {"action": "scale", "value_after": 0.3, "detail": "The weights were made smaller."}],
        ),
        "heads": pl.DataFrame([{"rows": 41, "head": "ab" * 32}]),
    }


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
    data |= _holdings()
    if tickers:
        data = {
            name: frame.with_columns(pl.col("ticker").replace(tickers)) if "ticker" in frame.columns else frame
            for name, frame in data.items()
        }
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
