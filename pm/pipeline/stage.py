"""What a stage is: a function of the lake and the settings, and a declaration of all that its result depends on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pm.pipeline.writes import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import polars as pl

    from pm.lake import Lake
    from pm.llm.opening import ModelOfRun
    from pm.parallel import Workers
    from pm.pipeline.request import Request
    from pm.pipeline.writes import Result
    from pm.settings import Settings
    from pm.tables.declaration import Table
    from pm.workspace import Workspace

__all__ = ["Context", "Stage", "UndeclaredAccessError"]


class UndeclaredAccessError(Exception):
    """A stage reads or writes a table that it does not declare: a bug in the stage."""


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline.

    Parameters
    ----------
    name
        Name that the user reads.
    compute
        Computes the result from a context. It may fetch, compute and render, and it must be repeatable; it never
        writes to the lake. The runner commits what it returns. A stage that lands as it goes yields its results
        instead, each of them a commit of its own; see docs/architecture.md.
    reads
        Tables that it reads.
    past
        Tables that it reads as earlier runs left them. They neither order the stages nor belong to the fingerprint.
    writes
        Tables that it writes.
    views
        Views that it reads; the tables beneath them must be among `reads`.
    sections
        Sections of the settings that it depends on, or single settings of one: 'signals', 'forecast.horizon'.
    depends
        Returns what else the result depends on, such as parts of the request, as a value that JSON can hold. None says
        that only running the stage can tell, so that it is never skipped. It never talks to the network.
    replaces
        Whether its result takes the place of the result before, so that only the newest can be used again. The results
        of a stage whose rows carry their run are all kept.
    idle
        Returns why there is nothing to do, in a sentence, or None. It is asked of a stage that `depends` says only
        running can tell about; if there is a reason, the stage is skipped, also if it was never done. It never talks
        to the network.
    is_intact
        Returns whether the result of an earlier, equal run is still there. Rows in the lake always are.
    network
        Whether it talks to the network. All reads of any other stage are one transaction, so that it reads one snapshot
        of the lake; a stage that may wait for an answer reads without a transaction.
    """

    name: str
    compute: Callable[[Context], Result | Iterator[Result]]
    reads: tuple[Table, ...] = ()
    past: tuple[Table, ...] = ()
    writes: tuple[Table, ...] = ()
    views: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    depends: Callable[[Context], Any] = field(default=lambda _: "")
    replaces: bool = False
    idle: Callable[[Context], str | None] = field(default=lambda _: None)
    is_intact: Callable[[Context, str], bool] = field(default=lambda *_: True)
    network: bool = False


