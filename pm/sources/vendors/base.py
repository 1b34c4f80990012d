"""Define what a vendor is, beyond a source of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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
    """

    gate: Gate
