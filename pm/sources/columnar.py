"""Read Parquet files, a record batch at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from pm.errors import InputError
from pm.sources.refusal import quoted, words_of
from pm.sources.text_file import reading

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

__all__ = ["ParquetFile", "open_parquet"]

_BATCH_ROWS = 100_000
"""Largest number of rows in a frame."""
_MAGIC = b"PAR1"
"""First bytes of every Parquet file."""


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file whose footer has been read.

    Attributes
    ----------
    path
        The file.
    header
        Names of the columns.
    """

    path: Path
    header: tuple[str, ...]

    def __str__(self) -> str:
        """Return the name of the file for messages."""
        return str(self.path)

    def pieces(self, places: Mapping[str, int]) -> Generator[pl.DataFrame]:
        """Yield frames of the rows, in the file's order and with its types.

        Parameters
        ----------
        places
            Name of a column in the frames, and the column's position in the header, from 0.

        Raises
        ------
        InputError
            The file is damaged, or has a type that cannot be read.
        """
        import pyarrow as pa  # these two take 0.1 s to import
        from pyarrow import parquet

        wanted = [self.header[place] for place in sorted(set(places.values()))]
        with reading(self.path):
            try:
                with pa.OSFile(str(self.path)) as source, parquet.ParquetFile(source) as file:
                    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                        frame = cast("pl.DataFrame", pl.from_arrow(_without_wide_decimals(batch)))
                        yield frame.select(pl.col(self.header[place]).alias(name) for name, place in places.items())
            except (pa.ArrowException, UnicodeError) as error:
                raise _damaged(self.path, error) from None
            except pl.exceptions.PolarsError as error:  # of a type that polars lacks, such as an unknown time zone
                raise InputError(
                    f"A column cannot be read: {words_of(error)}.", where=str(self.path), hint="convert the column"
                ) from None

    def place_of(self, index: int) -> str:
        """Return the name of a row for error messages; `index` counts from 0."""
        return f"{self.path}, row {index + 1}"


def open_parquet(path: Path) -> ParquetFile:
    """Read a Parquet file's footer.

    Raises
    ------
    InputError
        The file is not Parquet, is damaged, has no rows, or has two columns of the same name.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with reading(path):
        with path.open("rb") as stream:
            magic = stream.read(len(_MAGIC))
        if not magic:
            raise InputError("The file is empty.", where=str(path), hint="check how it was exported")
        if magic != _MAGIC:
            raise InputError(
                "The name of the file ends in .parquet, but it is not Parquet.",
                where=str(path),
                hint="if it is text, let its name end in .csv",
            )
        try:
            # Of a damaged file, ParquetFile(path) would leave the file open, which Windows then does not let go.
            with pa.OSFile(str(path)) as source, parquet.ParquetFile(source) as file:
                header = tuple(file.schema_arrow.names)
                rows = file.metadata.num_rows
        except (pa.ArrowException, UnicodeError) as error:
            raise _damaged(path, error) from None
    if rows == 0:
        raise InputError("The file has columns and no rows.", where=str(path), hint="check how it was exported")
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise InputError(f"Two columns are called {quoted(repeated[0])}.", where=str(path), hint="rename one of them")
    return ParquetFile(path=path, header=header)


def _without_wide_decimals(batch: Any) -> Any:  # noqa: ANN401 - pyarrow is imported where it is used
    """Return a record batch with decimal numbers of at most 38 digits, of which alone polars has a type."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_decimal256(kind):
            try:
                columns.append(column.cast(pa.decimal128(38, kind.scale)))
            except pa.ArrowInvalid:  # a number of more digits
                columns.append(column.cast(pa.float64()))
        else:
            columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"The file is damaged or incomplete: {words_of(error)}.", where=str(path), hint="download it again"
    )
