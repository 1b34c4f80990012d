"""Print frames and sentences for a person, or write them for a program."""

from __future__ import annotations

import re
import shutil
import sys
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pm.errors import InputError, StorageError, did_you_mean
from pm.price_format import price_specification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pm.lake import Lake

    Written = str | Callable[[float], str]

__all__ = ["Format", "say", "show_frame", "show_import", "show_signals", "write_frame"]

_NO_CSV = (pl.Duration, pl.Binary, pl.Object)
MAX_ROWS = 1000
_WIDE = 100_000
_PROSE = 30
_ROUND = 1e15
"""From here on a number is written with an exponent: one broken price must not push a table off the screen."""
_TRAILING = re.compile(r" +(\x1b\[0m)?$", re.MULTILINE)
_STYLES = {"BUY": "green", "SELL": "red", "HOLD": "dim", "failed": "red", "abandoned": "yellow"}


class Format(StrEnum):
    """How `pm sql` gives a result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def say(*lines: str) -> None:
    """Print sentences."""
    for line in lines:
        print(line)  # noqa: T201 - this is where the command line prints


def show_frame(frame: pl.DataFrame, *, formats: Mapping[str, Written] | None = None, title: str | None = None) -> None:
    """Print a frame as a table: a line a row, as long as it needs to be; on a terminal, long texts are folded to fit.

    Parameters
    ----------
    formats
        For some columns, how their numbers are written: a format specification such as '.2f', or what gives that of a
        number.
    """
    formats = formats or {}
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    rows = [
        [_cell(value, formats.get(name)) for name, value in zip(frame.columns, row, strict=True)]
        for row in frame.head(MAX_ROWS).iter_rows()
    ]
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _WIDE
    needed = 0
    for place, (name, dtype) in enumerate(frame.schema.items()):
        longest = max((len(line) for row in rows for line in row[place].splitlines()), default=0)
        prose = terminal and dtype == pl.String and longest > _PROSE
        needed += _PROSE if prose else max(longest, len(name))
        table.add_column(
            escape(name), justify="right" if dtype.is_numeric() or dtype == pl.Null else "left", no_wrap=not prose
        )
    gap = 2 if needed + 2 * frame.width <= width else 1
    table.padding = (0, gap, 0, 0)
    for row in rows:
        table.add_row(*row)
    buffer = StringIO()
    width = max(width, needed + gap * frame.width)
    Console(file=buffer, width=width, highlight=False, force_terminal=terminal).print(table)
    say(_TRAILING.sub(r"\1", buffer.getvalue()).rstrip("\n"))
    if frame.height > MAX_ROWS:
        say(f"… {frame.height - MAX_ROWS:,} more rows; ask for fewer, or write them all: pm sql … --format csv -o FILE")


def _cell(value: Any, written: Written | None) -> str:  # noqa: ANN401 - any SQL value
    if value is None:
        return "[dim]–[/dim]"
    if isinstance(value, float) and abs(value) >= _ROUND:
        return f"{value:.7g}"
    if written is not None:
        return format(value, written if isinstance(written, str) else written(value))
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1e7 else f"{value:.7g}"
    text = escape(str(value))
    return f"[{_STYLES[text]}]{text}[/]" if text in _STYLES else text


def write_frame(frame: pl.DataFrame, kind: Format, output: Path | None) -> None:
    """Write a frame as CSV, JSON or Parquet, to a file or to standard output.

    Raises
    ------
    InputError
        Parquet on a terminal, which is not text.
    StorageError
        The file cannot be written; a file that was there is as it was.
    """
    if kind is Format.PARQUET and output is None and sys.stdout.isatty():
        raise InputError("Parquet is not text.", where="--format parquet", hint="name a file: -o FILE")
    if output is None:
        sys.stdout.buffer.write(_encoded(frame, kind))
        sys.stdout.buffer.flush()
        return
    draft = output.with_name(f".{output.name}.part")
    try:
        draft.write_bytes(_encoded(frame, kind))
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(
            f"The result cannot be written: {error.strerror}.", where=str(output), hint="choose another -o FILE"
        ) from error


def _encoded(frame: pl.DataFrame, kind: Format) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    if kind is Format.CSV:
        nested = [name for name, dtype in frame.schema.items() if dtype.is_nested() or dtype in _NO_CSV]
        frame.with_columns(_as_text(frame[name]) for name in nested).write_csv(buffer)
    elif kind is Format.JSON:
        # SQL's decimals, such as 1.5, are numbers; Polars would write them as texts.
        frame.with_columns(pl.selectors.decimal().cast(pl.Float64)).write_json(buffer)
        buffer.write(b"\n")
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def _as_text(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None if value is None else str(value) for value in column.to_list()], pl.String)


_SIGNAL_FORMATS: dict[str, Written] = {
    "close": price_specification,
    "expected": "+z.1%",
    "lower": "+z.1%",
    "upper": "+z.1%",
    "P(gain)": ".0%",
    "P(loss)": ".0%",
    "size": ".1%",
    "stop": price_specification,
    "target": price_specification,
}

_SIGNALS = """
SELECT ticker, action, close, expected_return AS expected, lower, upper, probability_gain AS "P(gain)",
       probability_loss AS "P(loss)", size, stop, target, origin_date, target_date, horizon, interval_level
