"""The lake as the rest of the system sees it: read and write polars frames, one commit at a time."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb

from pm.errors import LakeError, did_you_mean
from pm.lake import snapshots
from pm.lake.binding import execute, identifier, quote
from pm.lake.connection import attach, connect, no_lake, refuse_file, retried, translated
from pm.lake.durability import sync_new_lake
from pm.lake.integrity import (
    CatalogFile,
    FileFault,
    catalog_files,
    create_checksums,
    faults_of,
    forget_checksums,
    inline_all_checksums,
    record_checksums,
    recorded_checksums,
    restore_files,
)
from pm.lake.location import LakeLocation
from pm.lake.once import computed_once
from pm.lake.reads import resolved, sources_of
from pm.lake.schema import (
    create_schemas,
    inline_no_raw_rows,
    inline_small_commits,
    is_current,
    lacking,
    migrate,
    read_views,
    tell_empty_tables,
)
from pm.lake.select import Selection, polars_frame
from pm.lake.snapshots import MAINTENANCE
from pm.lake.spill import spill_folder
from pm.lake.store import store_of
from pm.lake.transaction import Transaction, query
from pm.tables.lake import DICTIONARY, FILE_CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path
    from types import TracebackType

    import polars as pl

    from pm.lake.advisory import AdvisoryLock
    from pm.settings import LakeSettings
    from pm.tables.declaration import Table

__all__ = ["Lake"]

Result = TypeVar("Result")


@dataclass
class _Reading:
    """What was asked of the snapshot that is being read, and is not to be asked again."""

    snapshot: int | None = None
    views: dict[str, str] | None = None


class Lake:
    """An open lake.

    Parameters
    ----------
    root
        The workspace's lake folder. It is created if it does not exist and the lake is opened for writing.
    settings
        Where the lake is if it is not in the folder, number of attempts of a commit, and age at which snapshots are
        forgotten.
    tables
        The tables of the lake by their name as SQL writes it, such as 'raw.rows'. Missing ones are created when the
        lake is opened for writing. Tables `dictionary` and `file_checksums`, which the lake fills itself, are added.
    read_only
        Refuse writes. Readers are never blocked by a writer, and do not block it.
    at
        Snapshot at which to read the whole lake (only with `read_only`); the newest by default.
    views
        Folders of SQL files, a view each; see `pm.lake.schema.View`. Opened for writing, the lake is given exactly
        these views. By default its views are left as they are.
    lock
        The right to write to a shared lake. It is proven, or taken, for each commit.

    Raises
    ------
    LakeError
        The catalog is damaged, or there is no lake to read.
    StorageError
        The folder cannot be written.
    """

    def __init__(
        self,
        root: Path,
        settings: LakeSettings,
        tables: Mapping[str, Table],
        *,
        read_only: bool = False,
        at: int | None = None,
        views: Sequence[Path] | None = None,
        lock: AdvisoryLock | None = None,
    ) -> None:
        self.root = root
        self.location = LakeLocation.of(root, settings)
        self.settings = settings
        self._lock = lock
        self.tables = {**tables, **{table.qualified: table for table in (DICTIONARY, FILE_CHECKSUMS)}}
        self._versions: tuple[int, dict[str, int]] | None = None
        self._sources: dict[str, set[str]] = {}
        self._known: dict[tuple[str, str], tuple[dict[str, int], list[dict[str, Any]]]] = {}
        self._reading: _Reading | None = None
        # Opened for writing with its views, the lake has these and no others as long as it is open.
        self._keeps_views = views is not None and not read_only
        self._kept_views: dict[str, str] | None = None
        if read_only and not self.location.is_shared and not self.location.catalog_file.is_file():
            raise no_lake(root)
        if not read_only:
            self._make_place()
        self._connection = connect(self.location, threads=settings.threads)
        self._store = store_of(self.location, self._connection)
        if not read_only:
            with translated(self.location):
                self._store.watch()
        retried(lambda: attach(self._connection, self.location, read_only=read_only, at=at), settings)
        if not read_only:
            self._bring_up_to_date(views)
        elif at is None:  # a past snapshot can be of an older version
            self._refuse_an_older_version()

    def _make_place(self) -> None:
        """Make the folders of the lake, and the schema of a shared one, where they are missing."""
        refuse_file(self.root)
        with translated(self.location):
            if not self.location.is_in_object_store:
                self.location.data_folder.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(parents=True, exist_ok=True)
            if self.location.is_shared:
                from pm.lake.shared import prepare_catalog

                prepare_catalog(self.location)
            elif not self.location.catalog_file.exists():
                sync_new_lake(self.root)

    @property
    def _declared(self) -> list[Table]:
        return list(self.tables.values())

    def _refuse_an_older_version(self) -> None:
        with translated(self.location):
            missing = lacking(self._connection, self._declared)
        if missing:
            self.close()
            raise LakeError(
                f"An older version made this lake: it has no {missing[0]}.",
                where=self.location.where,
                hint="bring it up to date with any command that writes, such as `pm run`",
            )

    def _bring_up_to_date(self, folders: Sequence[Path] | None) -> None:
        views = None if folders is None else read_views(folders)
        with translated(self.location):
            if is_current(self._connection, self._declared, views):
                return

        def create() -> None:
            with self._transaction():
                create_schemas(self._connection, self._declared)
                create_checksums(self._connection)
            with translated(self.location):
                inline_no_raw_rows(self._connection, self._declared)
                inline_all_checksums(self._connection)

        def bring_up() -> None:
            with translated(self.location):
                migrate(self._connection, self._declared, views)

        def complete() -> None:
            with self._transaction():
                tell_empty_tables(self._connection)

        retried(create, self.settings)
        self._commit("schema", "{}", bring_up)
        retried(complete, self.settings)
        with translated(self.location):
            inline_small_commits(self._connection, self._declared)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make the statements of a `with` block one transaction, which is no commit of the lake's own to record."""
        with translated(self.location):
            self._connection.execute("BEGIN")
        try:
            with translated(self.location):
                yield
                self._prove_right_to_write()
                self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what was not committed is lost."""
        self._connection.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read everything inside the `with` block from one snapshot. Nothing can be committed there.

        DuckLake asks its catalog for the newest snapshot once a transaction, so that several reads in one take less
        time than one by one: 4 ms less for each.
        """
        with translated(self.location):
            self._connection.execute("BEGIN")
        self._reading = _Reading()
        try:
            yield
        finally:
            self._reading = None
            with translated(self.location):
                self._roll_back()

    def query(self, sql: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> pl.DataFrame:
        """Run a query and return its result.

        Parameters
        ----------
        sql
            A SELECT.
        parameters
            Values of its `?`, in order.
        frames
            Frames that the query can name like tables.
        """
        with translated(self.location):
            return query(self._connection, self.root, sql, parameters, frames)

    @contextmanager
    def once(self, views: Mapping[str, str]) -> Iterator[Callable[[str, Sequence[object]], pl.DataFrame]]:
        """Compute rows of views once inside a `with` block, and give a function that runs queries on them.

        The function takes what `query` takes, a SELECT and the values of its `?`, and returns its result in any order.
        Where the query reads one of the views, also through other views, it reads the rows that were computed.

        Parameters
        ----------
        views
            View, to the SELECT of those of its rows and columns that the queries read; it can read the views before
            it.
        """
        with translated(self.location):
            definitions = self._views()
            with computed_once(self._connection, views, definitions, self._sources_of) as rewritten:
                yield lambda sql, parameters: self.query(rewritten(sql), parameters)

    def read(
        self,
        table: Table,
        where: str = "true",
        parameters: Sequence[object] = (),
        *,
        among: Mapping[str, Sequence[str]] | None = None,
        columns: Sequence[str] | None = None,
        at: int | None = None,
        source: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Return a table's rows, in the order of its key.

        Parameters
        ----------
        table
            The table.
        where, parameters
            Condition in SQL, and the values of its `?`.
        among
            For some columns of texts, the values whose rows are returned.
        columns
            Columns to return, or expressions of SQL; by default the declared columns that the table has.
        at
            Snapshot to read; the newest by default.
        source
            Frame that is read in place of the table.
        """
        rows = table.qualified if at is None else f"{table.qualified} AT (VERSION => {at:d})"
        order = ", ".join(identifier(key) for key in table.key)
        values = list(parameters)
        for column, wanted in (among or {}).items():
            # The bounds let DuckDB skip the files and row groups that hold none of them.
            where = f"({where}) AND {column} BETWEEN ? AND ? AND {column} IN (SELECT unnest(?::VARCHAR[]))"
            values += [min(wanted, default=""), max(wanted, default=""), list(wanted)]
        if source is not None:
            rows = "source"
        selected = "*" if columns is None else ", ".join(columns)
        sql = f"SELECT {selected} FROM {rows} WHERE {where} ORDER BY {order}"  # noqa: S608 - declared names
        frame = self.query(sql, values, **({} if source is None else {"source": source}))
        if columns is not None:
            return frame
        # A newer version may have added columns to the table, and an older snapshot may lack some.
        return frame.select(name for name in table.polars_schema if name in frame.columns)

    def export(self, table: Table, file: Path) -> None:
        """Write the rows of a table to a Parquet file, in place of one that is there."""
        columns = ", ".join(identifier(name) for name in table.polars_schema)
        with translated(self.location):
            self._connection.execute(
                f"COPY (SELECT {columns} FROM {table.qualified}) TO {quote(str(file))} (FORMAT parquet)"  # noqa: S608 - declared names
            )

    def select(
        self,
        name: str,
        /,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
        descending: Collection[str] = (),
        limit: int | None = None,
        **equal: object,
    ) -> pl.DataFrame:
        """Return the rows of a table or view whose columns have the given values, as a frame of the columns' types.

        Parameters
        ----------
        name
            Table or view, as SQL writes it.
        columns
            Columns to return, in order; all by default.
        order
            Columns to sort by. Missing values come last.
        descending
            Those of `order` that are sorted from high to low.
        limit
            Largest number of rows.
        equal
            Value that a column must have: any of the values of a list; None is a missing value.

        Raises
        ------
        LakeError
            The lake has no table or view, or the table or view has no column, of a given name.
        ValueError
            A column is in `descending` and not in `order`.
        """
        selection = Selection(name, columns, equal, order, tuple(descending), limit)
        described, rows = self._select(selection)
        return polars_frame(described, rows)

    def select_rows(
        self,
        name: str,
        /,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] = (),
        descending: Collection[str] = (),
        limit: int | None = None,
        **equal: object,
    ) -> list[dict[str, Any]]:
        """Return the rows that `select` returns, as dictionaries from column to Python value."""
        selection = Selection(name, columns, equal, order, tuple(descending), limit)
        described, rows = self._select(selection)
        names = [column for column, _ in described]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _select(self, selection: Selection) -> tuple[list[tuple[str, str]], list[tuple[Any, ...]]]:
        if selection.name not in self.tables:
            self._require(selection.name, [*self.tables, *self._views()], "table or view", self.location.where)
        with translated(self.location):
            try:
                result = execute(self._connection, *selection.statement())
            except duckdb.BinderException:
                described = self._connection.execute(f"DESCRIBE {selection.relation}").fetchall()
                for column in sorted(selection.named):
                    self._require(
                        column, [row[0] for row in described], "column", f"{selection.name} in {self.location.where}"
                    )
                raise
            return [(column[0], str(column[1])) for column in result.description or ()], result.fetchall()

    def _require(self, name: str, known: Collection[str], kind: str, where: str) -> None:
        if name not in known:
            raise LakeError(
                f"There is no {kind} {name!r}.{did_you_mean(name, known)}",
                where=where,
                hint="list the tables and views with `pm tables`, and the columns of one with `pm tables NAME`",
            )

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return the rows of a small result as dictionaries, without importing what a frame is made with."""
        with translated(self.location):
            result = execute(self._connection, sql, parameters)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def known_rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return what `rows` returns, without running the query again while the rows of its tables are the same."""
        asked = (sql, repr(parameters))
        versions = self.versions(self.tables_read_by(sql))
        known = self._known.get(asked)
        if known is None or known[0] != versions:
            known = self._known[asked] = versions, self.rows(sql, parameters)
        return [dict(row) for row in known[1]]

    def scalar(self, sql: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - any SQL value
        """Return the first value of the first row, or None if there are no rows."""
        with translated(self.location):
            row = execute(self._connection, sql, parameters).fetchone()
        return row[0] if row else None

    # -- what a statement reads --------------------------------------------------------------------------------------

    def tables_read_by(self, sql: str) -> set[str]:
        """Return the names of the tables that a SELECT reads, without running it.

        - A table is named as in `tables`: 'rows', 'raw.rows'; so is one read at a snapshot, `AT (VERSION => 3)`, or
          by its name in a function, as in `lake.table_changes('rows', 1, 2)`.
        - In place of a view, the tables that the view reads are returned; `views_read_by` returns the view.
        - In place of a common table expression (WITH), the tables that it reads are returned.
        - Anything else keeps its name: a registered frame, a file ('x.parquet'), a table of another catalog
          ('information_schema.tables'), a function that reads neither its arguments alone nor one table
          ('snapshots()'). A caller who knows the tables and frames allowed can refuse the rest.

        Raises
        ------
        ValueError
            The statement is not a SELECT.
        """
        return self._read_by(sql)[0]

    def views_read_by(self, sql: str) -> set[str]:
        """Return the names of the views that a SELECT reads, those that its views read among them.

        Raises
        ------
        ValueError
            The statement is not a SELECT.
        """
        return self._read_by(sql)[1]

    def _read_by(self, sql: str) -> tuple[set[str], set[str]]:
        with translated(self.location):
            return resolved(self._sources_of(sql), self.tables, self._views, self._sources_of)

    def _sources_of(self, sql: str) -> set[str]:
        """Return what a SELECT names; each is parsed once, which takes as long as running a small one."""
        if sql not in self._sources:
            self._sources[sql] = sources_of(self._connection, sql)
        return self._sources[sql]

    def view_definitions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the SELECT of each view named, as DuckDB writes it.

        Raises
        ------
        LakeError
            The lake has no view of this name.
        """
        known = self._views()
        wanted = list(names)
        for name in wanted:
            self._require(name, known, "view", self.location.where)
        return {name: known[name] for name in wanted}

    def _views(self) -> dict[str, str]:
        """Return the SELECT of each view."""
        known = self._kept_views if self._reading is None else self._reading.views or self._kept_views
        if known is not None:
            return known
        statements = self._fetch(
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal"
        )
        views = {name: statement.partition(" AS ")[2].rstrip(";") for name, statement in statements}
        if self._reading is not None:
            self._reading.views = views
        if self._keeps_views:
            self._kept_views = views
        return views

    # -- snapshots ---------------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> int:
        """The newest snapshot, or within `reading` the one that is read."""
        if self._reading is not None and self._reading.snapshot is not None:
            return self._reading.snapshot
        with translated(self.location):
            number = snapshots.newest(self._connection)
        if self._reading is not None:
            self._reading.snapshot = number
        return number

    def snapshots(self) -> pl.DataFrame:
        """Return every snapshot kept: snapshot_id, snapshot_time (UTC), author, message, and changes by table."""
        with translated(self.location):
            return snapshots.listed(self._connection)

    def snapshot_at(self, moment: int | date | datetime) -> int:
        """Return the snapshot that was the newest at a time.

        Parameters
        ----------
        moment
            The number of a snapshot; a time in UTC; or a date, which stands for the end of that day.

        Raises
        ------
        LakeError
            There was no lake yet, or no snapshot of this number is kept.
        """
        with translated(self.location):
            return snapshots.at(self._connection, moment, self.location.where)

    def versions(self, names: Iterable[str]) -> dict[str, int]:
        """Return, for each table, the snapshot that last changed its rows; 0 for a table that never had any."""
        newest = self.snapshot
        if self._versions is None or self._versions[0] != newest:
            with translated(self.location):
                self._versions = newest, snapshots.last_changes(self._connection)
        return {name: self._versions[1][name] for name in names}

    def table_ids(self) -> dict[str, int]:
        """Return the number by which the catalog knows each table."""
        with translated(self.location):
            return snapshots.table_ids(self._connection)

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        with translated(self.location):
            return self._connection.execute(sql).fetchall()

    # -- data files --------------------------------------------------------------------------------------------------

    def files(self, tables: Collection[str] | None = None, *, current: bool = False) -> list[CatalogFile]:
        """Return the data files that the catalog names.

        Parameters
        ----------
        tables
            Tables whose files are returned; all by default.
        current
            Return only files of the newest snapshot, not those that only earlier ones read.
        """
        with translated(self.location):
            found = catalog_files(self._connection)
        return [
            file for file in found if (tables is None or file.table in tables) and (not current or file.end is None)
        ]

    def catalog_tables(self) -> list[str]:
        """Return the names of the catalog's own tables, in which DuckLake keeps what it knows of the lake."""
        if self.location.is_shared:
            names = f"SELECT tablename::text FROM pg_tables WHERE schemaname = {quote(self.location.schema)}"  # noqa: S608 - quoted
            sql = f"FROM postgres_query('__ducklake_metadata_lake', {quote(names)})"
        else:
            sql = f"SELECT name FROM sqlite_scan({quote(str(self.location.catalog_file))}, 'sqlite_master')"  # noqa: S608 - quoted
        return [str(name) for (name,) in self._fetch(sql)]

    def stored_files(self) -> dict[str, int]:
        """Return the sizes in bytes of all Parquet files that are there, by their paths below the data's folder."""
        with translated(self.location):
            return self._store.sizes()

    def verify(
        self,
        files: Collection[CatalogFile],
        *,
        quick: bool = False,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> list[FileFault]:
        """Read data files, and return those that are missing, changed, or without a checksum; see `faults_of`."""
        with translated(self.location):
            return faults_of(self._connection, self._store, files, quick=quick, on_progress=on_progress)

    def record(self, files: Iterable[CatalogFile]) -> None:
        """Record checksums of files, as they are now."""
        paths = [file.path for file in files]
        if paths:
            self._commit("checksums", MAINTENANCE, lambda: record_checksums(self._connection, self._store, paths))

    def restore(self, faults: Iterable[FileFault], backup: Path) -> list[FileFault]:
        """Replace damaged files by the same files of a backup, and return the faults that remain."""
        with translated(self.location):
            return restore_files(self._connection, self._store, faults, backup)

    def forget_checksums(self) -> None:
        """Delete the checksums of files that the catalog no longer names."""
        named = {file.path for file in self.files()}
        with translated(self.location):
            gone = sorted(recorded_checksums(self._connection).keys() - named)
        if gone:
            self._commit("checksums", MAINTENANCE, lambda: forget_checksums(self._connection, gone))

    # -- writing -----------------------------------------------------------------------------------------------------

    def maintain(self, statement: str) -> None:
        """Run one of DuckLake's maintenance calls, as a commit that changes no rows."""
        before = {file.path for file in self.files()}
        self._commit("compact", MAINTENANCE, lambda: self._fetch(statement), record=False)
        # In a commit of their own: DuckLake refuses changes of rows in a transaction that merges files.
        self.record(file for file in self.files() if file.path not in before)

    def rewrite(self, table: Table) -> None:
        """Write all rows of a table to new files, in the order of its key, as a commit that changes no rows.

        Raises
        ------
        LakeError
            Not all rows were written; the lake is unchanged.
        """
        keys = ", ".join(identifier(key) for key in table.key)
        folder = spill_folder(self.location.folder)

        def work() -> None:
            file = quote(str(folder / "rows.parquet"))
            folder.mkdir(exist_ok=True)
            with translated(self.location):
                counts = [
                    self._connection.execute(sql).fetchone()
                    for sql in (
                        f"COPY (FROM {table.qualified} ORDER BY {keys}) TO {file} (FORMAT parquet)",
                        f"DELETE FROM {table.qualified}",  # noqa: S608 - a declared name
                        f"INSERT INTO {table.qualified} BY NAME FROM read_parquet({file})",
                    )
                ]
            if len(set(counts)) > 1:
                raise LakeError(
                    f"Table {table.qualified} could not be written anew: rows read, replaced and written are {counts}.",
                    where=self.location.where,
                    hint="the lake is unchanged; look for damage with `pm lake verify`",
                )

        try:
            self._commit("compact", MAINTENANCE, work)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(
        self, message: str, work: Callable[[Transaction], Result], *, run_id: str = "", stage: str = ""
    ) -> Result:
        """Write as one commit: all of it becomes visible at once, or none.

        Parameters
        ----------
        message
            Description of the commit in the list of snapshots.
        work
            Function that takes the transaction and writes with it. It is called again when the catalog was locked, so
            it must not use up anything that can be read only once.
        run_id, stage
            Run and stage that write; they are stored with the commit.

        Returns
        -------
        Result
            What `work` returned.

        Raises
        ------
        LakeBusyError, StorageError, LakeError
            The commit failed, and the lake is unchanged.
        """
        extra = json.dumps({"run_id": run_id, "stage": stage}) if run_id else "{}"

        return self._commit(
            f"{run_id} {message}".strip(), extra, lambda: work(Transaction(self._connection, self.location))
        )

    def _commit(self, message: str, extra: str, work: Callable[[], Result], *, record: bool = True) -> Result:
        note = f"CALL lake.set_commit_message('pm', {quote(message)}, extra_info => {quote(extra)})"
        return retried(lambda: self._atomically(work, note, record=record), self.settings)

    def _atomically(self, work: Callable[[], Result], note: str, *, record: bool) -> Result:
        if self._reading is not None:
            raise RuntimeError("Nothing can be committed while the lake is being read.")
        self._prove_right_to_write()  # before the work, which would be in vain
        with translated(self.location):
            self._connection.execute("BEGIN")
        try:
            result = work()  # an error of its own, such as a file it cannot read, is not the lake's
            with translated(self.location):
                self._connection.execute(note)
                # The catalog must not name what a power cut could still take away.
                new = self._store.new()
                if record:
                    record_checksums(self._connection, self._store, new)
                self._prove_right_to_write()
                self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return result

    def _prove_right_to_write(self) -> None:
        """Check that this process still holds the lock of a shared lake, if it was opened with it."""
        if self._lock is not None:
            self._lock.prove()

    def _roll_back(self) -> None:
        """End the transaction; a failed COMMIT has ended it already."""
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error as error:
            if "no transaction" not in str(error).lower():
                raise
