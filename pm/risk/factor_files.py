"""Read published factor returns: Ken French's CSV files, and the monthly file that package `arch` brings."""

from __future__ import annotations

import gzip
import re
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from pm.errors import InputError

__all__ = ["RISK_FREE", "default_factors", "parse_factors", "read_factors"]

RISK_FREE = "RF"
"""Name of the column of the risk-free rate."""
_MONTH = re.compile(r"^\s*(\d{4})(\d{2})\s*$")
_MISSING = frozenset({-99.99, -999.0})
"""Values that stand for a missing return."""


def default_factors() -> pl.DataFrame:
    """Return the monthly Fama-French factors of package `arch`, 1926-07 to 2018-11; see `parse_factors`.

    The file is read, not `arch.data.frenchdata.load`, which misreads its dates under pandas 2.3.

    Raises
    ------
    InputError
        The package does not have the file.
    """
    package = find_spec("arch")  # importing it would take a second
    assert package is not None  # noqa: S101 - a dependency
    assert package.origin is not None  # noqa: S101 - it has an __init__.py
    file = Path(package.origin).parent / "data" / "frenchdata" / "frenchdata.csv.gz"
    if not file.is_file():
        raise InputError(
            "Package arch does not have the file of Fama-French factors.", where=str(file),
            hint="name a file of your own as risk.factor_file in config/risk.yml",
        )  # fmt: skip
    return parse_factors(gzip.decompress(file.read_bytes()).decode(), where="package arch, frenchdata.csv.gz")


def read_factors(path: Path) -> pl.DataFrame:
    """Return the monthly factors of a file of Ken French's data library; see `parse_factors`.

    Raises
    ------
    InputError
        The file cannot be read, or has no monthly factors.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(
            f"The file of factors cannot be read: {error.strerror}.", where=f"risk.factor_file: {path}",
            hint="correct the path in config/risk.yml, or set it to null for the default factors",
        ) from error  # fmt: skip
    return parse_factors(text, where=str(path))


def parse_factors(text: str, *, where: str) -> pl.DataFrame:
    """Return the monthly rows of a CSV of factor returns in percent.

    Lines before the header, a table of years below, and notes are passed over, as Ken French's files have them. Rows
    with a value that stands for a missing one (−99.99, −999) are left out.

    Parameters
    ----------
    text
        The file: a header line that begins with a comma or with "Date", then lines YYYYMM,value,value…
    where
        Name of the file, for messages.

    Returns
    -------
    pl.DataFrame
        Columns month (its first day), factor, value (as a fraction: 2% is 0.02), by factor and month.

    Raises
    ------
    InputError
        There is no header, no monthly row, or a value that is not a number.
    """
    names: list[str] = []
    rows: list[tuple[date, str, float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        month = _MONTH.match(cells[0])
        if month is None:
            if rows:
                break  # what follows is a table of years, or a note
            if len(cells) > 1 and cells[0].lower() in {"", "date"} and any(cells[1:]):
                names = [cell for cell in cells[1:] if cell]
            continue
        if not names or not 1 <= int(month[2]) <= 12:
            continue
        try:
            values = [float(cell) for cell in cells[1 : len(names) + 1]]
        except ValueError:
            values = []
        if len(values) != len(names):
            raise InputError(
                f"Line {number} does not have {len(names)} numbers: {line[:80]!r}.", where=where,
                hint="give a CSV file of monthly factors of Ken French's data library",
            )  # fmt: skip
        if not _MISSING & set(values):
            day = date(int(month[1]), int(month[2]), 1)
            rows += [(day, name, value / 100.0) for name, value in zip(names, values, strict=True)]
    if not rows:
        raise InputError(
            "There are no monthly factor returns.", where=where,
            hint="give a CSV file of monthly factors of Ken French's data library (lines YYYYMM,value,…)",
        )  # fmt: skip
    schema = {"month": pl.Date, "factor": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("factor", "month")
