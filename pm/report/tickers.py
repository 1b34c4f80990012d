"""Show the tickers: a table with sparklines, and a card for each; those with nothing to say are folded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from pm.number_format import percent, price, signed_percent
from pm.report.changes import changed_signals, changed_verdicts
from pm.report.charts import Band, Line, Mark, line_chart, range_bar, sparkline
from pm.report.commentary import spoken_cards
from pm.report.frames import Row, by_ticker, verdicts_of
from pm.sessions import SESSIONS_PER_YEAR
from pm.signals import centred_quantiles
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import Action, RiskLevel, RunScope, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from markupsafe import Markup

    from pm.report.data import ReportData

__all__ = ["TickerFrames", "card_tickers", "price_chart", "ranked_signals", "ticker_anchor", "ticker_charts", "tickers"]

_ANNUAL = math.sqrt(SESSIONS_PER_YEAR)
"""Ratio of annual to daily volatility."""
_QUANTILES = [quantile_column("q", level) for level in QUANTILES]
_BANDS = (("q05", "q95", "fan-90"), ("q10", "q90", "fan-80"), ("q25", "q75", "fan-50"))
_OF_FORECAST = (
    ("median forecast", "accent", False), ("50%", "fan-50", True), ("80%", "fan-80", True),
    ("90% intervals", "fan-90", True),
)  # fmt: skip
"""What the legend says of the forecast in the chart of the close."""
_SPARK_SESSIONS = 60
"""Number of sessions in a sparkline."""
_MIN_PAST = 2
"""Minimum number of past forecasts to draw."""


@dataclass(frozen=True)
class TickerFrames:
    """The data of one ticker's charts. Each frame is sorted by date and may be empty.

    Attributes
    ----------
    history
        date, close.
    features
        date, drawdown, volatility_20, ewm_volatility.
    forecast
        target_date, origin_date, origin_close, q05 … q95.
    volatility
        target_date, sigma.
    past
        step, origin_date, origin_close, outcome_date, q05 … q95: earlier forecasts whose outcome is known.
    stop, target
        Prices of the signal; None where it has none.
    """

    history: pl.DataFrame
    features: pl.DataFrame
    forecast: pl.DataFrame
    volatility: pl.DataFrame
    past: pl.DataFrame
    stop: float | None = None
    target: float | None = None


def ticker_anchor(ticker: str) -> str:
    """Return the identifier of a ticker's card in the page."""
    return f"ticker-{quote(ticker, safe='')}"


def ranked_signals(data: ReportData) -> pl.DataFrame:
    """Return the signals in the order of the report: BUY and SELL first, then by the larger probability.

    Columns beside those of table `signals`: verdict, and says, a list of what there is to say about the ticker.
    """
    ranked = data.signals.with_columns(strength=pl.max_horizontal("probability_gain", "probability_loss"))
    news = _news(data)
    verdicts = verdicts_of(data)
    told = ranked.with_columns(
        verdict=pl.col("ticker").replace_strict(verdicts, default=None, return_dtype=pl.String),
        says=pl.Series([news.get(ticker, []) for ticker in ranked["ticker"]], dtype=pl.List(pl.String)),
    )
    return told.sort(
        pl.col("action") == Action.HOLD.value,
        pl.col("says").list.len() == 0,
        "strength",
        "ticker",
        descending=[False, False, True, False],
    )


def card_tickers(data: ReportData, limit: int) -> list[str]:
    """Return the tickers that have a card with charts, at most `limit`: those with something to say first."""
    return [str(ticker) for ticker in ranked_signals(data).head(limit)["ticker"]]


