"""Compute over chunks of tickers in parallel, so that a ticker that fails costs its own row and not the run."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import polars as pl

from pm.errors import PmError, StageError, is_failure
from pm.exclusions import Exclusion, exclusions_frame
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.pipeline.stage import Context

__all__ = ["ChunkResults", "map_chunks"]

Item = TypeVar("Item")

Frames = tuple[pl.DataFrame, ...]
"""What is computed over some tickers: frames with a column ticker; the first frame has all of the tickers."""


@dataclass(frozen=True)
class ChunkResults(Generic[Item]):
    """Results over chunks of tickers.

    Attributes
    ----------
    results
        One or more for each chunk, in the order of the tickers.
    exclusions
        Table `exclusions` without its stamp: the tickers that the function failed on, with reason 'failed' and the
        error as detail.
    """

    results: list[Item]
    exclusions: pl.DataFrame

    @property
    def failures(self) -> str:
        """What to add to a stage's summary: the number of tickers that failed, or nothing."""
        failed = self.exclusions.height
        return f", {failed:,} FAILED (see exclusions)" if failed else ""


@dataclass
class _ChunkResult(Generic[Item]):
    """Results over one chunk.

    Attributes
    ----------
    results
        Results over the tickers that succeeded.
    failed
        Tickers that failed alone, with their errors.
    failed_together
        Errors over several tickers at once, none of which failed alone.
    """

    results: list[Item] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    failed_together: list[str] = field(default_factory=list)


def map_chunks(context: Context, function: Callable[..., Item], chunks: Sequence[Frames]) -> ChunkResults[Item]:
    """Apply a function to chunks of tickers in parallel and return the results.

    Where the function raises an unexpected error, the chunk is halved until the ticker that causes it is alone.

    Parameters
    ----------
    context
        The stage's context: its workers compute, and its progress is reported.
    function
        A picklable pure function of a chunk's frames.
    chunks
        Frames of some tickers each.

    Raises
    ------
    PmError
        An error that a user can cause, raised by the function.
    StageError
        The function failed over every ticker: that is no fault of a ticker.
    """
    stage = context.stage.name
    parts: list[_ChunkResult[Item]] = []
    for done, part in enumerate(context.workers.map(_Halving(function), chunks, name=_tickers_of), start=1):
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
    for error in (error for part in parts for error in part.failed_together):
        context.notify(f"{stage}: failed over several tickers at once, but over none of them alone: {error}")
    excluded = [(ticker, Exclusion(Reason.FAILED, error)) for ticker, error in failed]
    return ChunkResults(results, exclusions_frame(stage, excluded))


@dataclass(frozen=True)
class _Halving(Generic[Item]):
    """A function of a chunk that returns what it can."""

    function: Callable[..., Item]

    def __call__(self, frames: Frames) -> _ChunkResult[Item]:
        result: _ChunkResult[Item] = _ChunkResult()
        self._apply(frames, result)
        return result

    def _apply(self, frames: Frames, result: _ChunkResult[Item]) -> None:
        try:
            result.results.append(self.function(*frames))
        except (PmError, Warning):  # for the user to see; a warning is raised only where someone asked for it
            raise
        except BaseException as error:
            if not is_failure(error):
                raise
            tickers = frames[0]["ticker"].unique(maintain_order=True).to_list()
            if not tickers:
                raise
            if len(tickers) == 1:
                result.failed.append((tickers[0], _describe(error)))
                return
            failed = len(result.failed) + len(result.failed_together)
            for half in _halves(tickers, frames):
                self._apply(tuple(frame.filter(pl.col("ticker").is_in(half)) for frame in frames), result)
            if len(result.failed) + len(result.failed_together) == failed:
                result.failed_together.append(_describe(error))


def _halves(tickers: list[str], frames: Frames) -> Iterator[list[str]]:
    """Cut tickers in two, or a single group of related tickers into its members.

    Groups stay whole while they can: a model that reads a group sees all of its members.
    """
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


def _describe(error: BaseException) -> str:
    """Return the error's type, text, and the line where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"


def _tickers_of(frames: Frames) -> str:
    tickers = frames[0]["ticker"].unique(maintain_order=True).to_list()
    return ", ".join(map(str, tickers))
