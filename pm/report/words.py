"""Numbers and lists as a reader wants them: the template's filters, and the headline's sentences."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from pm.price_format import price_specification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    import polars as pl

__all__ = ["FILTERS", "headline"]

Number = float | int | None

NOTHING = "–"
MINUS = "−"


def _known(value: Number) -> bool:
    return value is not None and math.isfinite(value)


def percent(value: Number, digits: int = 1) -> str:
    """0.1234 is '12.3%'."""
    return f"{value:.{digits}%}".replace("-", MINUS) if value is not None and _known(value) else NOTHING


def signed_percent(value: Number, digits: int = 1) -> str:
    """0.1234 is '+12.3%'; what rounds to nothing has no sign."""
    if value is None or not _known(value):
        return NOTHING
    text = f"{value:+.{digits}%}"
    return text.lstrip("+-") if float(text.rstrip("%")) == 0 else text.replace("-", MINUS)


def price(value: Number) -> str:
    """1430.468 is '1,430.47'; 1.1234 is '1.1234'."""
    return format(value, price_specification(value)) if value is not None and _known(value) else NOTHING


def integer(value: Number) -> str:
    """1234567 is '1,234,567'."""
    return f"{value:,.0f}" if value is not None and _known(value) else NOTHING


def ratio(value: Number) -> str:
    """0.987 is '0.99'."""
    return f"{value:.2f}" if value is not None and _known(value) else NOTHING


def seconds(value: Number) -> str:
    """0.0123 is '0.01 s'; 75.4 is '1 min 15 s'."""
    if value is None or not _known(value):
        return NOTHING
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def day(value: date | None) -> str:
    """Write a date as '1 March 2013'."""
    return f"{value.day} {value:%B %Y}" if value is not None else NOTHING


def plural(count: int, one: str, many: str | None = None) -> str:
    """2, 'ticker' is '2 tickers'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


FILTERS: dict[str, Callable[..., str]] = {
    "percent": percent,
    "signed_percent": signed_percent,
    "price": price,
    "integer": integer,
    "ratio": ratio,
    "seconds": seconds,
    "day": day,
    "plural": plural,
}
"""Filters of the template. What is missing or not finite is shown as a dash, never as a number."""


def headline(signals: pl.DataFrame) -> list[str]:
    """Say in a few sentences what a list of signals says; strongest first in `signals`."""
    if signals.is_empty():
        return ["No ticker has a signal. What was left out, and why, is listed below."]
    buys = signals.filter(signals["action"] == "BUY")["ticker"].to_list()
    sells = signals.filter(signals["action"] == "SELL")["ticker"].to_list()
    strongest: dict[str, Any] = signals.row(0, named=True)
    reasons: dict[str, Any] = json.loads(strongest["reasons"])
    cost = f"{reasons['round_trip_cost'] * 100:.6g}%"
    rises = strongest["probability_gain"] >= strongest["probability_loss"]
    chance = percent(max(strongest["probability_gain"], strongest["probability_loss"]), 0)
    forecast = f"{chance} likely to {'gain' if rises else 'lose'} more than {cost} by {day(strongest['target_date'])}"
    if not buys and not sells:
        threshold = percent(reasons["threshold"], 0)
        return [
            (
                f"Nothing stands out. No ticker is {threshold} likely to move either way by more than the {cost} that "
                "a round trip costs, so the list says to hold."
            ),
            f"Nearest to it is {strongest['ticker']}, {forecast}.",
        ]
    said = []
    if buys:
        said.append(f"buy {_names(buys)}")
    if sells:
        said.append(f"sell {_names(sells)}")
    if held := signals.height - len(buys) - len(sells):
        said.append(f"hold the other {held:,}" if held > 1 else "hold the other one")
    sentences = [f"The list says to {_joined(said)}.", f"Strongest is {strongest['ticker']}, {forecast}."]
    if (gross := float(signals["size"].abs().sum())) > 0:
        sentences.append(
            f"Each size is for its ticker alone, whatever else is held; together they come to {percent(gross, 0)} of "
            "equity."
        )
    return sentences


def _names(tickers: Sequence[str], shown: int = 5) -> str:
    if len(tickers) <= shown:
        return _joined(tickers)
    return f"{', '.join(tickers[:shown])} and {len(tickers) - shown:,} more"


def _joined(items: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)
