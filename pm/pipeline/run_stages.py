"""The stages of `pm run`."""

from __future__ import annotations

from pm.pipeline.stages import (
    check,
    features,
    forecast,
    land,
    ledger,
    llm,
    opinions,
    orders,
    portfolio,
    report,
    risk,
    sentiment,
    signals,
    texts,
    validate,
    volatility,
)

__all__ = ["RUN_STAGES"]

RUN_STAGES = (
    land.STAGE,
    check.STAGE,
    texts.STAGE,
    features.STAGE,
    volatility.STAGE,
    forecast.STAGE,
    signals.STAGE,
    ledger.STAGE,
    risk.STAGE,
    portfolio.STAGE,
    orders.STAGE,
    validate.STAGE,
    sentiment.STAGE,  # the language model stays in memory from here on
    opinions.STAGE,
    llm.STAGE,
    report.STAGE,
)
"""The stages of a run; their order follows from the tables that they read and write."""