def _news(data: ReportData) -> dict[str, list[str]]:
    """Return for each ticker what there is to say about it beyond its forecast, in few words each."""
    books = data.books
    acted = data.signals.filter(pl.col("action") != Action.HOLD.value)
    changed = changed_signals(data).filter(pl.col("before").is_not_null() & pl.col("action").is_not_null())
    verdicts = changed_verdicts(data)
    found: list[tuple[str, str]] = [
        *((row["ticker"], row["action"]) for row in acted.to_dicts()),
        *((ticker, "order") for ticker in (books.orders["ticker"] if books else ())),
        *((ticker, "held") for ticker in (books.positions["ticker"] if books else ())),
        *((row["ticker"], f"was {row['before']}") for row in changed.to_dicts()),
        *(
            (row["ticker"], "edge gained" if row["verdict"] == Verdict.EDGE else "edge lost")
            for row in verdicts.to_dicts()
        ),
        *((ticker, "edge") for ticker, verdict in verdicts_of(data).items() if verdict == Verdict.EDGE),
        *((subject, "limit") for subject in data.limit_events["subject"]),
        *((ticker, "old bars") for ticker in data.stale),
        *((ticker, "high risk") for ticker in data.assessments.filter(level=RiskLevel.HIGH.value)["ticker"]),
    ]
    news: dict[str, list[str]] = {}
    for ticker, words in dict.fromkeys(found):
        news.setdefault(ticker, []).append(words)
    return news


def tickers(data: ReportData, ranked: pl.DataFrame, *, max_charts: int, sessions: int, max_rows: int) -> Row:
    """Return what the section on tickers shows.

    Parameters
    ----------
    ranked
        What `ranked_signals` returns.
    max_charts
        Number of tickers with charts.
    sessions
        Number of past sessions in a chart.
    max_rows
        Number of rows in the table, and of tickers that are folded to a line.
    """
    shown = ranked.head(max_rows)
    spoken = spoken_cards(data, shown["ticker"].to_list())
    cards = _cards(data, ranked.head(max_charts), sessions, spoken)
    return {
        "rows": _rows(shown, data),
        "total": ranked.height,
        "level": shown["interval_level"][0] if shown.height else None,
        "cards": [card for card in cards if card["signal"]["says"]],
        "folded": [card for card in cards if not card["signal"]["says"]],
        "others": [
            {"anchor": ticker_anchor(row["ticker"]), "signal": row, "spoken": spoken.get(row["ticker"])}
            for row in shown.slice(max_charts).to_dicts()
        ],
        "charts": len(cards),
        "sources": _sources(data, ranked),
    }


def _rows(signals: pl.DataFrame, data: ReportData) -> list[Row]:
    """Return the rows of the table, the intervals on a scale common to all rows."""
    reach = signals.select(pl.max_horizontal(pl.col("lower", "upper").abs()).quantile(0.95, "higher")).item()
    # The scale is the 95% quantile of the intervals' bounds. Longer intervals are cut at its ends, so that one very
    # volatile ticker does not shrink all others to a dot.
    closes = by_ticker(data.history, signals["ticker"].to_list(), "date", _SPARK_SESSIONS)
    rows = []
    for row in signals.to_dicts():
        age = (data.made_on - row["origin_date"]).days
        is_old = data.scope is not RunScope.PAST and age > data.max_age_days
        own = closes.get(row["ticker"])
        rows.append(
            row
            | {
                "anchor": ticker_anchor(row["ticker"]),
                "bar": range_bar(row["lower"], row["expected_return"], row["upper"], reach or 1.0),
                "spark": sparkline(own["close"].to_list()) if own is not None else "",
                "stale_days": age if is_old else None,
            }
        )
    return rows


def _cards(data: ReportData, chosen: pl.DataFrame, sessions: int, spoken: Mapping[str, Row]) -> list[Row]:
    names = chosen["ticker"].to_list()
    dates = data.forecasts.select("ticker", "step", "target_date")
    parts = {
        "history": by_ticker(data.history, names, "date", sessions),
        "features": by_ticker(data.features, names, "date", sessions),
        # as the signal reads them
        "forecast": by_ticker(data.forecasts.with_columns(centred_quantiles()), names, "target_date"),
        "volatility": by_ticker(data.volatility.join(dates, on=["ticker", "step"]), names, "target_date"),
        "past": {} if data.record is None else by_ticker(data.record.past_forecasts, names, "outcome_date"),
    }
    empty = {
        "history": data.history.clear(),
        "features": data.features.clear(),
        "forecast": data.forecasts.clear(),
        "volatility": data.volatility.join(dates, on=["ticker", "step"]).clear(),
        "past": pl.DataFrame(),
    }
    cards = []
    for signal in chosen.to_dicts():
        ticker = signal["ticker"]
        own = {name: frames.get(ticker, empty[name]) for name, frames in parts.items()}
        charts = ticker_charts(ticker, TickerFrames(**own, stop=signal["stop"], target=signal["target"]))
        cards.append(
            {
                "anchor": ticker_anchor(ticker),
                "signal": signal,
                "charts": charts,
                "spoken": spoken.get(ticker),
                "forecast": own["forecast"].to_dicts(),
                "volatility_model": next(iter(own["volatility"]["model"]), None),
            }
        )
    return cards


