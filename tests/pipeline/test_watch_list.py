"""What a run is about: the watch list, a source, or tickers that are named."""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.errors import InputError, SettingsError, SourceError, UnknownTickerError
from pm.pipeline import Request, add_to_universe, open_lake, remove_from_universe
from pm.pipeline.events import Event, Notice
from pm.pipeline.watch_list import run_day, watched_sources
from pm.settings import load_settings
from pm.sources.listings import read_listings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture
def change(settings_with: Callable[..., Any]) -> Callable[..., RunResult]:
    """Change a folder's watch list: `change(folder, add=[…], source=…)`, `change(folder, remove=[…])`."""

    def run(
        folder: Path,
        *,
        add: list[str] | None = None,
        remove: list[str] | None = None,
        source: str | None = None,
        heard: list[Event] | None = None,
    ) -> RunResult:
        workspace, settings = init_workspace(folder), settings_with()
        observer = (heard if heard is not None else []).append
        with open_lake(workspace, settings) as lake:
            if add is not None:
                return add_to_universe(lake, workspace, settings, observer, tickers=add, source=source)
            return remove_from_universe(lake, workspace, settings, lambda _: None, tickers=remove or [])

    return run


@pytest.fixture
def mixed(build_once: Build, tmp_path: Path, stocks: pl.DataFrame, import_files: Run, run_pipeline: Run) -> Path:
    """Return a workspace with files of IBM, of NEW, and of BROKEN, all of whose rows are refused; and the sample."""

    def build(folder: Path) -> None:
        ibm = stocks.filter(pl.col("ticker") == "IBM", pl.col("date") <= date(2012, 6, 29))
        ibm.write_parquet(folder / "ibm.parquet")
        ibm.with_columns(ticker=pl.lit("NEW")).write_parquet(folder / "new.parquet")
        (folder / "BROKEN.csv").write_text("date,close\n2012-06-28,-5\n2012-06-29,0\n")
        import_files(folder, folder / "ibm.parquet", folder / "new.parquet", folder / "BROKEN.csv")
        run_pipeline(folder, upto="check", source="sample")

    return shutil.copytree(build_once("mixed", build), tmp_path / "mixed")


def newest_tickers(folder: Path, ask: Read) -> list[str]:
    return ask(folder, "SELECT DISTINCT ticker FROM latest_forecasts ORDER BY ticker")["ticker"].to_list()


def tickers_of(folder: Path, run: str, ask: Read) -> list[str]:
    forecasts = ask(folder, f"SELECT DISTINCT ticker FROM forecasts WHERE run_id = '{run}' ORDER BY ticker")
    return forecasts["ticker"].to_list()


def test_without_a_watch_list_a_run_is_about_the_imported_files(mixed: Path, run_pipeline: Run, ask: Read) -> None:
    run_pipeline(mixed, upto="forecast")
    assert newest_tickers(mixed, ask) == ["IBM", "NEW"]
    assert ask(mixed, "SELECT as_of, source FROM latest_run").rows() == [(date(2012, 6, 29), None)]
    left_out = ask(mixed, "SELECT ticker, reason, detail FROM latest_exclusions WHERE ticker = 'BROKEN'").rows()
    assert left_out == [("BROKEN", "no_prices", "2 rows, all refused; see pm quarantine")]


def test_a_source_or_tickers_restrict_a_run(mixed: Path, run_pipeline: Run, change: Run, ask: Read) -> None:
    run = run_pipeline(mixed, source="sample", upto="forecast").run_id
    assert tickers_of(mixed, run, ask) == ["AAPL", "FB", "GOOG", "MSFT"]  # IBM's bars come from the files now
    described = f"SELECT as_of, source, scope FROM runs WHERE run_id = '{run}'"
    assert ask(mixed, described).rows() == [(date(2013, 3, 1), "sample", "part")]
    change(mixed, add=["AAPL"], source="sample")
    run = run_pipeline(mixed, tickers=("AAPL", "NEW"), as_of=date(2012, 6, 29), upto="forecast").run_id
    assert tickers_of(mixed, run, ask) == ["AAPL", "NEW"]
    with pytest.raises(UnknownTickerError, match="Unknown ticker: NEW"):
        run_pipeline(mixed, source="sample", tickers=("NEW",))


