"""Options that several commands have."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import typer

from pm.cli.completion import complete_tickers

__all__ = [
    "CATALOG_HELP",
    "DATA_HELP",
    "ENDPOINT_HELP",
    "REGION_HELP",
    "Address",
    "AsOf",
    "DecimalSign",
    "Engine",
    "Jobs",
    "NoWait",
    "Source",
    "Tickers",
    "Zone",
    "parse_ticker",
    "parse_tickers",
]

CATALOG_HELP = (
    "PostgreSQL database of a lake that machines share: postgres://USER@HOST:PORT/DATABASE, without a password."
)
DATA_HELP = "Data of such a lake: s3://BUCKET/FOLDER, or a folder that all of the machines see under the same path."
ENDPOINT_HELP = "Address of an object store other than Amazon's."
REGION_HELP = "Region of the bucket, if it is not that of the AWS profile or environment."

AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        formats=["%Y-%m-%d"],
        help="Date to take as today: later bars are ignored. [default: the date of the last bar]",
    ),
]


class DecimalSeparator(StrEnum):
    """The decimal separator of numbers in a file."""

    POINT = "point"
    COMMA = "comma"

    @property
    def sign(self) -> Literal[".", ","]:
        """Return the separator itself."""
        return "." if self is DecimalSeparator.POINT else ","


DecimalSign = Annotated[
    DecimalSeparator | None,
    typer.Option("--decimal", help="Decimal separator of the files. [default: found by their numbers]"),
]
Engine = Annotated[
    str | None,
    typer.Option(metavar="ENGINE", help="Engine of parallel work: local, dask or ray. [default: setting run.engine]"),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Address of a running Dask or Ray cluster. [default: setting run.address]"),
]
Jobs = Annotated[
    int, typer.Option(metavar="N", min=0, help="Number of parallel processes; 0 takes the setting run.jobs.")
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="Zone of times that name none, such as America/New_York or UTC. [default: such times are refused]",
    ),
]

NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait",
        help="End at once if another process is writing to the lake, instead of waiting until it has finished.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Use only tickers whose bars come from this source: sample or files. [default: the watch list]",
    ),
]
Tickers = Annotated[
    str | None,
    typer.Option(
        metavar="TICKERS",
        help="Comma-separated tickers to use, such as AAPL,IBM. [default: the watch list]",
        autocompletion=complete_tickers,
    ),
]


def parse_ticker(ticker: str | None) -> str | None:
    """Return the ticker that a user gives to all rows of a file, without the spaces around it; None for none.

    Raises
    ------
    typer.BadParameter
        It is empty, as that of a variable that is not set; or no list of tickers, or no line of a table, could have it.
    """
    if ticker is None:
        return None
    name = ticker.strip()
    if not name:
        raise typer.BadParameter("the ticker is empty; name it, as --ticker AAPL", param_hint="--ticker")
    if "," in name:
        raise typer.BadParameter(
            f"{name!r} has a comma, which separates tickers; name one ticker", param_hint="--ticker"
        )
    if not name.isprintable():
        raise typer.BadParameter(f"{name!r} has a character that cannot be shown", param_hint="--ticker")
    return name


def parse_tickers(tickers: str | None) -> tuple[str, ...] | None:
    """Return the tickers of a comma-separated list, sorted and without repetitions; None for no list.

    Raises
    ------
    typer.BadParameter
        The list is empty.
    """
    if tickers is None:
        return None
    names = tuple(sorted({name.strip() for name in tickers.split(",") if name.strip()}))
    if not names:
        raise typer.BadParameter("name at least one ticker", param_hint="--tickers")
    return names
