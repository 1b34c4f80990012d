"""Render the frames of a run as one HTML document."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.report.charts import TickerFrames, ticker_figure
from pm.report.commentary import spoken_cards
from pm.report.holdings import holdings
from pm.report.words import FILTERS, headline, look, newest_bar, stale
from pm.signals import centred_quantiles
from pm.tables.vocabulary import Action

if TYPE_CHECKING:
    from jinja2 import Template

    from pm.report.data import ReportData
    from pm.settings import ReportSettings

__all__ = ["render_report"]

Row = dict[str, Any]


def render_report(data: ReportData, *, settings: ReportSettings) -> str:
    """Return the report as one HTML document that loads no other file.

    The stylesheet, the scripts, plotly.js and the data of the figures are inside (about 5 MB, most of it plotly.js). A
    content security policy in the document forbids the browser to fetch anything. All text from the data is escaped, in
    the markup and in the JSON of the scripts.

    Parameters
    ----------
    data
        The frames of a run; any of them may be empty.
    settings
        Section `report`: the number of charts, of sessions in a chart, and of rows in a table.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    ranked = data.signals.with_columns(strength=pl.max_horizontal("probability_gain", "probability_loss")).sort(
        pl.col("action") == Action.HOLD.value, "strength", "ticker", descending=[False, True, False]
    )
    verdicts = dict(data.weights.select("ticker", "verdict").unique("ticker").iter_rows())
    ranked = ranked.with_columns(
        verdict=pl.col("ticker").replace_strict(verdicts, default=None, return_dtype=pl.String)
    )
    charts = _charts(data, ranked.head(settings.max_charts), settings)
    age_of_newest, is_old = newest_bar(data)
    rows = settings.max_rows
    return _template().render(
        data=data,
        max_rows=rows,
        sentences=headline(ranked, verdicts),
        look=look(data),
        stale=stale(data),
        newest_bar=age_of_newest,
        is_old=is_old,
        counts={action.value: data.signals.filter(pl.col("action") == action.value).height for action in Action},
        signals=_signal_rows(ranked.head(rows), charts, data),
        signals_total=ranked.height,
        charts=charts,
        figures=[chart["figure"] for chart in charts],
        example=_example(data, ranked),
        held=holdings(data, rows),
        weights=_weights(data.weights, rows),
        quality=data.quality.sort("ticker").head(rows).to_dicts(),
        flags=data.flags.sort("date", "ticker", descending=[True, False]).head(rows).to_dicts(),
        reconciliation=_reconciliation(data.reconciliation),
        exclusions=data.exclusions.sort("stage", "reason", "ticker").head(rows).to_dicts(),
        timings=_timings(data.timings),
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the script of plotly itself, which is meant to be inlined
    )


