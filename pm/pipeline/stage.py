"""What a stage is: a function of the lake and settings, and all that its result depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pm
from pm.parallel import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    import polars as pl

    from pm.lake import Lake, Transaction
    from pm.settings import RunSettings, Settings
    from pm.workspace import Workspace

__all__ = ["Context", "Outcome", "Request", "Stage", "fingerprint", "recipe"]

_PACKAGE = Path(pm.__file__).resolve().parent


@dataclass(frozen=True)
class Request:
    """What a run is asked to do.

    Parameters
    ----------
    source
        Name of the source of bars.
    tickers
        Tickers to forecast, sorted; None for all the source has.
    as_of
        Day to take for today; None for the day of the last bar.
    jobs
        Processes to forecast in; 0 for the setting's. Results do not depend on it.
    engine
        What forecasts in parallel; None for the setting's. Results do not depend on it.
    address
        A running cluster of that engine; None for the setting's, where the engine is the setting's too.
    """

    source: str
    tickers: tuple[str, ...] | None = None
    as_of: date | None = None
    jobs: int = 0
    engine: str | None = None
    address: str | None = None

    @property
    def asked(self) -> Request:
        """What results depend on: the request without what does the work."""
        return Request(self.source, self.tickers, self.as_of)

    def done_as(self, other: Request) -> Request:
        """Give this request, with the work done by what another asks for."""
        return replace(self, jobs=other.jobs, engine=other.engine, address=other.address)

    def workers(self, settings: RunSettings) -> Workers:
        """Give what does the work; nothing is started before there is some."""
        engine = self.engine or settings.engine
        address = self.address or (settings.address if engine == settings.engine else None)
        jobs = self.jobs or settings.jobs
        return Workers(engine, address=address, jobs=jobs, memory_mb=settings.worker_memory_mb)


@dataclass(frozen=True)
class Context:
    """All that a stage may look at."""

    lake: Lake
    settings: Settings
    workspace: Workspace
    request: Request
    run_id: str
    snapshot: int
    """The snapshot to read tables at."""
    outputs: Mapping[str, str]
    """For each stage before, the run whose rows stand as its result."""
    workers: Workers
    """What works on chunks of tickers."""
    recipe: str
    """Hash of the stage's settings and code."""
    progress: Callable[[int, int], None]
    """Called with how much is done, of how much."""
    tell: Callable[[str], None]
    """Called with a line the user should read."""

    def stamp(self, frame: pl.DataFrame, *, cutoff: date | None = None) -> pl.DataFrame:
        """Give the frame with the columns every derived row carries; `cutoff` where the frame has none of its own."""
        import polars as pl

        stamps = {"run_id": pl.lit(self.run_id), "snapshot_id": pl.lit(self.snapshot, pl.Int64)}
        if cutoff is not None:
            stamps["cutoff"] = pl.lit(cutoff, pl.Date)
        return frame.with_columns(**stamps)


@dataclass(frozen=True)
class Outcome:
    """What a stage came to.

    Parameters
    ----------
    write
        Writes the rows, in the stage's only commit, and gives how many. Run again from its start if the catalog was
        locked.
    summary
        One line for the user, asked for after the writing.
    """

    write: Callable[[Transaction], int]
    summary: Callable[[], str]


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline.

    Parameters
    ----------
    name
        As the user reads it.
    run
        Gives the outcome; reads the lake at the context's snapshot.
    reads
        Tables whose rows it depends on.
    after
        Stages whose result of this run it reads.
    sections
        Sections of the settings it depends on, or single settings of one: 'signals', 'forecast.horizon'.
    rooms
        Modules and folders of the package whose code it depends on.
    libraries
        Packages whose version can change its numbers.
    asks
        What else it depends on: parts of the request, or the state of the world. None says that only running it can
        tell, so that it is never skipped.
    replaces
        Whether its result takes the place of the one before, so that only the newest stands. A stage whose rows are
        told apart by their run leaves every result standing.
    stands
        Whether an equal stage's result, of the given run, is still there; rows in the lake always are.
    """

    name: str
    run: Callable[[Context], Outcome]
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    asks: Callable[[Context], Any] = field(default=lambda _: "")
    replaces: bool = False
    stands: Callable[[Context, str], bool] = field(default=lambda *_: True)


def fingerprint(stage: Stage, context: Context) -> str | None:
    """Sum up all that a stage's result depends on in a few letters; None if only running it can tell."""
    asked = stage.asks(context)
    if asked is None:
        return None
    return _hash(
        {
            "asked": asked,
            "tables": context.lake.versions(stage.reads),
            "after": {name: context.outputs[name] for name in stage.after},
            "recipe": context.recipe,
        }
    )


def recipe(stage: Stage, settings: Settings) -> str:
    """Sum up a stage's code, its settings, and the versions of the libraries that make its numbers."""
    return _hash(
        {
            "stage": stage.name,
            "settings": {name: _setting(settings, name) for name in stage.sections},
            "code": [_code(room) for room in (*stage.rooms, f"pipeline/stages/{stage.name}.py")],
            "libraries": {name: version(name) for name in stage.libraries},
        }
    )


def _setting(settings: Settings, name: str) -> Any:  # noqa: ANN401 - JSON
    section, _, key = name.partition(".")
    values = settings.section(section).model_dump(mode="json")
    return values[key] if key else values


def _hash(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


@cache
def _code(room: str) -> str:
    path = _PACKAGE / room
    # Not only Python: the report's looks are its template, its stylesheet and its script.
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.blake2b(digest_size=12)
    for file in files:
        if "__pycache__" in file.parts:  # not only Python's: numba keeps what it has compiled there
            continue
        digest.update(file.relative_to(_PACKAGE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
