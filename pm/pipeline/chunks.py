"""Run a room over chunks of tickers, so that a ticker nobody foresaw costs its own row and not the run."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import polars as pl

from pm.errors import PmError, StageError
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.pipeline.stage import Context

__all__ = ["Served", "serve"]

Result = TypeVar("Result")

Frames = tuple[pl.DataFrame, ...]
"""What a room takes for some tickers, each frame with a column ticker; the first has all of them."""


@dataclass(frozen=True)
class Served(Generic[Result]):
    """What a room made of the chunks.

    Attributes
    ----------
    results
        In the order of the tickers.
    exclusions
        Table `exclusions` without its stamp: the tickers over which the room failed, with reason 'failed' and the
        error as detail.
    """

    results: list[Result]
    exclusions: pl.DataFrame

    def __str__(self) -> str:
        failed = self.exclusions.height
        return f", {failed:,} FAILED (see exclusions)" if failed else ""


@dataclass
class _Part(Generic[Result]):
    """What a room made of a chunk."""

    results: list[Result] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Ticker and error."""
    whole: list[str] = field(default_factory=list)
    """Errors over several tickers at once, none of which failed alone."""


def serve(context: Context, stage: str, room: Callable[..., Result], chunks: Sequence[Frames]) -> Served[Result]:
    """Give what a room makes of chunks of tickers, worked on in parallel.

    Where a room raises what it should not, the chunk is halved until the ticker to blame is alone.

    Parameters
    ----------
    context
        Whose workers are used, and whose progress is told.
    stage
        Name of the stage, for the rows of the tickers that failed.
    room
        A picklable pure function of a chunk's frames.
    chunks
        Frames of some tickers each.

    Raises
    ------
    PmError
        An error of the user's, which the room raised.
    StageError
        The room failed over every ticker: that is no fault of a ticker.
    """
    parts: list[_Part[Result]] = []
    for done, part in enumerate(context.workers.map(_Halving(room), chunks, name=_named), start=1):
        parts.append(part)
        context.progress(done, len(chunks))
    failed = [row for part in parts for row in part.failed]
    results = [result for part in parts for result in part.results]
    if failed and not results:
        ticker, error = failed[0]
        raise StageError(
            f"Stage {stage} failed over every ticker, {len(failed):,} in all; over {ticker}: {error}",
            hint="this is a fault of pm, not of a ticker: please report it",
        )
    for error in (error for part in parts for error in part.whole):
        context.tell(f"{stage}: failed over several tickers at once, not over any alone: {error}")
    rows = [(stage, ticker, Reason.FAILED.value, error) for ticker, error in failed]
    return Served(results, pl.DataFrame(rows, schema=EXCLUSIONS.unstamped_schema, orient="row"))


@dataclass(frozen=True)
class _Halving(Generic[Result]):
    """A room that gives what it can of a chunk."""

    room: Callable[..., Result]

    def __call__(self, frames: Frames) -> _Part[Result]:
        part: _Part[Result] = _Part()
        self._serve(frames, part)
        return part

    def _serve(self, frames: Frames, part: _Part[Result]) -> None:
        try:
            part.results.append(self.room(*frames))
        except (PmError, Warning):  # what the user is to see; a warning is raised only where someone asked for it
            raise
        except Exception as error:
            tickers = frames[0]["ticker"].unique(maintain_order=True).to_list()
            if not tickers:
                raise
            if len(tickers) == 1:
                part.failed.append((tickers[0], _said(error)))
                return
            failed = len(part.failed) + len(part.whole)
            for half in _halves(tickers, frames):
                self._serve(tuple(frame.filter(pl.col("ticker").is_in(half)) for frame in frames), part)
            if len(part.failed) + len(part.whole) == failed:
                part.whole.append(_said(error))


def _halves(tickers: list[str], frames: Frames) -> Iterator[list[str]]:
    """Cut tickers in two, or a single group of them into its members: a group read in part would be another group."""
    groups = {ticker: ticker for ticker in tickers}
    for frame in frames:
        if "group" in frame.columns:
            groups |= dict(frame.select("ticker", "group").iter_rows())
    names = list(dict.fromkeys(groups[ticker] for ticker in tickers))
    if len(names) == 1:
        yield from ([ticker] for ticker in tickers)
        return
    for part in (names[: len(names) // 2], names[len(names) // 2 :]):
        yield [ticker for ticker in tickers if groups[ticker] in part]


def _said(error: Exception) -> str:
    """Give the error's text and the line it was raised at."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"


def _named(frames: Frames) -> str:
    tickers = frames[0]["ticker"].unique(maintain_order=True).to_list()
    return ", ".join(map(str, tickers))
