"""Compare the tickers of an import with those that differ from them in their spelling only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pm.sources.ticker_spellings import other_spellings

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["OtherSpelling", "find_other_spellings"]

_TICKERS = """
SELECT b.ticker, max(own.batch_id) AS batch_id
FROM bars AS b LEFT JOIN (SELECT batch_id FROM raw.batches WHERE run_id = ?) AS own ON own.batch_id = b.batch_id
GROUP BY b.ticker
"""
"""Query for each ticker that has bars, with the newest batch of an import that its bars come from; null if none."""
_COMPARED = """
SELECT count(*) AS common, count(*) FILTER (abs(a.close - b.close) <= 1e-6 * greatest(a.close, b.close)) AS equal
FROM bars AS a JOIN bars AS b ON a.date = b.date
WHERE a.ticker = ? AND b.ticker = ?
"""
"""Query for the number of dates on which two tickers have bars, and of those on which their closes are equal."""


@dataclass(frozen=True)
class OtherSpelling:
    """A ticker that was imported, and a known one that can be the same share.

    Attributes
    ----------
    imported, known
        The two tickers.
    common, equal
        Number of dates on which both have bars, and of those on which their closes are equal.
    file
        File of the imported ticker's newest bars, if it has no other ticker; else None.
    """

    imported: str
    known: str
    common: int
    equal: int
    file: Path | None


def find_other_spellings(lake: Lake, run_id: str, *, limit: int) -> tuple[list[OtherSpelling], int]:
    """Return the first tickers of an import that can be another spelling of a known one, and the number of all.

    Parameters
    ----------
    run_id
        The run that landed the files.
    limit
        Maximum number of tickers to compare.
    """
    batches = {row["ticker"]: row["batch_id"] for row in lake.rows(_TICKERS, [run_id])}
    found = other_spellings({ticker for ticker, batch_id in batches.items() if batch_id is not None}, batches)
    compared = [
        OtherSpelling(
            imported,
            known,
            **lake.rows(_COMPARED, [imported, known])[0],
            file=_file_of_one_ticker(lake, batches[imported]),
        )
        for imported, known in list(found.items())[:limit]
    ]
    return compared, len(found)


def _file_of_one_ticker(lake: Lake, batch_id: str) -> Path | None:
    batch = lake.select_rows("raw.batches", columns=("path", "tickers"), batch_id=batch_id)[0]
    path = Path(batch["path"])
    return path if batch["tickers"] == 1 and path.is_file() else None  # what is in an archive is no file