def ticker_charts(ticker: str, frames: TickerFrames) -> list[Row]:
    """Return the charts of a ticker: price with fan, volatility, drawdown, past forecasts beside what came.

    Returns
    -------
    list
        caption, chart, and legend (rows of name, class and whether it is a band); none of a chart without data.
    """
    shown = [
        (
            "Close and forecast",
            price_chart(ticker, frames),
            [
                ("close", "ink", False),
                *(_OF_FORECAST if not frames.forecast.is_empty() else ()),
            ],
        ),
        ("Volatility per year", *_volatility(ticker, frames)),
        ("Drawdown from the highest close", _drawdown(ticker, frames), []),
        _past(ticker, frames),
    ]
    return [
        {
            "caption": caption,
            "chart": chart,
            "legend": [{"name": name, "style": style, "band": band} for name, style, band in legend],
        }
        for caption, chart, legend in shown
        if chart
    ]


def price_chart(ticker: str, frames: TickerFrames) -> Markup:
    """Return the chart of the close and the forecast; the intervals start at the last close."""
    history, forecast = frames.history, frames.forecast
    lines, bands, marks = [], [], []
    since, told = None, ""
    if not history.is_empty():
        lines.append(Line(history["date"].to_list(), history["close"].to_list(), "ink"))
    if not forecast.is_empty():
        # Zero sessions ahead, every quantile is the last close.
        since, close = forecast["origin_date"][0], forecast["origin_close"][0]
        until = forecast["target_date"][-1]
        dates = [since, *forecast["target_date"]]
        bands = [Band(dates, [close, *forecast[low]], [close, *forecast[high]], style) for low, high, style in _BANDS]
        lines.append(Line(dates, [close, *forecast["q50"]], "accent"))
        marks = [
            Mark(value, name, since, until)
            for name, value in (("stop", frames.stop), ("target", frames.target))
            if value is not None
        ]
        last = forecast.row(-1, named=True)
        told = (
            f"Close {price(close)} on {since}. Forecast for {until}: median {price(last['q50'])}, "
            f"90% interval {price(last['q05'])} to {price(last['q95'])}."
        )
    return line_chart(
        lines, bands, title=f"Close of {ticker} and its forecast", description=told, marks=marks, since=since
    )


def _volatility(ticker: str, frames: TickerFrames) -> tuple[Markup, list[tuple[str, str, bool]]]:
    features, path = frames.features, frames.volatility
    lines, legend = [], []
    for column, style, name in (("volatility_20", "faint", "20 sessions"), ("ewm_volatility", "ink", "weighted")):
        if not features.is_empty():
            lines.append(Line(features["date"].to_list(), _per_year(features[column]), style))
            legend.append((name, style, False))
    told = ""
    if not path.is_empty():
        lines.append(Line(path["target_date"].to_list(), _per_year(path["sigma"]), "accent"))
        legend.append(("forecast", "accent", False))
        told = f"Forecast {percent(path['sigma'][-1] * _ANNUAL)} for {path['target_date'][-1]}."
    chart = line_chart(
        lines, title=f"Volatility of {ticker} per year", description=told, percent=True, height=110, level=0.0
    )
    return chart, legend


def _per_year(daily: pl.Series) -> list[float | None]:
    return (daily * _ANNUAL).to_list()