FROM signals WHERE run_id = '{run_id}'
ORDER BY action = 'HOLD', greatest(probability_gain, probability_loss) DESC, ticker
"""


def show_signals(lake: Lake, *, run_id: str | None = None) -> None:
    """Print the signals of a run, the newest unless named, and what was left out.

    Raises
    ------
    InputError
        There is no such run.
    """
    known = [row["run_id"] for row in lake.rows("SELECT run_id FROM runs WHERE kind = 'run' ORDER BY run_id")]
    if run_id is not None and run_id not in known:
        raise InputError(
            f"There is no run {run_id!r}.{did_you_mean(run_id, known)}",
            where="table runs",
            hint="list them with `pm runs`",
        )
    run_id = run_id or lake.scalar("SELECT run_id FROM latest_run")
    if run_id is None:
        say("There are no signals yet; make some with `pm run`.")
        return
    # The run's name is one of the lake's own from here on.
    outputs = {
        row["stage"]: row["output_run_id"]
        for row in lake.rows(f"SELECT stage, output_run_id FROM run_outputs WHERE run_id = '{run_id}'")  # noqa: S608
    }
    signals = pl.DataFrame(lake.rows(_SIGNALS.format(run_id=outputs.get("signals"))), infer_schema_length=None)
    if signals.is_empty():
        say(f"Run {run_id} has no signals.")
    else:
        first = signals.row(0, named=True)
        days = signals["origin_date"].unique()
        day = " to ".join(str(day) for day in sorted({min(days), max(days)}))
        say("")
        show_frame(
            signals.drop("origin_date", "target_date", "horizon", "interval_level"),
            formats=_SIGNAL_FORMATS,
            title=f"Signals of {day}, {first['horizon']} sessions ahead, the {first['interval_level']:.0%} interval",
        )
        say("", "P(gain) and P(loss) are beyond the round trip's costs. A reading of a forecast, not advice.")
        _say_verdicts(lake, outputs.get("forecast"))
    where = " OR ".join(f"(stage = '{stage}' AND run_id = '{output}')" for stage, output in outputs.items())
    left = lake.rows(f"SELECT DISTINCT ticker, detail FROM exclusions WHERE {where or 'false'} ORDER BY ALL")  # noqa: S608
    for row in left[:10]:
        say(f"  {row['ticker']}: {row['detail']}")
    if len(left) > 10:
        say(f"  … {len(left) - 10:,} more: pm sql 'from latest_exclusions'")


def _say_verdicts(lake: Lake, forecast_run_id: str | None) -> None:
    """Say of how many tickers the ensemble knows more than that the price may stay where it is."""
    rows = lake.rows(
        "SELECT ticker, verdict FROM model_weights "  # noqa: S608 - a name of the lake's own
        f"WHERE run_id = '{forecast_run_id}' AND model = 'ensemble' ORDER BY ticker"
    )
    edges = [row["ticker"] for row in rows if row["verdict"] == "edge"]
    if not edges:
        said = f"No edge: on none of {len(rows):,} tickers did the models beat no change beyond chance."
    else:
        named = ", ".join(edges[:8]) + (", …" if len(edges) > 8 else "")
        said = f"Edge over no change, out of sample: {len(edges):,} of {len(rows):,} tickers ({named})."
    say(said)


def show_import(lake: Lake, run_id: str) -> None:
    """Print what became of an import's rows."""
    accounts = lake.query(
        "SELECT a.path, a.landed, a.inserted, a.updated, a.unchanged, a.quarantined "
        "FROM batch_accounts a JOIN raw.batches b USING (batch_id) WHERE b.run_id = ? ORDER BY a.path",
        [run_id],
    )
    if accounts.is_empty():
        say("Nothing new was imported.")
        return
    show_frame(accounts, formats=dict.fromkeys(accounts.columns[1:], ",d"))
    if accounts["quarantined"].sum():
        say("See what was refused, and why: pm quarantine")
    say("Next: pm run")
