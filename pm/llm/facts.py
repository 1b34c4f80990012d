"""Gather what the tables say of each ticker as typed facts, each with the cell of the lake that it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pm.llm.quantities import Quantity, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Cell", "Fact", "FactSheet"]


@dataclass(frozen=True)
class Cell:
    """A cell of the lake, or an aggregate of the cells of one column.

    Attributes
    ----------
    table, column
        Names of the table and of its column.
    key
        Names and values of the columns of the table's key. A pair of dates is a range, the second not included.
    snapshot
        Snapshot at which to read it; None for a table whose key holds the run.
    expression
        Aggregate of the column where it is not the bare cell.
    other
        Another cell, whose query stands in the expression as `{other}`.
    """

    table: str
    column: str
    key: tuple[tuple[str, str | int | date | tuple[date, date]], ...]
    snapshot: int | None = None
    expression: str | None = None
    other: Cell | None = None

    @property
    def key_json(self) -> str:
        """The key as JSON."""
        return json.dumps(dict(self.key), default=str, ensure_ascii=False)

    @property
    def query(self) -> str:
        """The query that shows the cell."""
        at = "" if self.snapshot is None else f" AT (VERSION => {self.snapshot})"
        shown = self.expression or self.column
        if self.other is not None:
            shown = shown.format(other=self.other.query)
        return f"SELECT {shown} FROM {self.table}{at} WHERE {' AND '.join(_conditions(self.key))}"  # noqa: S608 - shown


def _conditions(key: tuple[tuple[str, Any], ...]) -> Iterable[str]:
    for name, value in key:
        if isinstance(value, tuple):
            yield f"{name} >= {_literal(value[0])}"
            yield f"{name} < {_literal(value[1])}"
        else:
            yield f"{name} = {_literal(value)}"


def _literal(value: str | int | date) -> str:
    if isinstance(value, date):
        return f"DATE '{value}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Fact:
    """A value of a ticker, what it is, and where it stands.

    Attributes
    ----------
    quantity
        What it is; this has the unit, the direction, and the words for it.
    value
        The value, in the units of the table: a share as a fraction.
    cell
        Where it stands.
    """

    quantity: Quantity
    value: float | int | str | date
    cell: Cell


@dataclass(frozen=True)
class FactSheet:
    """The facts of one ticker. Of a quantity there may be several, such as reasons for simpler models.

    Attributes
    ----------
    ticker
        The ticker.
    facts
        The facts, in the order of the quantities.
    """

    ticker: str
    facts: tuple[Fact, ...]

    def get(self, quantity: Quantity) -> Fact | None:
        """Return the first fact of a quantity; None if it is not known."""
        return next((fact for fact in self.facts if fact.quantity is quantity), None)

    def all(self, quantity: Quantity) -> list[Fact]:
        """Return every fact of a quantity."""
        return [fact for fact in self.facts if fact.quantity is quantity]

    def number(self, quantity: Quantity) -> float | None:
        """Return the value of a quantity that is a number; None if it is not known."""
        fact = self.get(quantity)
        return None if fact is None or isinstance(fact.value, (str, date)) else float(fact.value)

    def word(self, quantity: Quantity) -> str | None:
        """Return the value of a quantity that is a word; None if it is not known."""
        fact = self.get(quantity)
        return None if fact is None else str(fact.value)

    def to_json(self) -> dict[str, Any]:
        """Return the values without their cells, as JSON can hold them."""
        return {"ticker": self.ticker, "facts": [[fact.quantity.name, _plain(fact.value)] for fact in self.facts]}

    @classmethod
    def from_json(cls, sheet: Mapping[str, Any]) -> FactSheet:
        """Return the sheet that `to_json` gave. Its facts have no cells in a lake."""
        nowhere = Cell("", "", ())
        facts = []
        for name, value in sheet["facts"]:
            quantity = Quantity[name]
            known = date.fromisoformat(value) if quantity.unit is Unit.DATE else value
            facts.append(Fact(quantity, known, nowhere))
        return cls(sheet["ticker"], tuple(facts))


def _plain(value: float | str | date) -> float | str:
    return value.isoformat() if isinstance(value, date) else value