def test_the_watch_list_decides_and_each_ticker_has_its_own_source(
    mixed: Path, run_pipeline: Run, change: Run, ask: Read
) -> None:
    change(mixed, add=["AAPL"], source="sample")
    change(mixed, add=["NEW"])
    assert ask(mixed, "SELECT ticker, source FROM universe ORDER BY ticker").rows() == [
        ("AAPL", "sample"),
        ("NEW", "files"),
    ]
    run_pipeline(mixed, upto="forecast")
    assert newest_tickers(mixed, ask) == ["AAPL"]
    left_out = ask(mixed, "SELECT ticker, stage, reason FROM latest_exclusions WHERE stage = 'forecast'").rows()
    assert left_out == [("NEW", "forecast", "stale")]  # its last bar is eight months older than AAPL's
    with open_lake(init_workspace(mixed), load_settings()) as lake:
        assert watched_sources(lake.rows, Request()) == ["files", "sample"]
        assert run_day(lake.rows, Request()) == date(2013, 3, 1)
    change(mixed, remove=["AAPL"])
    run_pipeline(mixed, upto="forecast")
    assert newest_tickers(mixed, ask) == ["NEW"]


def test_a_source_restricts_the_watch_list(mixed: Path, change: Run, run_pipeline: Run, ask: Read) -> None:
    change(mixed, add=["AAPL"], source="sample")
    change(mixed, add=["NEW"])
    run = run_pipeline(mixed, source="sample", upto="forecast").run_id
    assert tickers_of(mixed, run, ask) == ["AAPL"]
    change(mixed, remove=["NEW"])
    with pytest.raises(SourceError, match="no usable bars"):
        run_pipeline(mixed, source="files")


def test_the_watch_list_chooses_between_two_sources_of_a_ticker(
    mixed: Path, run_pipeline: Run, change: Run, read_table: Read
) -> None:
    def last_bar() -> date:
        last = read_table(mixed, "bars", "ticker = 'IBM'")["date"].max()
        assert isinstance(last, date)
        return last

    assert last_bar() == date(2012, 6, 29)  # files come first in sources.priority
    change(mixed, add=["IBM"], source="sample")
    run_pipeline(mixed, upto="check")
    assert last_bar() == date(2013, 3, 1)
    refused = read_table(mixed, "quarantine", "ticker = 'IBM'")
    assert set(refused["rule"]) == {"other_source"}


def test_a_watched_ticker_without_bars_is_excluded_by_name(
    mixed: Path, run_pipeline: Run, change: Run, ask: Read
) -> None:
    change(mixed, add=["NEW"])
    change(mixed, add=["NOBODY"], source="sample")
    run_pipeline(mixed, upto="forecast")
    assert newest_tickers(mixed, ask) == ["NEW"]
    left_out = ask(mixed, "SELECT reason, detail FROM latest_exclusions WHERE ticker = 'NOBODY'").rows()
    assert left_out == [("no_prices", "no bars in the lake")]


def test_unknown_tickers_and_sources_are_refused_and_change_nothing(mixed: Path, change: Run, read_table: Read) -> None:
    with pytest.raises(SettingsError, match="Unknown source 'samle'"):
        change(mixed, add=["AAPL"], source="samle")
    with pytest.raises(UnknownTickerError, match="Unknown ticker: AAPL"):
        change(mixed, remove=["AAPL"])
    assert read_table(mixed, "universe").is_empty()


def test_a_ticker_without_bars_goes_to_the_first_vendor_and_the_nearest_known_one_is_named(
    mixed: Path, change: Run, read_table: Read
) -> None:
    heard: list[Event] = []
    change(mixed, add=["AAPL", "AAPLE", "IBM"], heard=heard)
    assert read_table(mixed, "universe").select("ticker", "source").rows() == [
        ("AAPL", "yahoo"),  # the sample has it, and was not asked for
        ("AAPLE", "yahoo"),
        ("IBM", "files"),
    ]
    of_sample, unknown = [event.line for event in heard if isinstance(event, Notice)]
    assert of_sample == "AAPL has only bars of the embedded sample: the next refresh asks 'yahoo' for them."
    assert "'yahoo'" in unknown
    assert "Did you mean 'AAPL'?" in unknown


def test_two_spellings_of_a_ticker_are_one(mixed: Path, change: Run, read_table: Read) -> None:
    change(mixed, add=["BRK.B"])
    change(mixed, add=["BRK-B", "ibm"])
    assert read_table(mixed, "universe").select("ticker", "source").rows() == [("BRK.B", "yahoo"), ("IBM", "files")]
    change(mixed, remove=["brk b"])
    assert read_table(mixed, "universe")["ticker"].to_list() == ["IBM"]