@cache
def _template() -> Template:
    """Return the compiled template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pm.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template("template.html.j2")


def _example(data: ReportData, ranked: pl.DataFrame) -> Row:
    """Return what the example queries name: a ticker, and the runs and the snapshot that its signal came from."""
    if ranked.is_empty():
        snapshot = {"forecast_snapshot_id": data.snapshot_id}
        return {"ticker": "…", "run_id": data.run_id, "forecast_run_id": data.run_id} | snapshot
    return ranked.select("ticker", "run_id", "forecast_run_id", "forecast_snapshot_id").row(0, named=True)


def _charts(data: ReportData, chosen: pl.DataFrame, settings: ReportSettings) -> list[Row]:
    tickers = chosen["ticker"].implode()
    dates = data.forecasts.select("ticker", "step", "target_date")
    frames = {
        "history": _by_ticker(data.history, tickers, "date", settings.history_sessions),
        "features": _by_ticker(data.features, tickers, "date", settings.history_sessions),
        # as the signal reads them
        "forecast": _by_ticker(data.forecasts.with_columns(centred_quantiles()), tickers, "target_date"),
        "volatility": _by_ticker(data.volatility.join(dates, on=["ticker", "step"]), tickers, "target_date"),
    }
    spoken = spoken_cards(data, chosen["ticker"].to_list())
    charts = []
    for number, signal in enumerate(chosen.to_dicts(), start=1):
        own = {name: parts.get((signal["ticker"],), empty) for name, (parts, empty) in frames.items()}
        figure = ticker_figure(TickerFrames(**own, stop=signal["stop"], target=signal["target"]))
        charts.append(
            {
                "anchor": f"ticker-{number}",
                "signal": signal,
                "figure": figure,
                "has_data": bool(figure["data"]),
                "spoken": spoken.get(signal["ticker"]),
                "forecast": own["forecast"].to_dicts(),
                "volatility_model": next(iter(own["volatility"]["model"]), None),
            }
        )
    return charts


def _by_ticker(
    frame: pl.DataFrame, tickers: pl.Series, order: str, last: int | None = None
) -> tuple[dict[tuple[Any, ...], pl.DataFrame], pl.DataFrame]:
    """Return the rows of each ticker by date, at most `last` of them, and an empty frame for tickers without rows."""
    kept = frame.filter(pl.col("ticker").is_in(tickers)).sort("ticker", order)
    parts = kept.partition_by("ticker", as_dict=True)
    return {key: part.tail(last or part.height) for key, part in parts.items()}, kept.clear()


def _signal_rows(signals: pl.DataFrame, charts: list[Row], data: ReportData) -> list[Row]:
    """Return the rows of the table of signals, with the positions of each interval on a scale common to all rows."""
    anchors = {chart["signal"]["ticker"]: chart["anchor"] for chart in charts}
    reach = signals.select(pl.max_horizontal(pl.col("lower", "upper").abs()).quantile(0.95, "higher")).item()
    # The scale is the 95% quantile of the intervals' bounds. Longer intervals are cut at its ends, so that one very
    # volatile ticker does not shrink all others to a dot.
    scale = reach or 1.0
    rows = []
    for row in signals.to_dicts():
        low, middle, high = (
            round(50 + 50 * max(-1.0, min(1.0, row[name] / scale)), 2) for name in ("lower", "expected_return", "upper")
        )
        place = {"low": low, "middle": middle, "width": high - low}
        last = data.stale.get(row["ticker"])
        age = None if last is None else (data.made_on - last).days
        rows.append(row | place | {"anchor": anchors.get(row["ticker"]), "stale_days": age})
    return rows


def _weights(weights: pl.DataFrame, limit: int) -> Row:
    """Return the names of the models, and for each ticker their weights and its verdict."""
    weights = weights.filter(pl.col("model") != "ensemble")
    models = weights.group_by("model").agg(pl.col("weight").mean())
    # Naive comes first, since the others are compared with it; then by decreasing mean weight.
    names = models.sort(pl.col("model") == "naive", "weight", "model", descending=[True, True, False])[
        "model"
    ].to_list()
    table = []
    shown = weights.sort("ticker").partition_by("ticker", as_dict=True, maintain_order=True)
    for (ticker,), part in list(shown.items())[:limit]:
        by_model = {row["model"]: row for row in part.to_dicts()}
        verdict = part["verdict"][0]
        table.append({"ticker": ticker, "verdict": verdict, "cells": [by_model.get(name) for name in names]})
    reasons = weights.filter(pl.col("reason").is_not_null()).sort("ticker", "model").head(limit).to_dicts()
    return {"models": names, "rows": table, "total": len(shown), "reasons": reasons}


def _reconciliation(batches: pl.DataFrame) -> Row:
    parts = ("inserted", "updated", "unchanged", "quarantined")
    totals: Row = {name: int(batches[name].sum()) for name in ("landed", *parts)}
    return totals | {"batches": batches.height, "missing": totals["landed"] - sum(totals[name] for name in parts)}


def _timings(events: pl.DataFrame) -> list[Row]:
    longest = events["seconds"].max() or 1.0
    share = (pl.col("seconds") / longest * 100).round(1).fill_null(0)
    return events.with_columns(share=share).to_dicts()