@dataclass(frozen=True)
class Context:
    """All that a stage can see."""

    stage: Stage
    lake: Lake
    """Only for the methods of this class: a stage reads through them, so that what it reads is what it declares."""
    settings: Settings
    workspace: Workspace
    request: Request
    run_id: str
    snapshot: int
    """Snapshot of the lake that the stage reads."""
    outputs: Mapping[str, str]
    """For each earlier stage of the run, the run whose rows stand as its result."""
    producers: Mapping[str, tuple[str, ...]]
    """For each table, the earlier stages of the run that write it."""
    workers: Workers
    """Workers that compute chunks of tickers."""
    model: ModelOfRun
    """The language model, which the first stage that asks it loads."""
    code_hash: str
    """Hash of the stage's code, settings and libraries."""
    previous_code_hash: str | None
    """That of the last time the stage was done; None if it never was."""
    progress: Callable[[int, int], None]
    """Called with how much is done, of how much."""
    notify: Callable[[str], None]
    """Called with a line that the user should read."""
    fingerprint: str | None = None
    """Hash of all that the stage's result depends on; None if only running it can tell."""
    frames: Mapping[str, pl.DataFrame] = field(default_factory=lambda: MappingProxyType({}))
    """Frames to read in the place of tables, by the tables' names: what a replay of past dates computed."""

    def read(
        self,
        table: Table,
        where: str = "true",
        parameters: Sequence[object] = (),
        *,
        among: Mapping[str, Sequence[str]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return a table's rows at the context's snapshot, in the order of its key; see `Lake.read`.

        Raises
        ------
        UndeclaredAccessError
            The stage does not declare that it reads the table.
        """
        self._check_declared({table.qualified})
        source = self.frames.get(table.qualified)
        at = self.snapshot if source is None else None
        return self.lake.read(table, where, parameters, among=among, columns=columns, at=at, source=source)

    def read_outputs(self, table: Table, where: str = "true", parameters: Sequence[object] = ()) -> pl.DataFrame:
        """Return the rows of a table that stand as the results of the run's earlier stages.

        Parameters
        ----------
        table
            A table whose rows carry their run.
        where, parameters
            A further condition, and the values of its `?`.
        """
        if table.qualified in self.frames:
            return self.read(table, where, parameters)
        by_stage = "stage" in table.polars_schema
        conditions, values = ["false"], []
        for stage in self.producers.get(table.qualified, ()):
            conditions.append("(run_id = ? AND stage = ?)" if by_stage else "run_id = ?")
            values += [self.outputs[stage], stage] if by_stage else [self.outputs[stage]]
        return self.read(table, f"({' OR '.join(conditions)}) AND ({where})", [*values, *parameters])

    def query(self, sql: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> pl.DataFrame:
        """Return the result of a query over declared tables and views; see `Lake.query`."""
        self._check_query(sql, frames)
        return self.lake.query(sql, parameters, **frames)

    @contextmanager
    def once(self, views: Mapping[str, str]) -> Iterator[Callable[[str, Sequence[object]], pl.DataFrame]]:
        """Compute rows of views once for several queries over declared tables and views; see `Lake.once`."""
        for select in views.values():
            self._check_query(select, {})
        with self.lake.once(views) as run:

            def query(sql: str, parameters: Sequence[object] = ()) -> pl.DataFrame:
                self._check_query(sql, {})
                return run(sql, parameters)

            yield query

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return the small result of a query over declared tables and views as dictionaries; see `Lake.rows`."""
        self._check_query(sql, {})
        return self.lake.rows(sql, parameters)

    def known_rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return what `rows` returns, from memory if an earlier stage has asked the same; see `Lake.known_rows`."""
        self._check_query(sql, {})
        return self.lake.known_rows(sql, parameters)

    def stamp(self, frame: pl.DataFrame, *, cutoff: date | None = None) -> pl.DataFrame:
        """Return the frame with the columns that every derived row carries.

        Parameters
        ----------
        cutoff
            Last date whose data the rows may depend on; None where the frame has such a column of its own.
        """
        import polars as pl

        stamps = {"run_id": pl.lit(self.run_id), "snapshot_id": pl.lit(self.snapshot, pl.Int64)}
        if cutoff is not None:
            stamps["cutoff"] = pl.lit(cutoff, pl.Date)
        return frame.with_columns(**stamps)

    def spool(self, table: Table) -> Spool:
        """Return an empty collection of rows for a table that may become too large for memory."""
        return Spool(table, self.spool_folder)

    @property
    def spool_folder(self) -> Path:
        """Folder for rows on their way to the lake."""
        return self.workspace.spool / self.stage.name

    def _check_query(self, sql: str, frames: Mapping[str, pl.DataFrame]) -> None:
        names = self.lake.tables_read_by(sql) - frames.keys()
        self._check_declared(names)
        undeclared = sorted(self.lake.views_read_by(sql) - set(self.stage.views))
        if undeclared:
            raise UndeclaredAccessError(f"Stage {self.stage.name} reads view {undeclared[0]} and does not declare it.")
        replayed = sorted(names & self.frames.keys() & self.producers.keys())
        if replayed:
            raise UndeclaredAccessError(
                f"Stage {self.stage.name} queries {replayed[0]} in SQL, which a replay of past dates cannot redirect."
            )

    def _check_declared(self, names: set[str]) -> None:
        declared = {table.qualified for table in (*self.stage.reads, *self.stage.past, *self.stage.writes)}
        undeclared = sorted(names - declared)
        if undeclared:
            raise UndeclaredAccessError(f"Stage {self.stage.name} reads {undeclared[0]} and does not declare it.")
