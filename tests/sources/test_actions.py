from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import InputError
from pm.sources import actions_of, inspect_file, read_file
from pm.sources.actions import split_ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[str, str | bytes], Path]
    BarsOf = Callable[[Path], pl.DataFrame]

CASES = Path(__file__).with_name("cases")


def test_the_split_column_of_a_file_of_raw_prices_is_read() -> None:
    plan = inspect_file(CASES / "zipline-split-column" / "AAPL.csv")
    assert actions_of(plan).rows() == [("AAPL", date(2024, 2, 13), "split", 1.5, "files")]
    assert plan.ignored == ()
    assert (plan.columns["split"], plan.columns["dividend"]) == ("split", "dividend")


@pytest.mark.parametrize(
    ("split", "dividend"),
    [
        ("Stock Splits", "Dividends"),
        ("split_coefficient", "dividend_amount"),
        ("splitFactor", "divCash"),
        ("Split Ratio", "Ex-Dividend"),
    ],
)
def test_vendors_names_of_splits_and_dividends(write: Write, split: str, dividend: str) -> None:
    rows = f"date,close,{dividend},{split}\n2020-01-02,10,0.0,1.0\n2020-01-03,5,0.24,2:1\n2020-01-06,5,,0\n"
    found = actions_of(inspect_file(write("A.csv", rows)))
    assert set(found.rows()) == {
        ("A", date(2020, 1, 3), "split", 2.0, "files"),
        ("A", date(2020, 1, 3), "dividend", 0.24, "files"),
    }


def test_actions_of_several_tickers_and_of_those_wanted(write: Write) -> None:
    path = write("x.csv", "symbol;date;close;split\nA;02.01.2020;1,5;3/2\nB;02.01.2020;2,5;0,1\nB;03.01.2020;2,5;\n")
    day = date(2020, 1, 2)
    assert actions_of(inspect_file(path)).rows() == [
        ("A", day, "split", 1.5, "files"),
        ("B", day, "split", 0.1, "files"),
    ]
    assert actions_of(inspect_file(path, tickers=["B"]))["ticker"].to_list() == ["B"]
    assert actions_of(inspect_file(write("C.csv", "date,close\n2020-01-02,5\n"))).is_empty()


def test_ratios_in_their_spellings() -> None:
    told = {"4:1": 4.0, "3/2": 1.5, "1-for-10": 0.1, "5 for 4": 1.25, "2.0": 2.0, "4:0": None, "two": None, "": None}
    assert {text: split_ratio(text) for text in told} == told


def test_what_is_no_split_is_refused_with_its_line(write: Write) -> None:
    path = write("A.csv", "date,close,split\n2020-01-02,5,1\n2020-01-03,5,soon\n")
    with pytest.raises(InputError, match="'soon' in column 'split' is no split") as caught:
        actions_of(inspect_file(path))
    assert caught.value.where == f"{path}, line 3"


PAGE = (
    "Date\tOpen\tHigh\tLow\tClose Close price adjusted for splits.\tAdj Close Adjusted close price adjusted for splits "
    "and dividend and/or capital gain distributions.\tVolume\n"
    "Feb 12, 2024\t188.42\t188.67\t184.79\t187.15\t186.46\t41,781,900\n"
    "Feb 9, 2024\t0.24 Dividend\n"
    "Feb 9, 2024\t188.65\t189.99\t188.00\t188.85\t188.15\t45,155,200\n"
    "Aug 31, 2020\t4:1 Stock Splits\n"
    "Aug 31, 2020\t127.58\t131.00\t126.00\t129.04\t126.35\t225,702,700\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_page_copied_from_yahoo(write: Write, encoding: str) -> None:
    rows = PAGE.splitlines()
    wide = [rows[0], *(line + "\t" * (6 - line.count("\t")) for line in rows[1:])]
    quoted = ["\t".join(f'"{cell}"' for cell in line.split("\t")).replace("\t", ",") for line in wide]
    for lines in (rows, wide, quoted):
        plan = inspect_file(write("AAPL.csv", "\n".join(lines).encode(encoding)))
        bars = pl.concat(read_file(plan))
        assert bars.select("date", "close", "adj_close", "volume").rows() == [
            (date(2024, 2, 12), 187.15, 186.46, 41_781_900.0),
            (date(2024, 2, 9), 188.85, 188.15, 45_155_200.0),
            (date(2020, 8, 31), 129.04, 126.35, 225_702_700.0),
        ]
        assert actions_of(plan).rows() == [
            ("AAPL", date(2024, 2, 9), "dividend", 0.24, "files"),
            ("AAPL", date(2020, 8, 31), "split", 4.0, "files"),
        ]


def test_an_error_in_a_page_with_actions_names_its_line(write: Write) -> None:
    path = write("AAPL.csv", PAGE.replace("127.58", "soon"))
    with pytest.raises(InputError, match="'soon' in column 'Open' is not a number") as caught:
        list(read_file(inspect_file(path)))
    assert caught.value.where == f"{path}, line 6"
    path = write("AAPL.csv", PAGE.replace("0.24 Dividend", "0.24 Surprise"))
    with pytest.raises(InputError, match="A row has 2 fields, the header has 7") as caught:
        list(read_file(inspect_file(path)))
    assert caught.value.where == f"{path}, line 3"


def test_a_page_copied_from_yahoo_ends_with_its_footnotes(write: Write, bars_of: BarsOf) -> None:
    text = (
        "Date,Open,High,Low,Close*,Adj Close**,Volume\n"
        '"Feb 9, 2024",188.65,189.99,188.00,188.85,188.85,"45,155,200"\n"Feb 9, 2024",0.24 Dividend\n'
        '"Feb 8, 2024",189.39,189.54,187.35,188.32,188.08,"40,962,000"\n'
        "*Close price adjusted for splits.\n"
        "**Adjusted close price adjusted for splits and dividend and/or capital gain distributions.\n"
    )
    path = write("AAPL.csv", text)
    assert bars_of(path)["close"].to_list() == [188.85, 188.32]
    assert actions_of(inspect_file(path))["value"].to_list() == [0.24]


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("Ex-Dividend", ["2024-02-01", ""]), ("Split", ["No", "Yes"]), ("Dividend", ["0.5%", "0.5%"]),
        ("Dividends", ["quarterly", "n/a"]),
    ],
)  # fmt: skip
def test_a_column_that_holds_no_amounts_is_no_column_of_actions(
    header: str, cells: list[str], write: Write, bars_of: BarsOf
) -> None:
    path = write("A.csv", f"Date,Close,{header}\n2024-01-02,5,{cells[0]}\n2024-01-03,6,{cells[1]}\n")
    plan = inspect_file(path)
    assert plan.ignored == (header,)
    assert actions_of(plan).is_empty()
    assert bars_of(path)["close"].to_list() == [5.0, 6.0]
