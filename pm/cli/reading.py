"""Commands that read: sql, tables, signals, forecast, quarantine, runs."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pm.cli.state import open_reader, open_workspace
from pm.errors import InputError, QueryError, UnknownTickerError, did_you_mean
from pm.tables.pipeline import RUNS

__all__ = ["register", "runs_app"]

runs_app = typer.Typer(help="List runs, or show one.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (sql, tables, signals, forecast, quarantine):
        app.command(command.__name__)(command)


def sql(
    query: Annotated[str, typer.Argument(help="One statement that reads; '-' for standard input.")],
    form: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write instead of printing.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="See the lake as it was: a date (its end, UTC) or a snapshot's number.")
    ] = None,
) -> None:
    """Ask the lake in SQL. It can read the lake's tables and views, and nothing else."""
    from pm.cli.show import Format, show_frame, write_frame
    from pm.lake.console import Console

    if form not in set(Format):
        raise typer.BadParameter(f"{form!r} is none of {', '.join(Format)}", param_hint="--format")
    workspace, _ = open_workspace()
    at = _snapshot(as_of) if as_of is not None else None
    with Console(workspace.lake, at=at) as console:
        frame = console.query(sys.stdin.read() if query == "-" else query)
    kind = Format(form)
    if kind is Format.TABLE:
        if output is not None:
            kind = Format(output.suffix.lstrip(".")) if output.suffix.lstrip(".") in set(Format) else Format.CSV
            write_frame(frame, kind, output)
        else:
            show_frame(frame)
    else:
        write_frame(frame, kind, output)


def _snapshot(moment: str) -> int:
    try:
        when: int | date = int(moment) if moment.isdigit() else date.fromisoformat(moment)
    except ValueError:
        raise InputError(
            f"{moment!r} is neither a date nor a snapshot.", where="--as-of", hint="write 2026-01-31, or 42"
        ) from None
    with open_reader() as lake:
        return lake.snapshot_at(when)


def tables(
    name: Annotated[str | None, typer.Argument(help="A table or view, to see its columns.", show_default=False)] = None,
) -> None:
    """List the lake's tables and views, or the columns of one."""
    from pm.cli.show import say, show_frame

    with open_reader() as lake:
        described = lake.query(
            "SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name AS name, "
            "'table' AS kind, comment FROM duckdb_tables() WHERE database_name = 'lake' UNION ALL "
            "SELECT view_name, 'view', comment FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal "
            "ORDER BY kind, name"
        )
        if name is None:
            show_frame(described)
            return
        if name not in described["name"].to_list():
            raise QueryError(
                f"There is no table or view {name!r}.{did_you_mean(name, described['name'])}",
                where=str(lake.root),
                hint="list them with `pm tables`",
            )
        say(dict(described.select("name", "comment").iter_rows())[name], "")
        show_frame(
            lake.query(
                "SELECT column_name AS column, type, comment FROM dictionary WHERE table_name = ? ORDER BY position",
                [name],
            )
        )


def signals(
    run: Annotated[str | None, typer.Option(help="Of this run; the newest unless named.")] = None,
) -> None:
    """Show the newest signals."""
    from pm.cli.show import show_signals

    with open_reader() as lake:
        show_signals(lake, run_id=run)


