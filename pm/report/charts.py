"""Build the figure of a ticker: price with forecast intervals, volatility, and drawdown, over one axis of dates.

A figure is the JSON of plotly, built as plain dictionaries; the browser draws it. A colour is the name of a custom
property of the stylesheet ('--fan-90'). The script of the page replaces it by the property's current value, so that a
figure follows the reader's light or dark scheme. No text in a figure comes from the data, since plotly would interpret
it as markup.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from pm.sessions import SESSIONS_PER_YEAR
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["TickerFrames", "ticker_figure"]

Figure = dict[str, Any]

_ANNUAL = math.sqrt(SESSIONS_PER_YEAR)
"""Ratio of annual to daily volatility."""
_QUANTILES = [quantile_column("q", level) for level in QUANTILES]
# Name of the interval, columns of its bounds, colour.
_BANDS = (("90%", "q05", "q95", "--fan-90"), ("80%", "q10", "q90", "--fan-80"), ("50%", "q25", "q75", "--fan-50"))
_FAN_HOVER = (
    "%{y:,.6~g}<br>50%: %{customdata[1]:,.6~g} to %{customdata[2]:,.6~g}"
    "<br>90%: %{customdata[0]:,.6~g} to %{customdata[3]:,.6~g}"
)
# Axis of the panel, its title, and the part of the figure's height that it takes.
_PANELS = {
    "y": ("Close and forecast", (0.50, 0.96)),
    "y2": ("Volatility per year", (0.235, 0.42)),
    "y3": ("Drawdown from the highest close", (0.0, 0.155)),
}


@dataclass(frozen=True)
class TickerFrames:
    """The data of one ticker's figure. Each frame is sorted by date and may be empty.

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
    stop, target
        Prices of the signal; None where it has none.
    """

    history: pl.DataFrame
    features: pl.DataFrame
    forecast: pl.DataFrame
    volatility: pl.DataFrame
    stop: float | None
    target: float | None


def ticker_figure(frames: TickerFrames) -> Figure:
    """Return the figure of a ticker as JSON of plotly: {'data': traces, 'layout': layout}."""
    return {
        "data": [*_price(frames), *_volatility(frames), *_drawdown(frames)],
        "layout": _layout(frames),
    }


def _price(frames: TickerFrames) -> list[Figure]:
    traces = []
    history, forecast = frames.history, frames.forecast
    if not history.is_empty():
        traces.append(_line("Close", history["date"], history["close"], colour="--ink", width=1.6, hover="%{y:,.6~g}"))
    if forecast.is_empty():
        return traces
    # The intervals start at the last close: zero sessions ahead, every quantile is that close.
    fan = pl.concat(
        [
            forecast.head(1).select(target_date="origin_date", **dict.fromkeys(_QUANTILES, pl.col("origin_close"))),
            forecast.select("target_date", *_QUANTILES),
        ]
    )
    dates = _iso_dates(fan["target_date"])
    for level, low, high, colour in _BANDS:
        traces.append(
            {
                "type": "scatter",
                "name": level,
                "x": dates + dates[::-1],
                "y": _numbers(fan[high]) + _numbers(fan[low])[::-1],
                "fill": "toself",
                "fillcolor": colour,
                "line": {"width": 0},
                "mode": "lines",
                "hoverinfo": "skip",
            }
        )
    median = _line("Median", fan["target_date"], fan["q50"], colour="--accent", width=1.8, hover=_FAN_HOVER)
    columns = [_numbers(fan[name]) for name in ("q05", "q25", "q75", "q95")]
    median["customdata"] = [list(row) for row in zip(*columns, strict=True)]
    return [*traces, median]


def _volatility(frames: TickerFrames) -> list[Figure]:
    traces = []
    features, path = frames.features, frames.volatility
    if not features.is_empty():
        dates = features["date"]
        traces += [
            _line(
                "20 sessions",
                dates,
                features["volatility_20"] * _ANNUAL,
                axis="y2",
                colour="--faint",
                width=1.2,
                hover="%{y:.1%}",
            ),
            _line(
                "Weighted",
                dates,
                features["ewm_volatility"] * _ANNUAL,
                axis="y2",
                colour="--ink",
                width=1.4,
                hover="%{y:.1%}",
            ),
        ]
    if not path.is_empty():
        traces.append(
            _line(
                "Forecast",
                path["target_date"],
                path["sigma"] * _ANNUAL,
                axis="y2",
                colour="--accent",
                width=1.8,
                hover="%{y:.1%}",
            )
        )
    return traces


def _drawdown(frames: TickerFrames) -> list[Figure]:
    if frames.features.is_empty():
        return []
    trace = _line(
        "Drawdown",
        frames.features["date"],
        frames.features["drawdown"],
        axis="y3",
        colour="--loss-line",
        width=1.2,
        hover="%{y:.1%}",
    )
    return [trace | {"fill": "tozeroy", "fillcolor": "--loss-fill"}]


def _line(
    name: str, dates: pl.Series, values: pl.Series, *, colour: str, width: float, hover: str, axis: str = "y"
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _iso_dates(dates),
        "y": _numbers(values),
        "yaxis": axis,
        "line": {"color": colour, "width": width},
        "hovertemplate": hover,
    }


def _layout(frames: TickerFrames) -> Figure:
    axis = {
        "side": "right",
        "gridcolor": "--grid",
        "zeroline": False,
        "nticks": 3,
        "fixedrange": True,
        "automargin": "width",
    }
    layout: Figure = {
        "autosize": True,
        "showlegend": False,
        "dragmode": False,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 2, "r": 44, "t": 4, "b": 26},
        "font": {"family": "--sans", "size": 12, "color": "--muted"},
        "hoverlabel": {
            "bgcolor": "--surface",
            "bordercolor": "--rule",
            "font": {"family": "--sans", "size": 12, "color": "--ink"},
        },
        "xaxis": {
            "type": "date",
            "anchor": "y3",
            "gridcolor": "--grid",
            "fixedrange": True,
            "nticks": 6,
            "tickangle": 0,
            "hoverformat": "%a %-d %b %Y",
            "range": _date_range(frames),
        },
        "annotations": [_title(text, domain[1]) for text, domain in _PANELS.values()],
        "shapes": [],
    }
    for name, (_, domain) in _PANELS.items():
        layout["yaxis" + name[1:]] = axis | {"domain": domain}
    layout["yaxis"] |= {"nticks": 7, "tickformat": ",.6~g"}
    layout["yaxis2"] |= {"tickformat": ".0%", "rangemode": "tozero"}
    layout["yaxis3"] |= {"tickformat": ".0%", "rangemode": "tozero"}
    if not frames.forecast.is_empty():
        origin, end = frames.forecast["origin_date"][0], frames.forecast["target_date"][-1]
        layout["shapes"].append(
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": str(origin),
                "x1": str(origin),
                "y0": 0,
                "y1": 0.96,
                "line": {"color": "--rule", "width": 1, "dash": "dot"},
            }
        )
        for text, price in (("stop", frames.stop), ("target", frames.target)):
            if price is not None:
                layout["shapes"].append(
                    {
                        "type": "line",
                        "x0": str(origin),
                        "x1": str(end),
                        "y0": _round(price),
                        "y1": _round(price),
                        "line": {"color": "--ink", "width": 1.2, "dash": "dash"},
                    }
                )
                layout["annotations"].append(
                    {
                        "x": str(origin),
                        "y": _round(price),
                        "text": text,
                        "showarrow": False,
                        "xanchor": "right",
                        "xshift": -3,
                        "bgcolor": "--surface",
                        "font": {"size": 11, "color": "--ink"},
                    }
                )
    return layout


def _title(text: str, top: float) -> Figure:
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": "--muted"},
    }


def _date_range(frames: TickerFrames) -> list[str]:
    """Return the first and the last date drawn; the range that plotly would choose has a margin of weeks."""
    dates = pl.concat(
        [
            frames.history["date"],
            frames.features["date"],
            frames.forecast["origin_date"],
            frames.forecast["target_date"],
        ]
    )
    return [] if dates.is_empty() else [str(dates.min()), str(dates.max())]


def _iso_dates(dates: pl.Series) -> list[str]:
    return dates.cast(pl.String).to_list()


def _numbers(values: pl.Series) -> list[float | None]:
    """Return the numbers with six significant digits; more are not visible and would double the size of the file."""
    return [_round(value) for value in values]


def _round(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
