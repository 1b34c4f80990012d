"""What a report is made from: the frames of one run, read from the lake by whoever asks for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    import polars as pl

__all__ = ["ReportData"]


@dataclass(frozen=True)
class ReportData:
    """The frames of a run, as the lake's tables hold them, and what the run was.

    Columns beyond those named are ignored, rows may come in any order, and any frame may be empty. A column named as a
    table's has that table's meaning (`pm.lake.tables`).

    Attributes
    ----------
    run_id, as_of, source, snapshot_id, version, started_at
        The run: its name, the day taken for today, where the bars came from, the snapshot of the lake it read, the
        version of Portfolio Maximizer, and when it started (UTC).
    signals
        Table `signals`, one row a ticker.
    forecasts
        Table `forecasts`, the rows of the model the signals were read from (the ensemble).
    volatility
        Table `volatility`: ticker, step, model, sigma. Steps are matched to dates through `forecasts`.
    weights
        Table `model_weights`: ticker, model, weight, verdict, relative_rmse, reason.
    history
        ticker, date, close: adjusted so that each ticker's last close is the traded one, the price its forecast is
        in. As many sessions as the settings ask for are drawn; more may be given.
    features
        Table `features`: ticker, date, drawdown, volatility_20, ewm_volatility.
    quality
        One row a ticker: ticker, bars (clean ones), first_date, last_date, quarantined (rows refused), flagged (flags
        on bars that were kept).
    flags
        Table `bar_flags`: ticker, date, rule, value, detail; the recent ones, or all.
    reconciliation
        Table `reconciliation`: landed, inserted, updated, unchanged, quarantined; one row a batch.
    exclusions
        Table `exclusions`: stage, ticker, reason, detail.
    timings
        Table `stage_events`: stage, status, seconds, rows, peak_memory_mb; in the order the stages ran.
    """

    run_id: str
    as_of: date
    source: str
    snapshot_id: int
    version: str
    started_at: datetime
    signals: pl.DataFrame
    forecasts: pl.DataFrame
    volatility: pl.DataFrame
    weights: pl.DataFrame
    history: pl.DataFrame
    features: pl.DataFrame
    quality: pl.DataFrame
    flags: pl.DataFrame
    reconciliation: pl.DataFrame
    exclusions: pl.DataFrame
    timings: pl.DataFrame