def forecast(
    ticker: Annotated[str, typer.Argument(help="The ticker.")],
    model: Annotated[str, typer.Option(help="Whose forecast.")] = "ensemble",
) -> None:
    """Show a ticker's newest forecast: the price's quantiles on each session, and the weights behind it."""
    from pm.cli.show import say, show_frame
    from pm.price_format import price_specification

    with open_reader() as lake:
        known = lake.query("SELECT DISTINCT ticker, model FROM latest_forecasts")
        tickers = set(known["ticker"])
        if ticker not in tickers:
            reasons = lake.query("SELECT detail FROM latest_exclusions WHERE ticker = ?", [ticker])["detail"].to_list()
            if reasons:
                say(f"{ticker} was not forecast: {'; '.join(reasons)}")
                return
            raise UnknownTickerError.from_missing([ticker], tickers, where="the newest run's forecasts")
        models = known.filter(known["ticker"] == ticker)["model"].to_list()
        if model not in models:
            raise InputError(
                f"{ticker} has no forecast by {model!r}.{did_you_mean(model, models)}",
                where="--model",
                hint=f"use one of: {', '.join(sorted(models))}",
            )
        path = lake.query(
            "SELECT target_date, mean, q05, q10, q25, q50, q75, q90, q95, sigma, origin_date, origin_close "
            "FROM latest_forecasts WHERE ticker = ? AND model = ? ORDER BY step",
            [ticker, model],
        )
        origin = path.row(0, named=True)
        price = price_specification(origin["origin_close"])
        show_frame(
            path.drop("origin_date", "origin_close"),
            formats={name: price for name in path.columns if name.startswith("q") or name == "mean"} | {"sigma": ".4f"},
            title=f"{ticker} by {model}, from {origin['origin_close']:{price}} on {origin['origin_date']}",
        )
        say("")
        show_frame(
            lake.query(
                'SELECT model, weight, verdict, relative_rmse AS "RMSE", dm_p_value AS "DM p", '
                'in_confidence_set AS "in 90% set", origins, reason '
                "FROM latest_weights WHERE ticker = ? ORDER BY weight DESC NULLS FIRST, model",
                [ticker],
            ),
            formats={"weight": ".1%", "RMSE": ".3f", "DM p": ".3f"},
            title="Weights, and errors over naive's",
        )


def quarantine(
    ticker: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows refused by this rule.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 50,
) -> None:
    """Show refused rows: how many by each rule, and the rows themselves."""
    from pm.cli.show import say, show_frame

    where = "(? IS NULL OR ticker = ?) AND (? IS NULL OR list_contains(string_split(rule, ','), ?))"
    values = [ticker, ticker, rule, rule]
    with open_reader() as lake:
        counts = lake.query(
            f"SELECT rule, count(*) AS rows, count(DISTINCT ticker) AS tickers FROM quarantine WHERE {where} "  # noqa: S608 - a constant
            "GROUP BY rule ORDER BY rows DESC, rule",
            values,
        )
        if counts.is_empty():
            say("No row was refused." if values == [None] * 4 else "No such row was refused.")
            return
        show_frame(counts, formats={"rows": ",d", "tickers": ",d"})
        say("")
        show_frame(
            lake.query(
                f"SELECT ticker, date, rule, batch_id, row, original FROM quarantine WHERE {where} "  # noqa: S608 - a constant
                "ORDER BY batch_id DESC, row LIMIT ?",
                [*values, limit],
            )
        )


@runs_app.callback()
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Runs to list, the newest.")] = 20,
) -> None:
    """List runs, the newest first; `pm runs show RUN` shows one."""
    if context.invoked_subcommand is not None:
        return
    from pm.cli.show import show_frame
    from pm.pipeline.lock import is_locked

    with open_reader() as lake:
        listed = lake.query(
            "SELECT run_id, kind, CASE WHEN status = 'running' AND NOT ? THEN 'cut off' ELSE status END AS status, "
            "round(epoch(finished_at - started_at), 1) AS seconds, "
            "source, tickers, as_of, attempts, split_part(error, chr(10), 1) AS error "
            "FROM runs ORDER BY started_at DESC, run_id DESC LIMIT ?",
            [is_locked(lake.root), limit],
        )
    show_frame(listed.drop(name for name in ("tickers", "error") if listed[name].is_null().all()))


@runs_app.command("show")
def show(run_id: Annotated[str, typer.Argument(help="The run.")]) -> None:
    """Show a run: what it was asked, and each of its stages."""
    from pm.cli.show import say, show_frame

    with open_reader() as lake:
        known = lake.query("SELECT run_id FROM runs")["run_id"].to_list()
        if run_id not in known:
            raise InputError(
                f"There is no run {run_id!r}.{did_you_mean(run_id, known)}",
                where="table runs",
                hint="list them with `pm runs`",
            )
        for name, value in lake.read(RUNS, "run_id = ?", [run_id]).drop("settings").row(0, named=True).items():
            if value is not None:
                say(f"{name:<12} {value}")
        say("")
        show_frame(
            lake.query(
                "SELECT stage, attempt, status, seconds, rows, peak_memory_mb, snapshot_id, output_run_id, summary, "
                "error FROM stage_events WHERE run_id = ? ORDER BY attempt, finished_at",
                [run_id],
            ),
            formats={"seconds": ".2f", "rows": ",d", "peak_memory_mb": ",.0f"},
        )
