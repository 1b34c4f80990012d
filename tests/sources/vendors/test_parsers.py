"""Whatever a vendor sends: no error but a `VendorError`, and a reply that is taken has all its rows.

A payload is made by spoiling a true one, or of anything that JSON can hold.
"""

from __future__ import annotations

import copy
import csv
import io
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.sources import BARS_SCHEMA, Answer, Ask
from pm.sources.vendors import alpaca, alpha_vantage, finnhub, tiingo
from pm.sources.vendors.problems import VendorError
from pm.sources.vendors.reply import Reply, json_of
from pm.sources.vendors.yahoo_chart import read_chart
from tests.vendor_servers import AlpacaServer, AlphaVantageServer, FinnhubServer, Listing, TiingoServer, YahooServer

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

FIRST, LAST = date(2024, 1, 2), date(2024, 1, 31)
SHARE = Listing.made(
    "AAPL", first=FIRST, last=LAST, splits={date(2024, 1, 10): (4, 1)}, dividends={date(2024, 1, 5): 0.24}
)
ASK = Ask("AAPL", "AAPL", None, date(9999, 12, 30))
"""An ask for all days, so that every row is to be answered."""
TODAY = date(2024, 2, 1)

numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**320),
    st.sampled_from([0, -1, 1e308, -0.0, float("nan"), float("inf"), 253402300800, 1704207600, 2**63, -(2**63)]),
)
texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            " ",
            "12.5",
            "1,000",
            "1_000",
            "NaN",
            "null",
            "-",
            "2024-13-45",
            "2024-01-05",
            "0000-00-00",
            "AAPL",
            "\x00",
        ]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any JSON value
    """Return the paths of all values inside a value."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


@st.composite
def spoilt(draw: st.DrawFn, true: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Draw a true payload in which some values are replaced, removed, doubled, or put in another order."""
    value = copy.deepcopy(true)
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(places(value)))
        if not path:
            value = draw(anything)
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        deed = draw(st.sampled_from(["replace", "replace", "remove", "double", "turn"]))
        if deed == "replace":
            parent[path[-1]] = draw(anything)
        elif deed == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list) and deed == "double":
            parent.insert(path[-1], copy.deepcopy(parent[path[-1]]))
        elif isinstance(parent, list):
            parent.reverse()
    return value


def received(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as it is after it was sent."""
    return json_of(Reply(200, {"content-type": "application/json"}, json.dumps(value).encode()))


# For each parser: a true payload, the parser, and the number of rows that a payload has.

Parser = tuple[Any, "Callable[[Any], pl.DataFrame | None]", "Callable[[Any], int]"]


def bars_of_yahoo(value: Any) -> pl.DataFrame:  # noqa: ANN401 - any JSON value
    found = read_chart(value, ASK, TODAY)
    assert isinstance(found, Answer)
    return found.bars


def bars_of_tiingo(value: Any) -> pl.DataFrame:  # noqa: ANN401 - any JSON value
    return tiingo.read_prices(value, ASK, TODAY).bars


def bars_of_alpaca(value: Any) -> pl.DataFrame:  # noqa: ANN401 - any JSON value
    rows = alpaca.read_bars(value, [ASK]).get("aapl", [])
    return alpaca._answer_of(ASK, rows, set(), set(), TODAY).bars


def rows_of_series(value: Any) -> int:  # noqa: ANN401 - any JSON value
    return len(value["Time Series (Daily)"])


def nothing(parse: Callable[[Any], object]) -> Callable[[Any], None]:
    def run(value: Any) -> None:  # noqa: ANN401 - any JSON value
        parse(value)

    return run


PARSERS: dict[str, Parser] = {
    "yahoo": (
        YahooServer.chart(SHARE),
        bars_of_yahoo,
        lambda value: len(value["chart"]["result"][0].get("timestamp") or []),
    ),
    "alpha_vantage": (
        AlphaVantageServer.series(SHARE, "AAPL"),
        lambda v: alpha_vantage.read_json(v, ASK),
        rows_of_series,
    ),
    "alpha_vantage splits": (
        {"symbol": "AAPL", "data": AlphaVantageServer.events(SHARE, "SPLITS")},
        nothing(lambda value: alpha_vantage.read_splits(value, ASK)),
        lambda _: 0,
    ),
    "alpha_vantage dividends": (
        {"symbol": "AAPL", "data": AlphaVantageServer.events(SHARE, "DIVIDENDS")},
        nothing(lambda value: alpha_vantage.read_dividends(value, ASK)),
        lambda _: 0,
    ),
    "finnhub": (
        FinnhubServer.series(SHARE),
        lambda value: finnhub.read_candles(value, ASK),
        lambda value: len(value["t"]) if value["s"] == "ok" else 0,
    ),
    "finnhub splits": (
        [{"symbol": "AAPL", "date": "2024-01-10", "fromFactor": 1, "toFactor": 4}],
        nothing(lambda value: finnhub.read_splits(value, ASK)),
        lambda _: 0,
    ),
    "finnhub dividends": (
        [{"symbol": "AAPL", "date": "2024-01-05", "amount": 0.24, "currency": "USD"}],
        nothing(lambda value: finnhub.read_dividends(value, ASK)),
        lambda _: 0,
    ),
    "tiingo": (TiingoServer.rows(SHARE), bars_of_tiingo, len),
    "tiingo facts": (
        {"ticker": "AAPL", "name": "Apple", "exchangeCode": "NASDAQ"},
        nothing(lambda value: tiingo.read_meta(value, ASK)),
        lambda _: 0,
    ),
    "alpaca": (
        {"bars": {"AAPL": AlpacaServer.rows(SHARE)}, "next_page_token": None},
        bars_of_alpaca,
        lambda value: sum(len(rows) for rows in value["bars"].values()),
    ),
    "alpaca actions": (
        {
            "corporate_actions": {
                "cash_dividends": [{"symbol": "AAPL", "rate": 0.24, "ex_date": "2024-01-05"}],
                "forward_splits": [{"symbol": "AAPL", "ex_date": "2024-01-10", "new_rate": 4, "old_rate": 1}],
                "stock_dividends": [{"symbol": "AAPL", "ex_date": "2024-01-12", "rate": 0.05}],
            }
        },
        nothing(lambda value: alpaca.read_actions(value, [ASK])),
        lambda _: 0,
    ),
}


def try_payload(name: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Check that a payload is refused by a `VendorError`, or that each of its rows is there."""
    _, parse, count = PARSERS[name]
    value = received(value)
    detail: str | None = None
    try:
        bars = parse(value)
    except VendorError as error:
        detail = error.detail
    if detail is not None:
        assert 0 < len(detail) < 500
        assert "\n" not in detail
        return
    if bars is not None:
        assert bars.schema == BARS_SCHEMA
        assert bars.height == count(value)
        assert bars["date"].drop_nulls().is_sorted()
        assert bars["adj_close"].null_count() == bars.height
        assert (bars["ticker"] == "AAPL").all()


@pytest.mark.parametrize("name", list(PARSERS))
@settings(max_examples=150)
@given(data=st.data())
def test_a_spoilt_payload_is_refused_or_lands_whole(name: str, data: st.DataObject) -> None:
    try_payload(name, data.draw(spoilt(PARSERS[name][0])))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PARSERS))
