from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pm.errors import InputError
from pm.sources import inspect_file, read_file

if TYPE_CHECKING:
    from collections.abc import Callable

    BarsOf = Callable[[Path], pl.DataFrame]

DAY = date(2020, 1, 2)
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    "dates",
    [
        pl.Series([DAY]),
        pl.Series([datetime(2020, 1, 2, 23, 59)]),  # noqa: DTZ001 - a time without a zone is what is tested
        # midnight in Tokyo is the day before in UTC
        pl.Series([datetime(2020, 1, 2, tzinfo=TOKYO)], dtype=pl.Datetime("ns", "Asia/Tokyo")),
        pl.Series([datetime(2020, 1, 2, 0, 30, tzinfo=UTC)], dtype=pl.Datetime("ms", "UTC")),
        pl.Series(["2020-01-02"]),
        pl.Series([20200102]),
        pl.Series([20200102.0]),
        pl.Series([1577923200]),
        pl.Series([1577923200000]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_dates_are_read_from_every_type(tmp_path: Path, bars_of: BarsOf, dates: pl.Series) -> None:
    path = tmp_path / "A.parquet"
    pl.DataFrame({"Date": dates, "Close": [5.0]}).write_parquet(path)
    assert bars_of(path).select("date", "close").rows() == [(DAY, 5.0)]


@pytest.mark.parametrize(
    "closes",
    [
        pl.Series([5]),
        pl.Series([5.0], dtype=pl.Float32),
        pl.Series([Decimal("5.00")]),
        pl.Series(["5"]),
        pl.Series(["$5.00"]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_numbers_are_read_from_every_type(tmp_path: Path, bars_of: BarsOf, closes: pl.Series) -> None:
    path = tmp_path / "x.parquet"
    tickers = pl.Series(["A"], dtype=pl.Categorical)
    pl.DataFrame({"symbol": tickers, "date": [DAY], "close": closes, "volume": [None]}).write_parquet(path)
    assert bars_of(path).select("ticker", "close", "volume").rows() == [("A", 5.0, None)]


def test_nan_is_read_unchanged(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "A.parquet"
    pl.DataFrame({"date": [DAY, DAY], "close": [float("nan"), float("inf")]}).write_parquet(path)
    assert bars_of(path)["close"].is_finite().to_list() == [False, False]


def test_rows_are_numbered_across_pieces(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "A.parquet"
    dates = ["2020-01-02"] * 250_000
    dates[234_566] = "2020-02-30"
    pl.DataFrame({"date": dates, "close": 5.0}).write_parquet(path, row_group_size=50_000)
    with pytest.raises(InputError, match="'2020-02-30'") as caught:
        bars_of(path)
    assert caught.value.where.endswith("row 234567")


def test_a_row_without_a_date_is_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "A.parquet"
    pl.DataFrame({"date": [DAY, None], "close": [5.0, 6.0]}).write_parquet(path)
    with pytest.raises(InputError, match="no date") as caught:
        bars_of(path)
    assert caught.value.where.endswith("row 2")


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("close", [True], "numbers"),
        ("date", [True], "dates"),
        ("ticker", [b"A"], "text"),
        ("close", [[1.0]], "numbers"),
    ],
)
def test_a_column_of_an_unsuitable_type_is_refused(
    tmp_path: Path, bars_of: BarsOf, column: str, values: list[object], kind: str
) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"ticker": ["A"], "date": [DAY], "close": [5.0]} | {column: values}).write_parquet(path)
    with pytest.raises(InputError, match=f"Column '{column}' holds .*, not {kind}"):
        bars_of(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "is empty"), (b"ticker,date,close\n", "not Parquet"), (b"PAR1 and then nothing", "damaged or incomplete")],
)
def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path, bars_of: BarsOf, content: bytes, what: str) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        bars_of(path)


def test_a_damaged_page_is_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "A.parquet"
    closes = [float(value) for value in range(10_000)]
    pl.DataFrame({"date": [DAY] * 10_000, "close": closes}).write_parquet(path, compression="zstd", statistics=False)
    content = bytearray(path.read_bytes())
    content[100:2_000] = b"\xff" * 1_900
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or incomplete"):
        bars_of(path)


def test_a_file_without_rows_is_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "A.parquet"
    pl.DataFrame(schema={"date": pl.Date, "close": pl.Float64}).write_parquet(path)
    with pytest.raises(InputError, match="no rows"):
        bars_of(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "A.parquet"
    pq.write_table(
        pa.table([pa.array([DAY]), pa.array([1.0]), pa.array([2.0])], names=["date", "close", "close"]), path
    )
    with pytest.raises(InputError, match="Two columns are called 'close'"):
        bars_of(path)


def test_the_index_of_pandas_is_read_as_the_date(tmp_path: Path, bars_of: BarsOf) -> None:
    import pandas as pd

    path = tmp_path / "A.parquet"
    pd.DataFrame({"Close": [5.0]}, index=pd.DatetimeIndex(["2020-01-02"])).to_parquet(path)
    assert bars_of(path).select("date", "close").rows() == [(DAY, 5.0)]


def test_an_unknown_time_zone_is_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    moments = pa.array([0, 86_400_000_000], pa.timestamp("us", "Mars/Base"))
    pq.write_table(pa.table({"date": moments, "close": [1.0, 2.0]}), tmp_path / "A.parquet")
    with pytest.raises(InputError, match="Mars/Base"):
        bars_of(tmp_path / "A.parquet")


def test_a_damaged_file_is_not_left_open(tmp_path: Path) -> None:
    file = tmp_path / "A.parquet"
    pl.DataFrame({"date": [DAY] * 999, "close": [1.0] * 999}).write_parquet(file)
    good = file.read_bytes()
    errors = []  # and what they hold
    for place in (len(good) - 12, len(good) // 2, 8):
        file.write_bytes(good[:place] + bytes(40) + good[place + 40 :])
        try:
            list(read_file(inspect_file(file)))
        except InputError as error:
            errors.append(error)
        assert file.name not in {Path(opened.path).name for opened in psutil.Process().open_files()}
    assert errors