def test_a_file_of_tickers_is_put_on_the_list(mixed: Path, read_table: Read, settings_with: Callable[..., Any]) -> None:
    (mixed / "list.csv").write_text(
        "Symbol;Name;Exchange;symbol_yahoo\nVOD;Vodafone;XLON;VOD.L\n;nobody;;\nIBM;;;\n", encoding="utf-8"
    )
    workspace, settings = init_workspace(mixed), settings_with()
    with open_lake(workspace, settings) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=read_listings(mixed / "list.csv"))
    listed = read_table(mixed, "universe").select("ticker", "source", "name", "exchange", "symbols").rows()
    assert listed == [
        ("IBM", "files", None, None, None),
        ("VOD", "yahoo", "Vodafone", "XLON", '{"yahoo": "VOD.L"}'),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"AAPL\nBRK.B\n\nVOD.L\n", [("AAPL", None), ("BRK.B", None), ("VOD.L", None)]),
        (b"\xef\xbb\xbfAAPL\r\n^GSPC\r\n", [("AAPL", None), ("^GSPC", None)]),
        (b"Symbol\nAAPL\n", [("AAPL", None)]),
        (b"\xef\xbb\xbfTicker,Company\r\nAAPL,Apple\r\n", [("AAPL", "Apple")]),
        ("Ticker,Company\nNESN.SW,Nestl\u00e9\n".encode("cp1252"), [("NESN.SW", "Nestl\u00e9")]),
        ("Ticker\tName\nAAPL\tApple\n".encode("utf-16"), [("AAPL", "Apple")]),
        (b'ticker,name\nAAPL,"Apple, Inc."\nIBM\n', [("AAPL", "Apple, Inc."), ("IBM", None)]),
    ],
)
def test_lists_of_tickers_that_people_have(
    tmp_path: Path, content: bytes, expected: list[tuple[str, str | None]]
) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    assert [(each.ticker, each.name) for each in read_listings(tmp_path / "list.csv")] == expected


def test_a_workbook_of_tickers_is_read(tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    frame = pl.DataFrame({"Symbol": ["IBM", "VOD.L"], "Company Name": ["IBM", "Vodafone"], "Exchange": ["NYSE", "LSE"]})
    frame.write_excel(tmp_path / "list.xlsx", worksheet="mine")
    read = [(each.ticker, each.name, each.exchange) for each in read_listings(tmp_path / "list.xlsx")]
    assert read == [("IBM", "IBM", "XNYS"), ("VOD.L", "Vodafone", "XLON")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nVodafone\n", "no column of tickers"),
        ("AAPL,Apple\nIBM,IBM\n", "no column of tickers"),
        ("ticker\n", "no tickers"),
        ("", "no tickers"),
        ("ticker,exchange\nVOD,XLOM\n", "Unknown exchange 'XLOM'. Did you mean"),
        ("ticker,source\nVOD,yahooo\n", "Unknown source 'yahooo'. Did you mean 'yahoo'"),
        ("ticker,symbol_yaho\nVOD,V\n", "Unknown source 'yaho'"),
    ],
)
def test_a_file_of_tickers_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_listings(tmp_path / "list.csv")
    assert message in caught.value.what
    assert "list.csv" in caught.value.where


def test_what_is_on_the_list_already_is_not_written_again(mixed: Path, change: Run, read_table: Read) -> None:
    change(mixed, add=["NOBODY"], source="sample")
    before = read_table(mixed, "universe")
    change(mixed, add=["NOBODY"])
    change(mixed, add=["NOBODY"], source="sample")
    assert read_table(mixed, "universe").equals(before)
    change(mixed, add=["NOBODY"], source="files")
    assert read_table(mixed, "universe")["source"].to_list() == ["files"]


def test_a_change_of_the_watch_list_is_a_run(mixed: Path, change: Run, ask: Read) -> None:
    result = change(mixed, add=["AAPL"])
    assert ask(mixed, f"SELECT kind, status FROM runs WHERE run_id = '{result.run_id}'").rows() == [
        ("universe", "done")
    ]
    assert ask(mixed, "SELECT run_id FROM universe").rows() == [(result.run_id,)]
