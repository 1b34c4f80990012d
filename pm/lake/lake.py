"""The lake as the rest of the system sees it: read and write polars frames, one commit at a time."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb

from pm.errors import LakeError, did_you_mean
from pm.lake.binding import execute, identifier, quote
from pm.lake.connection import CATALOG, DATA, attach, connect, no_lake, retried, translated
from pm.lake.reads import sources_of
from pm.lake.schema import create_schemas, is_current, lacking, migrate, read_views
from pm.lake.select import Selection, polars_frame
from pm.lake.transaction import Transaction, query
from pm.tables.lake import DICTIONARY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import polars as pl

    from pm.settings import LakeSettings
    from pm.tables.declaration import Table

__all__ = ["Lake"]

Result = TypeVar("Result")

_ROW_CHANGES = ("tables_inserted_into", "tables_deleted_from", "inlined_insert", "inlined_delete")
"""Names of the changes of rows in DuckLake's list of changes; all other changes are of comments, views and types."""

_MAINTENANCE = '{"maintenance": true}'
"""Mark of the commits of maintenance, which move rows between files: DuckLake lists some of them as deletions."""

_TABLES_LISTED = 6
"""Largest number of tables that the list of snapshots names for one change; of more it shows their number."""


class Lake:
    """An open lake.

    Parameters
    ----------
    root
        The workspace's lake folder. It is created if it does not exist and the lake is opened for writing.
    settings
        Number of attempts of a commit, and age at which snapshots are forgotten.
    tables
        The tables of the lake by their name as SQL writes it, such as 'raw.rows'. Missing ones are created when the
        lake is opened for writing. Table `dictionary`, which the lake fills itself, is added.
    read_only
        Refuse writes. Readers are never blocked by a writer, and do not block it.
    at
        Snapshot at which to read the whole lake (only with `read_only`); the newest by default.
    views
        Folders of SQL files, a view each; see `pm.lake.schema.View`. Opened for writing, the lake is given exactly
        these views. By default its views are left as they are.

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
    ) -> None:
        self.root = root
        self.settings = settings
        self.tables = {**tables, DICTIONARY.qualified: DICTIONARY}
        self._versions: tuple[int, dict[str, int]] | None = None
        self._sources: dict[str, set[str]] = {}
        self._is_reading = False
        if read_only and not (root / CATALOG).is_file():
            raise no_lake(root)
        if not read_only:
            with translated(root):
                (root / DATA).mkdir(parents=True, exist_ok=True)
        self._connection = connect(threads=settings.threads)
        retried(lambda: attach(self._connection, root, read_only=read_only, at=at), settings)
        if not read_only:
            self._bring_up_to_date(views)
        elif at is None:  # a past snapshot can be of an older version
            self._refuse_an_older_version()

    @property
    def _declared(self) -> list[Table]:
        return list(self.tables.values())

    def _refuse_an_older_version(self) -> None:
        with translated(self.root):
            missing = lacking(self._connection, self._declared)
        if missing:
            self.close()
            raise LakeError(
                f"An older version made this lake: it has no {missing[0]}.",
                where=str(self.root),
                hint="bring it up to date with any command that writes, such as `pm run`",
            )

    def _bring_up_to_date(self, folders: Sequence[Path] | None) -> None:
        views = None if folders is None else read_views(folders)
        with translated(self.root):
            if is_current(self._connection, self._declared, views):
                return

        def create() -> None:
            with translated(self.root):
                create_schemas(self._connection, self._declared)

        def bring_up() -> None:
            with translated(self.root):
                migrate(self._connection, self._declared, views)

        retried(create, self.settings)
        self._commit("schema", "{}", bring_up)

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
        with translated(self.root):
            self._connection.execute("BEGIN")
        self._is_reading = True
        try:
            yield
        finally:
            self._is_reading = False
            with translated(self.root):
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
        with translated(self.root):
            return query(self._connection, sql, parameters, frames)

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
            self._require(selection.name, [*self.tables, *self._views()], "table or view", str(self.root))
        with translated(self.root):
            try:
                result = execute(self._connection, *selection.statement())
            except duckdb.BinderException:
                described = self._connection.execute(f"DESCRIBE {selection.relation}").fetchall()
                for column in sorted(selection.named):
                    self._require(column, [row[0] for row in described], "column", f"{selection.name} in {self.root}")
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
        with translated(self.root):
            result = execute(self._connection, sql, parameters)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def scalar(self, sql: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - any SQL value
        """Return the first value of the first row, or None if there are no rows."""
        with translated(self.root):
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
        declared = {name.lower(): name for name in self.tables}
        definitions: dict[str, str] | None = None
        tables: set[str] = set()
        views: set[str] = set()
        waiting = [sql]
        with translated(self.root):
            while waiting:
                for name in self._sources_of(waiting.pop()):
                    if name.lower() in declared:
                        tables.add(declared[name.lower()])
                        continue
                    definitions = self._views() if definitions is None else definitions
                    view = next((known for known in definitions if known.lower() == name.lower()), None)
                    if view is None:
                        tables.add(name)
                    elif view not in views:
                        views.add(view)
                        waiting.append(definitions[view])
        return tables, views

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
            self._require(name, known, "view", str(self.root))
        return {name: known[name] for name in wanted}

    def _views(self) -> dict[str, str]:
        """Return the SELECT of each view."""
        statements = self._fetch(
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal"
        )
        return {name: statement.partition(" AS ")[2].rstrip(";") for name, statement in statements}

    # -- snapshots ---------------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> int:
        """The newest snapshot."""
        return int(self.scalar("SELECT id FROM lake.current_snapshot()"))

    def snapshots(self) -> pl.DataFrame:
        """Return every snapshot kept: snapshot_id, snapshot_time (UTC), author, message, and changes by table."""
        import polars as pl

        frame = self.query(
            "SELECT snapshot_id, snapshot_time::TIMESTAMP AS snapshot_time, author, commit_message AS message, "
            "changes::VARCHAR AS changes FROM lake.snapshots() ORDER BY snapshot_id"
        )
        names = {str(number): name for name, number in self.table_ids().items()}
        return frame.with_columns(
            pl.col("changes").map_elements(lambda text: _named(text, names), return_dtype=pl.String)
        )

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
        if isinstance(moment, int):
            found = self.scalar("SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_id = ?", [moment])
        else:
            end = (
                moment
                if isinstance(moment, datetime)
                else datetime.combine(moment + timedelta(days=1), datetime.min.time())
            )
            found = self.scalar(
                "SELECT max(snapshot_id) FROM lake.snapshots() WHERE snapshot_time::TIMESTAMP < ?", [end]
            )
        if found is None:
            first = self.scalar("SELECT min(snapshot_time)::TIMESTAMP FROM lake.snapshots()")
            raise LakeError(
                f"There is no snapshot {moment}." if isinstance(moment, int) else f"There was no lake on {moment}.",
                where=str(self.root),
                hint=f"the oldest is of {first:%Y-%m-%d %H:%M} UTC; list the snapshots with `pm lake snapshots`",
            )
        return int(found)

    def versions(self, names: Iterable[str]) -> dict[str, int]:
        """Return, for each table, the snapshot that last changed its rows; 0 for a table that never had any."""
        newest = self.snapshot
        if self._versions is None or self._versions[0] != newest:
            self._versions = newest, self._last_changes()
        return {name: self._versions[1][name] for name in names}

    def _last_changes(self) -> dict[str, int]:
        last: dict[str, int] = {}
        rows = self.rows("SELECT snapshot_id, changes, commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id")
        for snapshot, changes, extra in (row.values() for row in rows):
            for kind in _ROW_CHANGES if extra != _MAINTENANCE else ():
                last.update(dict.fromkeys(changes.get(kind, ()), int(snapshot)))
        return {name: last.get(str(number), 0) for name, number in self.table_ids().items()}

    def table_ids(self) -> dict[str, int]:
        """Return the number by which the catalog knows each table."""
        rows = self._fetch(
            "SELECT s.schema_name, t.table_name, t.table_id FROM __ducklake_metadata_lake.ducklake_table t "
            "JOIN __ducklake_metadata_lake.ducklake_schema s USING (schema_id) "
            "WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL"
        )
        return {name if schema == "main" else f"{schema}.{name}": int(number) for schema, name, number in rows}

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        with translated(self.root):
            return self._connection.execute(sql).fetchall()

    # -- writing -----------------------------------------------------------------------------------------------------

    def maintain(self, statement: str) -> None:
        """Run one of DuckLake's maintenance calls, as a commit that changes no rows."""
        self._commit("compact", _MAINTENANCE, lambda: self._fetch(statement))

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
            f"{run_id} {message}".strip(), extra, lambda: work(Transaction(self._connection, self.root))
        )

    def _commit(self, message: str, extra: str, work: Callable[[], Result]) -> Result:
        note = f"CALL lake.set_commit_message('pm', {quote(message)}, extra_info => {quote(extra)})"
        return retried(lambda: self._atomically(work, note), self.settings)

    def _atomically(self, work: Callable[[], Result], note: str) -> Result:
        if self._is_reading:
            raise RuntimeError("Nothing can be committed while the lake is being read.")
        with translated(self.root):
            self._connection.execute("BEGIN")
        try:
            result = work()  # an error of its own, such as a file it cannot read, is not the lake's
            with translated(self.root):
                self._connection.execute(note)
                self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return result

    def _roll_back(self) -> None:
        """End the transaction; a failed COMMIT has ended it already."""
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error as error:
            if "no transaction" not in str(error).lower():
                raise


def _named(changes: str, names: dict[str, str]) -> str:
    """Replace the numbers of tables in DuckLake's list of changes by their names."""
    parts = []
    for part in changes.strip("{}").split("], "):
        kind, _, items = part.partition("=")
        listed = [names.get(item.strip(), item.strip()) for item in items.strip("[]").split(",") if item.strip()]
        shown = ", ".join(listed) if len(listed) <= _TABLES_LISTED else f"{len(listed)}"
        parts.append(f"{kind.replace('_', ' ')}: {shown}")
    return "; ".join(parts)
