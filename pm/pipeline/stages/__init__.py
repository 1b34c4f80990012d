"""The stages of a run, a module each, in the order they run."""

from pm.pipeline.stages import check, features, forecast, land, report, signals, volatility

__all__ = ["RUN_STAGES"]

RUN_STAGES = (
    land.STAGE,
    check.STAGE,
    features.STAGE,
    volatility.STAGE,
    forecast.STAGE,
    signals.STAGE,
    report.STAGE,
)
"""What `pm run` does."""
