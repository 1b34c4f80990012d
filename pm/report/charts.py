"""The figure of a ticker: its price with the forecast's fan, its volatility, its drawdown, over one axis of dates.

A figure is plotly's own JSON, built as plain dictionaries: only the browser draws it. A colour is the name of one of
the stylesheet's custom properties ('--fan-90'), which the page's script replaces by its value of the moment, so that a
figure follows the reader's light or dark scheme. No text of a figure comes from the data, for plotly would read it as
markup.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["TickerFrames", "ticker_figure"]

Figure = dict[str, Any]

_ANNUAL = math.sqrt(252)
_QUANTILES = [quantile_column("q", level) for level in QUANTILES]
_BANDS = (("90%", "q05", "q95", "--fan-90"), ("80%", "q10", "q90", "--fan-80"), ("50%", "q25", "q75", "--fan-50"))
_FAN_HOVER = (
    "%{y:,.6~g}<br>50%: %{customdata[1]:,.6~g} to %{customdata[2]:,.6~g}"
    "<br>90%: %{customdata[0]:,.6~g} to %{customdata[3]:,.6~g}"
)
_PANELS = {
    "y": ("Close and forecast", (0.50, 0.96)),
    "y2": ("Volatility, a year", (0.235, 0.42)),
    "y3": ("Drawdown from the highest close", (0.0, 0.155)),
}


@dataclass(frozen=True)
class TickerFrames:
    """What is known of one ticker, each frame sorted by date and possibly empty.

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
        Prices; None for a HOLD.
    """

    history: pl.DataFrame
    features: pl.DataFrame
    forecast: pl.DataFrame
    volatility: pl.DataFrame
    stop: float | None
    target: float | None


def ticker_figure(frames: TickerFrames) -> Figure:
    """Give the figure of a ticker as plotly's JSON: {'data': traces, 'layout': layout}."""
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
    # The fan opens at the last close, which every quantile of no sessions ahead is.
    fan = pl.concat(
        [
            forecast.head(1).select(target_date="origin_date", **dict.fromkeys(_QUANTILES, pl.col("origin_close"))),
            forecast.select("target_date", *_QUANTILES),
        ]
    )
    dates = _dates(fan["target_date"])
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
        days = features["date"]
        traces += [
            _line(
                "20 sessions",
                days,
                features["volatility_20"] * _ANNUAL,
                axis="y2",
                colour="--faint",
                width=1.2,
                hover="%{y:.1%}",
            ),
            _line(
                "Weighted",
                days,
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
    name: str, days: pl.Series, values: pl.Series, *, colour: str, width: float, hover: str, axis: str = "y"
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _dates(days),
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
    """Give the first and the last date of anything drawn, for plotly's own choice leaves a margin of weeks."""
    days = pl.concat(
        [
            frames.history["date"],
            frames.features["date"],
            frames.forecast["origin_date"],
            frames.forecast["target_date"],
        ]
    )
    return [] if days.is_empty() else [str(days.min()), str(days.max())]


def _dates(days: pl.Series) -> list[str]:
    return days.cast(pl.String).to_list()


def _numbers(values: pl.Series) -> list[float | None]:
    """Give six significant digits of each: more cannot be seen, and they would double the file."""
    return [_round(value) for value in values]


def _round(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