@settings(max_examples=10_000)
@given(data=st.data())
def test_ten_thousand_spoilt_payloads_are_refused_or_land_whole(name: str, data: st.DataObject) -> None:
    try_payload(name, data.draw(spoilt(PARSERS[name][0])))


@pytest.mark.parametrize("name", list(PARSERS))
def test_a_true_payload_is_taken(name: str) -> None:
    value, parse, count = PARSERS[name]
    bars = parse(received(value))
    assert bars is None or bars.height == count(value) > 15


cells = st.one_of(texts, numbers.map(repr))
lines = st.lists(st.lists(cells, min_size=0, max_size=8), max_size=8)


def try_csv(rows: list[list[str]], ending: bytes) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([["timestamp", "open", "high", "low", "close", "volume"], *rows])
    content = written.getvalue().encode("utf-8", "surrogatepass") + ending
    try:
        bars = alpha_vantage.read_csv(Reply(200, {"content-type": "text/csv"}, content), ASK)
    except VendorError:
        return
    read = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    assert bars.height == len([row for row in read if row]) - 1
    assert bars.schema == BARS_SCHEMA


@settings(max_examples=150)
@given(rows=lines, ending=st.sampled_from([b"", b"\xff", b"2024", b'"']))
def test_lines_of_any_cells_are_refused_or_land_whole(rows: list[list[str]], ending: bytes) -> None:
    try_csv(rows, ending)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(rows=lines, ending=st.sampled_from([b"", b"\xff", b"2024", b'"']))
def test_ten_thousand_files_of_lines_are_refused_or_land_whole(rows: list[list[str]], ending: bytes) -> None:
    try_csv(rows, ending)


@settings(max_examples=150)
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_bytes_that_are_no_reply_are_refused(content: bytes) -> None:
    try:
        value = json_of(Reply(200, {}, content))
    except VendorError:
        return
    assert value == json.loads(content) or value != value  # noqa: PLR0124 - NaN


# A day that is there twice in a mapping


def test_a_day_that_a_mapping_has_twice_is_two_rows() -> None:
    row = '{"1. open": "1", "2. high": "1", "3. low": "1", "4. close": "%s", "5. volume": "1"}'
    series = f'"Time Series (Daily)": {{"2024-01-05": {row % 1}, "2024-01-05": {row % 2}}}'
    content = f'{{"Meta Data": {{"2. Symbol": "AAPL"}}, {series}}}'.encode()
    bars = alpha_vantage.read_json(json_of(Reply(200, {}, content)), ASK)
    assert bars["close"].to_list() == [1.0, 2.0]


def test_a_mapping_of_symbols_with_one_twice_has_the_rows_of_both() -> None:
    row = '[{"t": "2024-01-05T05:00:00Z", "c": %s}]'
    content = f'{{"bars": {{"AAPL": {row % 1}, "AAPL": {row % 2}}}}}'.encode()
    assert [one["c"] for one in alpaca.read_bars(json_of(Reply(200, {}, content)), [ASK])["aapl"]] == [1, 2]


# Today -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0, 24, 48])
def test_the_bar_of_a_session_under_way_is_left_out_and_one_of_the_far_future_is_not(hours: int) -> None:
    share = Listing.made("AAPL", first=date(2024, 1, 2), last=date(2024, 1, 12))
    end = date(2024, 1, 10)
    today = end + timedelta(hours=hours)
    found = read_chart(received(YahooServer.chart(share)), Ask("AAPL", "AAPL", date(2024, 1, 4), end), today)
    last = [day for day in found.bars["date"] if day > end]
    assert found.bars["date"].min() == date(2024, 1, 4)
    assert last == [day for day in (date(2024, 1, 11), date(2024, 1, 12)) if day > today + timedelta(days=1)]
