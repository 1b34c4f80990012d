"""Read a workspace from a program: bars, forecasts, signals, positions and any query, as polars frames."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from pm.errors import InputError, NoResultsError, UnknownTickerError, WorkspaceError, did_you_mean
from pm.lake import Lake
from pm.lake.console import Console
from pm.lake.limits import QueryLimits
from pm.lake.location import LakeLocation
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import absolute, find_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Moment", "Reader"]

Moment = int | date | datetime
"""A past state of the lake: the number of a snapshot, a date (its end, in UTC), or a time in UTC."""


class Reader:
    """A workspace, open for reading; nothing that it does changes the workspace.

    Every method reads the newest state of the lake, also while a run writes, unless it is told another moment. Use it
    in one thread at a time.

    Parameters
    ----------
    workspace
        Folder of the workspace; by default the current folder or the nearest parent that is one.

    Raises
    ------
    WorkspaceError
        There is no workspace.
    SettingsError
        Its settings are wrong.
    LakeError
        It has no lake yet, or the lake is damaged.

    Examples
    --------
    >>> import pm
    >>> lake = pm.open()
    >>> lake.sql("SELECT count(*) AS bars FROM bars WHERE ticker = 'IBM'")["bars"].item()
    3270
    >>> lake.close()
    """

    def __init__(self, workspace: str | Path | None = None) -> None:
        folder = absolute(Path(workspace) if workspace is not None else Path())
        found = find_workspace(folder, parents=workspace is None)
        if found is None:
            raise WorkspaceError(
                "There is no workspace here.", where=str(folder), hint="make one: pm init, or name another folder"
            )
        self.workspace = found
        self.settings = load_settings(found.config)
        self._location = LakeLocation.of(found.lake, self.settings.lake)
        self._opened = ExitStack()
        self._lakes: dict[int | None, Lake] = {}
        self._lake(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.workspace.root)!r})"

    def close(self) -> None:
        """Close the lake; the frames that were read stay."""
        self._lakes.clear()
        self._opened.close()

    @property
    def lake(self) -> Lake:
        """The lake itself, with its tables and views by name: `lake.select("runs", kind="run")`."""
        return self._lake(None)

    @property
    def snapshot(self) -> int:
        """Number of the newest snapshot of the lake: it changes whenever something was written."""
        return self._lake(None).snapshot

    def sql(self, query: str, *, at: Moment | None = None) -> pl.DataFrame:
        """Return the result of one SQL statement that reads tables and views of the lake.

        The statement can do nothing else, and is ended at the limits of config/lake.yml, as in `pm sql`.

        Parameters
        ----------
        query
            A SELECT or another statement that reads.
        at
            Past state of the lake; the newest by default.

        Raises
        ------
        QueryError
            The statement fails, does more than read, or exceeds a limit.

        Examples
        --------
        >>> import pm
        >>> with pm.open() as lake:
        ...     lake.sql("SELECT ticker, count(*) AS bars FROM bars GROUP BY ticker ORDER BY ticker LIMIT 2").rows()
        [('AAPL', 3270), ('BAD', 1)]
        """
        chosen = self.settings.lake
        limits = QueryLimits(chosen.query_seconds, chosen.query_memory_mb, chosen.query_rows)
        with Console(self._location, at=self._number(at), threads=chosen.threads, limits=limits) as console:
            return console.query(query)

    def bars(
        self,
        tickers: str | Sequence[str] | None = None,
        start: str | date | None = None,
        end: str | date | None = None,
        *,
        adjusted: bool = True,
        at: Moment | None = None,
    ) -> pl.DataFrame:
        """Return daily bars, by ticker and date.

        Parameters
        ----------
        tickers
            Tickers; all by default.
        start, end
            First and last date, as dates or as ISO texts; all by default.
        adjusted
            Return prices adjusted for splits and dividends, comparable over time (view `adjusted_bars`); otherwise as
            traded (table `bars`).
        at
            Past state of the lake: what was known then; the newest by default.

        Raises
        ------
        UnknownTickerError
            There are no bars of a ticker.
        InputError
            A text is no date.

        Examples
        --------
        >>> import pm
        >>> with pm.open() as lake:
        ...     lake.bars("AAPL", "2013-03-01", adjusted=False)["close"].to_list()
        [430.47]
        """
        lake = self._lake(self._number(at))
        named = [tickers] if isinstance(tickers, str) else None if tickers is None else list(tickers)
        if named is not None:
            self._require_bars(lake, named)
        relation = "adjusted_bars" if adjusted else "bars"
        conditions, values = ["true"], list[object]()
        if named is not None:
            conditions.append("ticker IN (SELECT unnest(?::VARCHAR[]))")
            values.append(named)
        for bound, sign in ((start, ">="), (end, "<=")):
            if bound is not None:
                conditions.append(f"date {sign} ?::DATE")
                values.append(_day(bound))
        where = " AND ".join(conditions)
        return lake.query(f"SELECT * FROM {relation} WHERE {where} ORDER BY ticker, date", values)  # noqa: S608 - own words

    def forecasts(
        self,
        tickers: str | Sequence[str] | None = None,
        *,
        run: str | None = None,
        model: str | None = "ensemble",
        at: Moment | None = None,
    ) -> pl.DataFrame:
        """Return forecasts of closes, by ticker, model and step: table `forecasts`.

        Parameters
        ----------
        tickers
            Tickers; all by default.
        run
            Run whose forecasts to return; by default the newest whole run.
        model
            Model; by default the ensemble, which is the forecast to use. None for all models.
        at
            Past state of the lake; the newest by default.

        Raises
        ------
        NoResultsError
            No run is done yet.
        InputError
            There is no run of this name.

        Examples
        --------
        >>> import pm
        >>> with pm.open() as lake:
        ...     lake.forecasts("AAPL").select("step", "origin_close").row(0)
        (1, 430.47)
        """
        found = self._of_run("forecasts", "forecast", run, self._number(at))
        if model is not None:
            found = found.filter(model=model)
        return _of_tickers(found, tickers).sort("ticker", "model", "step")

    def signals(
        self, tickers: str | Sequence[str] | None = None, *, run: str | None = None, at: Moment | None = None
    ) -> pl.DataFrame:
        """Return signals, by ticker: table `signals`.

        Parameters
        ----------
        tickers
            Tickers; all by default.
        run
            Run whose signals to return; by default the newest whole run.
        at
            Past state of the lake; the newest by default.

        Raises
        ------
        NoResultsError
            No run is done yet.
        InputError
            There is no run of this name.

        Examples
        --------
        >>> import pm
        >>> with pm.open() as lake:
        ...     lake.signals()["ticker"].to_list()
        ['AAPL', 'FB', 'GOOG', 'IBM', 'MSFT']
        """
        return _of_tickers(self._of_run("signals", "signals", run, self._number(at)), tickers).sort("ticker")

    def positions(self, account: str | None = None, *, at: Moment | None = None) -> pl.DataFrame:
        """Return what accounts hold at the newest closes, by account and ticker: view `positions`.

        Parameters
        ----------
        account
            Account; all by default.
        at
            Past state of the lake; the newest by default.

        Examples
        --------
        >>> import pm
        >>> with pm.open() as lake:
        ...     lake.positions().height  # there is no account yet
        0
        """
        lake = self._lake(self._number(at))
        found = lake.select("positions", order=("account", "ticker"))
        return found if account is None else found.filter(account=account)

    def _number(self, at: Moment | None) -> int | None:
        return None if at is None else self._lake(None).snapshot_at(at)

    def _lake(self, snapshot: int | None) -> Lake:
        if snapshot not in self._lakes:
            lake = Lake(self.workspace.lake, self.settings.lake, TABLES, read_only=True, at=snapshot)
            self._lakes[snapshot] = self._opened.enter_context(lake)
        return self._lakes[snapshot]

    def _require_bars(self, lake: Lake, tickers: Sequence[str]) -> None:
        known = {str(name) for name in lake.query("SELECT DISTINCT ticker FROM bars")["ticker"]}
        missing = set(tickers) - known
        if missing:
            raise UnknownTickerError.from_missing(missing, known, where="table bars")

    def _of_run(self, table: str, stage: str, run: str | None, snapshot: int | None) -> pl.DataFrame:
        """Return the rows that are the result of a stage of a run."""
        lake = self._lake(snapshot)
        if run is None:
            newest = lake.select_rows("latest_run", columns=("run_id",))
            if not newest:
                raise NoResultsError("There are no results yet: no run is done.", where=repr(self), hint="pm run")
            run = str(newest[0]["run_id"])
        made_by = lake.select_rows("run_outputs", columns=("output_run_id",), run_id=run, stage=stage)
        if not made_by:
            known = lake.select("runs", columns=("run_id",), kind="run")["run_id"].to_list()
            raise InputError(
                f"Run {run!r} has no {table}.{did_you_mean(run, known) if run not in known else ''}",
                where="table runs",
                hint="list the runs with `pm runs`",
            )
        return lake.select(table, run_id=made_by[0]["output_run_id"])


def _of_tickers(frame: pl.DataFrame, tickers: str | Sequence[str] | None) -> pl.DataFrame:
    if tickers is None:
        return frame
    named = [tickers] if isinstance(tickers, str) else list(tickers)
    missing = set(named) - set(frame["ticker"])
    if missing:
        raise UnknownTickerError.from_missing(missing, frame["ticker"].unique(), where="the results of the run")
    return frame.filter(pl.col("ticker").is_in(named))


def _day(day: str | date) -> date:
    if isinstance(day, date):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise InputError(f"{day!r} is no date.", where="start, end", hint="write it as 2013-03-01") from None
