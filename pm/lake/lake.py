"""The lake as the rest of the system sees it: frames out, frames in, one commit at a time."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb
import polars as pl

from pm.errors import LakeError
from pm.lake.binding import execute, quote
from pm.lake.connection import CATALOG, DATA, attach, connect, retried, translated
from pm.lake.schema import create_schemas, is_current, lacking, migrate, read_views
from pm.lake.transaction import Transaction, query
from pm.resources import sql_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from pm.settings import LakeSettings
    from pm.tables.declaration import Table

__all__ = ["Lake", "utc_now"]

Result = TypeVar("Result")

# How a commit of rows is named in DuckLake's list of changes. Comments and views change no rows.
_ROW_CHANGES = ("tables_inserted_into", "tables_deleted_from", "inlined_insert", "inlined_delete")

# Marks the commits of maintenance, which move rows from file to file: DuckLake lists some as deletions.
_MAINTENANCE = '{"maintenance": true}'


def utc_now() -> datetime:
    """Give the present moment in UTC, without a zone, as the lake stores times."""
    return datetime.now(UTC).replace(tzinfo=None)


class Lake:
    """An open lake.

    Parameters
    ----------
    root
        The workspace's lake folder; made if it is not there and the lake is opened for writing.
    settings
        How often to try a commit again, and how long to keep snapshots.
    tables
        The tables that the lake has, by their names as SQL writes them.
    read_only
        Refuse writes. Readers are never blocked by a writer, nor block it.
    at
        See the lake as it was at this snapshot (only with `read_only`).
    views
        Folders of a workspace's own views, created after the packaged ones.

    Raises
    ------
    LakeError
        The catalog is damaged, or there is none and the lake was to be opened for reading.
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
        views: Sequence[Path] = (),
    ) -> None:
        self.root = root
        self.settings = settings
        self.tables = tables
        self._versions: tuple[int, dict[str, int]] | None = None
        if read_only and not (root / CATALOG).is_file():
            raise LakeError("There is no lake here yet.", where=str(root), hint="make one with `pm run` or `pm import`")
        if not read_only:
            with translated(root):
                (root / DATA).mkdir(parents=True, exist_ok=True)
        self._connection = connect()
        retried(lambda: attach(self._connection, root, read_only=read_only, at=at), settings)
        if not read_only:
            self._bring_up_to_date(views)
        elif at is None:  # a past snapshot may well be of an older version
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
                f"This lake was made by an older version: it has no {missing[0]}.",
                where=str(self.root),
                hint="bring it up to date: any command that writes does, such as `pm run`",
            )

    def _bring_up_to_date(self, folders: Sequence[Path]) -> None:
        views = read_views([sql_dir(), *folders])
        with translated(self.root):
            if is_current(self._connection, self._declared, views):
                return

        def lay() -> None:
            with translated(self.root):
                create_schemas(self._connection, self._declared)

        def bring_up() -> None:
            with translated(self.root):
                migrate(self._connection, self._declared, views)

        retried(lay, self.settings)
        self._commit("schema", "{}", bring_up)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        self._connection.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> pl.DataFrame:
        """Run a query and give its result.

        Parameters
        ----------
        sql
            A SELECT; `?` takes the parameters in order.
        frames
            Frames that the query may name like tables.
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
        columns: Sequence[str] = ("*",),
        at: int | None = None,
        source: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Return a table's rows, in the order of its key.

        Parameters
        ----------
        table
            The table.
        where, parameters
            Condition, and the values of its `?`.
        among
            For some columns of texts, the values whose rows are wanted.
        columns
            Columns to return; all of them by default.
        at
            Snapshot to read; the newest by default.
        source
            A frame to read in the place of the table's rows.
        """
        rows = table.qualified if at is None else f"{table.qualified} AT (VERSION => {at:d})"
        order = ", ".join(f'"{key}"' for key in table.key)
        values = list(parameters)
        for column, wanted in (among or {}).items():
            # The bounds let DuckDB skip the files and row groups that hold none of them.
            where = f"({where}) AND {column} BETWEEN ? AND ? AND {column} IN (SELECT unnest(?::VARCHAR[]))"
            values += [min(wanted, default=""), max(wanted, default=""), list(wanted)]
        if source is not None:
            rows = "source"
        sql = f"SELECT {', '.join(columns)} FROM {rows} WHERE {where} ORDER BY {order}"  # noqa: S608 - declared names
        return self.query(sql, values, **({} if source is None else {"source": source}))

    # merged from h_data
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
        """Return the rows of a table or view whose columns have the given values, as a frame."""
        return self.query(*_selection(name, columns, order, descending, limit, equal))

    # merged from h_data
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
        """Return the rows of a table or view whose columns have the given values, without making a frame."""
        return self.rows(*_selection(name, columns, order, descending, limit, equal))

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Give a small result as plain rows; no frame is made, and nothing imported to make one."""
        with translated(self.root):
            result = execute(self._connection, sql, parameters)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def scalar(self, sql: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - any SQL value
        """Give the first value of the first row, or None where there is none; no frame is made."""
        with translated(self.root):
            row = execute(self._connection, sql, parameters).fetchone()
        return row[0] if row else None

    # -- snapshots ---------------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> int:
        """The newest snapshot."""
        return int(self.scalar("SELECT id FROM lake.current_snapshot()"))

    def snapshots(self) -> pl.DataFrame:
        """Give every snapshot kept: snapshot_id, snapshot_time (UTC), author, message, and the tables it changed."""
        frame = self.query(
            "SELECT snapshot_id, snapshot_time::TIMESTAMP AS snapshot_time, author, commit_message AS message, "
            "changes::VARCHAR AS changes FROM lake.snapshots() ORDER BY snapshot_id"
        )
        names = {str(number): name for name, number in self.table_ids().items()}
        return frame.with_columns(
            pl.col("changes").map_elements(lambda text: _named(text, names), return_dtype=pl.String)
        )

    def snapshot_at(self, moment: int | date | datetime) -> int:
        """Give the snapshot that was the newest at a moment.

        Parameters
        ----------
        moment
            A snapshot's number; a UTC time; or a date, meaning its end.

        Raises
        ------
        LakeError
            There was no lake yet, or the number is not that of a snapshot kept.
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
                f"No snapshot {moment}." if isinstance(moment, int) else f"There was no lake on {moment}.",
                where=str(self.root),
                hint=f"the oldest is of {first:%Y-%m-%d %H:%M} UTC; list them with `pm lake snapshots`",
            )
        return int(found)

    def versions(self, names: Iterable[str]) -> dict[str, int]:
        """Give, for each table, the snapshot that last changed its rows; 0 for one that never had any."""
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

    def view_definitions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the SQL of views by name."""
        rows = self.rows("SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal")
        known = {row["view_name"]: row["sql"] for row in rows}
        return {name: known[name] for name in names}

    def tables_read_by(self, sql: str) -> set[str]:
        """Return the names of the tables and views that a statement reads, as SQL writes them.

        Frames that the statement names like tables are among them.
        """
        with translated(self.root):
            names = self._connection.get_table_names(sql, qualified=True)
        return {name.removeprefix("lake.").removeprefix("main.") for name in names}

    def table_ids(self) -> dict[str, int]:
        """Give the catalog's number of each table."""
        rows = self._fetch(
            "SELECT s.schema_name, t.table_name, t.table_id FROM __ducklake_metadata_lake.ducklake_table t "
            "JOIN __ducklake_metadata_lake.ducklake_schema s USING (schema_id) "
            "WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL"
        )
        return {name if schema == "main" else f"{schema}.{name}": int(number) for schema, name, number in rows}

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        with translated(self.root):
            return self._connection.execute(sql).fetchall()

    def maintain(self, statement: str) -> None:
        """Run one of DuckLake's maintenance calls, as a commit that changes no rows."""
        self._commit("compact", _MAINTENANCE, lambda: self._fetch(statement))

    # -- writing -----------------------------------------------------------------------------------------------------

    def commit(
        self, message: str, work: Callable[[Transaction], Result], *, run_id: str = "", stage: str = ""
    ) -> Result:
        """Run a piece of writing as one commit: all of it becomes visible at once, or none.

        Parameters
        ----------
        message
            What the commit is, for `pm lake snapshots`.
        work
            Takes the transaction and writes. It is run again from its start when the catalog was locked, so it must
            not consume anything that cannot be read twice.
        run_id, stage
            Named in the commit, so that every snapshot can be traced to what made it.

        Raises
        ------
        LakeBusyError, StorageError, LakeError
            The commit did not happen; the lake is as it was.
        """
        extra = json.dumps({"run_id": run_id, "stage": stage}) if run_id else "{}"

        return self._commit(
            f"{run_id} {message}".strip(), extra, lambda: work(Transaction(self._connection, self.root))
        )

    def _commit(self, message: str, extra: str, work: Callable[[], Result]) -> Result:
        note = f"CALL lake.set_commit_message('pm', {quote(message)}, extra_info => {quote(extra)})"
        return retried(lambda: self._atomically(work, note), self.settings)

    def _atomically(self, work: Callable[[], Result], note: str) -> Result:
        with translated(self.root):
            self._connection.execute("BEGIN")
        try:
            result = work()  # an error of its own, such as a file it cannot read, is not the lake's
            with translated(self.root):
                self._connection.execute(note)
                self._connection.execute("COMMIT")
        except BaseException:
            # A failed COMMIT has already rolled back; there may be nothing left to undo.
            try:
                self._connection.execute("ROLLBACK")
            except duckdb.Error as nothing_left:
                if "no transaction" not in str(nothing_left).lower():
                    raise
            raise
        return result