def _drawdown(ticker: str, frames: TickerFrames) -> Markup:
    features = frames.features
    if features.is_empty():
        return line_chart([], title="")
    values = features["drawdown"].to_list()
    told = f"{signed_percent(values[-1])} on {features['date'][-1]}." if values[-1] is not None else ""
    return line_chart(
        [Line(features["date"].to_list(), values, "loss", filled=True)],
        title=f"Drawdown of {ticker} from its highest close",
        description=told,
        percent=True,
        height=90,
        until=None if frames.forecast.is_empty() else frames.forecast["target_date"][-1],
    )


def _past(ticker: str, frames: TickerFrames) -> tuple[str, Markup, list[tuple[str, str, bool]]]:
    """Return the chart of past forecasts of the longest step with outcomes, each at the date it was about."""
    past = frames.past
    nothing: tuple[str, Markup, list[tuple[str, str, bool]]] = ("", line_chart([], title=""), [])
    if past.is_empty():
        return nothing
    own = past.join(frames.history.select(origin_date="date", scale="close"), on="origin_date", how="inner")
    counts = own.group_by("step").len().filter(pl.col("len") >= _MIN_PAST)
    if counts.is_empty():
        return nothing
    step: int = counts["step"].max()  # type: ignore[assignment] # polars knows no types of values
    rows = own.filter(step=step).unique("outcome_date", keep="last").sort("outcome_date")
    if rows.height < _MIN_PAST:
        return nothing

    def bound(name: str) -> list[float]:
        # In units of the close on the origin date, so that a split or a dividend since then moves no band.
        return (rows[name] / rows["origin_close"] * rows["scale"]).to_list()

    dates: list[date] = rows["outcome_date"].to_list()
    bands = [Band(dates, bound(low), bound(high), style) for low, high, style in (_BANDS[0], _BANDS[2])]
    came = frames.history.filter(pl.col("date").is_between(dates[0], dates[-1]))
    actual = rows.join(frames.history.select(outcome_date="date", came="close"), on="outcome_date", how="left")["came"]
    inside = sum(
        low <= value <= high
        for low, value, high in zip(bound("q05"), actual, bound("q95"), strict=True)
        if value is not None
    )
    told = f"{inside} of {rows.height} closes came inside the 90% interval."
    chart = line_chart(
        [Line(came["date"].to_list(), came["close"].to_list(), "ink")],
        bands,
        title=f"Close of {ticker} beside what was forecast {step} sessions before",
        description=told,
        height=130,
    )
    ahead = "a session" if step == 1 else f"{step} sessions"
    legend = [("close that came", "ink", False), ("50%", "fan-50", True), ("90% intervals", "fan-90", True)]
    return f"What was forecast {ahead} before. {told}", chart, legend


def _sources(data: ReportData, ranked: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    """Return queries of an example: the first signal, its forecast, and the newest bars that this forecast read."""
    first: dict[str, Any]
    if ranked.is_empty():
        first = {"ticker": "…", "run_id": data.run_id, "forecast_run_id": data.run_id}
        first |= {"forecast_snapshot_id": data.snapshot_id}
    else:
        first = ranked.row(0, named=True)
    ticker = first["ticker"].replace("'", "''")
    signal = f"run_id = '{first['run_id']}' AND ticker = '{ticker}'"
    forecast = f"run_id = '{first['forecast_run_id']}' AND ticker = '{ticker}' AND model = 'ensemble'"
    origin = "action, rule, sigma, annual_volatility, forecast_run_id, forecast_snapshot_id"
    newest = f"FROM bars AT (VERSION => {first['forecast_snapshot_id']})\nWHERE ticker = '{ticker}'"
    # Texts for a reader, which nothing here runs.
    return (
        ("A signal, and the runs and the snapshot that it came from", f"SELECT {origin}\nFROM signals\nWHERE {signal}"),
        (
            "Its forecast; without an edge, the report divides the quantiles by q50 and multiplies them by the close",
            f"SELECT step, target_date, q05, q50, q95\nFROM forecasts\nWHERE {forecast}\nORDER BY step",
        ),
        (
            "The newest bars that the forecast read",
            f"SELECT date, close, adj_factor\n{newest}\nORDER BY date DESC\nLIMIT 5",
        ),
        ("Past forecasts and what came", "SELECT * FROM scored_forecasts WHERE basis = 'runs' AND model = 'ensemble'"),
    )
