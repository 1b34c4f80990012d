"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """What a run is asked to do.

    Parameters
    ----------
    source
        Restricts the run to tickers whose bars come from this source; None for no restriction.
    tickers
        Restricts the run to these tickers, sorted; None for no restriction.
    as_of
        Day to take for today; None for the day of the newest bar on the watch list.
    jobs
        Number of worker processes; 0 for the number in the settings. Results do not depend on it.
    engine
        Parallel engine; None for the one in the settings. Results do not depend on it.
    address
        Address of a running cluster of that engine; None for the one in the settings, if the engine is from there too.
    at_once
        Whether vendors are asked for the tickers though they are not due, unless a vendor asked to wait.
    former
        Tickers that are not on the watch list any more, and that the run is about as if they were.
    """

    source: str | None = None
    tickers: tuple[str, ...] | None = None
    as_of: date | None = None
    jobs: int = 0
    engine: str | None = None
    address: str | None = None
    at_once: bool = False
    former: tuple[str, ...] = ()

    @property
    def scope(self) -> Request:
        """The parts that results depend on, without those that say what does the work."""
        return Request(self.source, self.tickers, self.as_of, former=self.former)

    def with_workers_of(self, other: Request) -> Request:
        """Return this request, to be computed by the workers that another request names."""
        return replace(self, jobs=other.jobs, engine=other.engine, address=other.address)