# merged from h_data
def _selection(
    name: str,
    columns: Sequence[str] | None,
    order: Sequence[str],
    descending: Collection[str],
    limit: int | None,
    equal: Mapping[str, object],
) -> tuple[str, list[object]]:
    listed = "*" if columns is None else ", ".join(f'"{column}"' for column in columns)
    conditions, values = ["true"], []
    for column, value in equal.items():
        among = isinstance(value, list)
        conditions.append(f'"{column}" IN (SELECT unnest(?))' if among else f'"{column}" IS NOT DISTINCT FROM ?')
        values.append(value)
    sql = f"SELECT {listed} FROM {name} WHERE {' AND '.join(conditions)}"  # noqa: S608 - names from the code
    keys = ", ".join(f'"{column}" {"DESC" if column in descending else "ASC"} NULLS LAST' for column in order)
    sql += f" ORDER BY {keys}" if keys else ""
    return sql + (f" LIMIT {limit:d}" if limit is not None else ""), values


def _named(changes: str, names: dict[str, str]) -> str:
    """Replace the numbers of tables in DuckLake's list of changes by their names."""
    parts = []
    for part in changes.strip("{}").split("], "):
        kind, _, items = part.partition("=")
        listed = [names.get(item.strip(), item.strip()) for item in items.strip("[]").split(",") if item.strip()]
        shown = ", ".join(listed) if len(listed) <= 6 else f"{len(listed)}"
        parts.append(f"{kind.replace('_', ' ')}: {shown}")
    return "; ".join(parts)
