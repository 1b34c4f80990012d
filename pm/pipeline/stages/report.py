"""Stage `report`: one HTML file from what the stages before left in the lake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from pm import __version__
from pm.errors import StorageError
from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.universe import asked_for, universe
from pm.tables.features import FEATURES
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BAR_FLAGS, RECONCILIATION
from pm.tables.signals import SIGNALS
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from pathlib import Path

    from pm.lake import Transaction
    from pm.report import ReportData
    from pm.tables.declaration import Table
    from pm.workspace import Workspace

__all__ = ["LATEST", "STAGE", "report_path"]

LATEST = "latest.html"
_OURS = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}\.html")

_HISTORY = """
SELECT ticker, date, close / last_value(adj_factor) OVER everything AS close
FROM adjusted_bars
WHERE date <= ? AND ticker IN (SELECT unnest(?::VARCHAR[]))
WINDOW everything AS (
    PARTITION BY ticker ORDER BY date ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
)
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) <= ?
ORDER BY ticker, date
"""

_TIMINGS = """
SELECT e.* FROM stage_events e
JOIN (SELECT unnest(?::VARCHAR[]) AS stage, unnest(?::VARCHAR[]) AS run_id) USING (stage, run_id)
WHERE status = 'done'
ORDER BY e.finished_at
"""


def report_path(workspace: Workspace, run_id: str) -> Path:
    """Where a run's report is, or would be."""
    return workspace.reports / f"{run_id}.html"


def _data(context: Context) -> ReportData:
    from pm.report import ReportData

    lake, outputs = context.lake, context.outputs
    chosen = universe(context)
    tickers = list(chosen.tickers)
    sessions = context.settings.report.history_sessions

    def of_run(table: Table, stage: str, where: str = "true") -> pl.DataFrame:
        return lake.read(table, f"run_id = ? AND {where}", [outputs[stage]])

    exclusions = [of_run(EXCLUSIONS, stage, f"stage = '{stage}'") for stage in ("volatility", "forecast", "signals")]
    return ReportData(
        run_id=context.run_id,
        as_of=chosen.as_of,
        source=context.request.source,
        snapshot_id=context.snapshot,
        version=__version__,
        started_at=lake.scalar("SELECT started_at FROM runs WHERE run_id = ?", [context.run_id]),
        signals=of_run(SIGNALS, "signals"),
        forecasts=of_run(FORECASTS, "forecast", "model = 'ensemble'"),
        volatility=of_run(VOLATILITY, "volatility"),
        weights=of_run(MODEL_WEIGHTS, "forecast"),
        history=lake.query(_HISTORY, [chosen.as_of, tickers, sessions]),
        features=lake.read(
            FEATURES,
            "date <= ?",
            [chosen.as_of],
            among={"ticker": tickers},
            columns=("ticker", "date", "drawdown", "volatility_20", "ewm_volatility"),
        )
        .group_by("ticker", maintain_order=True)
        .tail(sessions),
        quality=lake.query(
            "SELECT * FROM ticker_quality WHERE ticker IN (SELECT unnest(?::VARCHAR[])) ORDER BY ticker", [tickers]
        ),
        flags=lake.read(BAR_FLAGS, "date <= ?", [chosen.as_of], among={"ticker": tickers}),
        reconciliation=lake.read(RECONCILIATION),
        exclusions=pl.concat(exclusions),
        timings=lake.query(_TIMINGS, [list(outputs), list(outputs.values())]),
    )


def _run(context: Context) -> Outcome:
    path = report_path(context.workspace, context.run_id)

    def write(_: Transaction) -> int:
        from pm.report import render_report

        html = render_report(_data(context), settings=context.settings.report)
        try:
            path.parent.mkdir(exist_ok=True)
            for target in (path, path.with_name(LATEST)):
                # Never half a report: it is written beside its place, then moved there.
                draft = target.with_suffix(".part")
                draft.write_text(html, encoding="utf-8")
                draft.replace(target)
            _forget_old(path.parent, context.settings.report.keep)
        except OSError as error:
            raise StorageError(
                f"The report cannot be written: {error.strerror}.", where=str(path), hint="free some space"
            ) from error
        return 0

    return Outcome(write, lambda: f"{path.parent.name}/{path.name}")


def _asks(context: Context) -> list[object]:
    return [
        *asked_for(context),
        list(context.lake.view_definitions(["adjusted_bars", "ticker_quality"]).values()),
    ]  # it reads views, which a user may change


def _stands(context: Context, run_id: str) -> bool:
    path = report_path(context.workspace, run_id)
    return path.is_file() and path.with_name(LATEST).is_file()


def _forget_old(folder: Path, keep: int) -> None:
    """Remove all but the newest reports; their numbers stay in the lake."""
    reports = [file for file in folder.glob("*.html") if _OURS.fullmatch(file.name)]
    # By time, not by name: a resumed run is named after the night it began.
    reports.sort(key=lambda file: (file.stat().st_mtime_ns, file.name))
    for file in reports[:-keep]:
        file.unlink()


STAGE = Stage(
    "report",
    _run,
    reads=("bars", "features", "bar_flags", "reconciliation", "quarantine"),
    after=("land", "check", "features", "volatility", "forecast", "signals"),
    sections=("report",),
    rooms=("report", "pipeline/universe.py"),
    libraries=("plotly", "jinja2", "polars"),
    asks=_asks,
    replaces=True,  # latest.html
    stands=_stands,
)
"""Write the report of the run, and the same as latest.html."""
