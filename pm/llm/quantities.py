"""List the quantities that are known of a ticker: their units, how texts write them, and the words that name them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pm.number_format import MINUS, day, integer, percent, price, ratio, signed_percent

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Direction", "Quantity", "Unit", "written"]


class Unit(StrEnum):
    """Unit of a quantity: column `unit` of table `commentary_cells`."""

    SHARE = "share"
    PRICE = "price"
    RATIO = "ratio"
    COUNT = "count"
    DATE = "date"
    WORD = "word"


class Direction(StrEnum):
    """Direction in which a quantity points."""

    UP = "up"
    DOWN = "down"
    SIGN = "sign"
    """That of its sign, which a text has to show."""
    NONE = "none"


class Quantity(StrEnum):
    """A quantity of a ticker, by what it is called.

    Attributes
    ----------
    unit
        Its unit.
    direction
        The direction in which it points.
    names
        Words beside which a number is taken for this quantity.
    """

    unit: Unit
    direction: Direction
    names: frozenset[str]

    def __new__(cls, name: str, unit: Unit, names: str = "", direction: Direction = Direction.NONE) -> Self:
        """Make a member from its name, its unit, the words beside its numbers, and its direction."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.unit = unit
        member.names = frozenset(names.split())
        member.direction = direction
        return member

    ACTION = "action", Unit.WORD
    ORIGIN_DATE = "date of the last bar", Unit.DATE, "bar bars"
    RUN_DATE = "day of the run", Unit.DATE, "run"
    TARGET_DATE = "last session of the horizon", Unit.DATE, "to until by"
    HORIZON = "sessions to the target date", Unit.COUNT, "session sessions"
    CLOSE = "close", Unit.PRICE, "close closed price"
    MEDIAN_RETURN = "median return", Unit.SHARE, "median", Direction.SIGN
    LOWER = "lower end of the interval", Unit.SHARE, "interval", Direction.SIGN
    UPPER = "upper end of the interval", Unit.SHARE, "interval", Direction.SIGN
    INTERVAL_LEVEL = "level of the interval", Unit.SHARE, "interval"
    GAIN_PROBABILITY = "probability of a gain", Unit.SHARE, "gain gaining", Direction.UP
    LOSS_PROBABILITY = "probability of a loss", Unit.SHARE, "loss losing", Direction.DOWN
    THRESHOLD = "threshold of the probability", Unit.SHARE, "threshold"
    COST = "cost of a round trip", Unit.SHARE, "cost costs"
    SIZE = "size of the position", Unit.SHARE, "position size equity"
    STOP = "stop", Unit.PRICE, "stop"
    TARGET = "target", Unit.PRICE, "target"
    ANNUAL_VOLATILITY = "forecast volatility per year", Unit.SHARE, "volatility"
    VOLATILITY_RANK = "share of past sessions with a lower volatility", Unit.SHARE, "", Direction.UP
    VOLATILITY_SESSIONS = "past sessions that the volatility is compared with", Unit.COUNT, "sessions"
    DRAWDOWN = "adjusted close against its high of the past year", Unit.SHARE, "high highest", Direction.DOWN
    VERDICT = "verdict on the models", Unit.WORD
    RELATIVE_RMSE = "error of the models relative to no change", Unit.RATIO, "error"
    MODEL = "model with the largest weight", Unit.WORD
    WEIGHT = "largest weight of a model", Unit.SHARE, "weight"
    FLAG_RULE = "rule of the newest flag", Unit.WORD
    FLAG_DATE = "date of the newest flag", Unit.DATE, "flag flagged bar"
    FLAG_RETURN = "return of the flagged bar", Unit.SHARE, "flagged jump break", Direction.SIGN
    LEFT_OUT = "reason for which it was left out", Unit.WORD
    SIMPLIFIED = "reason for which it was simplified", Unit.WORD


def written(value: float | str | date, quantity: Quantity, *, digits: int = 1, signed: bool | None = None) -> str:
    """Return a value as the report writes it: '48.9%', '−14.6%', '430.47', '0.97', '1 March 2013'.

    Parameters
    ----------
    digits
        Decimals of a share. Settings such as a cost are written without trailing zeros, with up to six digits.
    signed
        Whether a share has its sign; None for the sign of those quantities whose direction it is. Without, a share is
        written without a minus, and words have to tell the direction.
    """
    if isinstance(value, str):
        return value
    if quantity.unit is Unit.DATE:
        return day(value)  # type: ignore[arg-type]  # the unit says that it is a date
    number = float(value)  # type: ignore[arg-type]  # all other units are of numbers
    if quantity.unit is Unit.SHARE:
        if quantity in {Quantity.COST, Quantity.THRESHOLD, Quantity.INTERVAL_LEVEL}:
            return f"{f'{number * 100:.6f}'.rstrip('0').rstrip('.')}%".replace("-", MINUS)
        shows_sign = quantity.direction is Direction.SIGN if signed is None else signed
        return signed_percent(number, digits) if shows_sign else percent(abs(number), digits)
    formats = {Unit.PRICE: price, Unit.RATIO: ratio, Unit.COUNT: integer}
    return formats[quantity.unit](number)
