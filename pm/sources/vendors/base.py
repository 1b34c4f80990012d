"""Define what a vendor is, beyond a source of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from pm.sources.base import Source

if TYPE_CHECKING:
    from pm.sources.vendors.gate import Gate

__all__ = ["Vendor"]


class Vendor(Source, Protocol):
    """A source that asks over the network.

    Attributes
    ----------
    gate
        Gate that its requests go through, with the limits and the budget of the day.
    key_names
        Names of the keys that it needs; empty if it needs none.
    """

    gate: Gate
    key_names: ClassVar[tuple[str, ...]]
