"""Finnhub's company news: what is read from a reply, and how it is asked for."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import SourceError
from pm.settings import Keys
from pm.sources import TEXTS_SCHEMA, Ask, Failure, TextAnswer
from pm.sources.texts import one_line
from pm.sources.vendors.finnhub import FinnhubSource
from pm.sources.vendors.finnhub_news import read_news
from pm.sources.vendors.gate import Gate
from pm.sources.vendors.limits import Limits
from pm.sources.vendors.problems import InvalidReplyError, OtherSymbolError, VendorError
from pm.sources.vendors.reply import Reply, json_of
from pm.tables.vocabulary import FailureReason
from tests.vendor_servers import (
    Fault,
    FinnhubServer,
    broken_off,
    cut,
    html,
    huge,
    json_reply,
    server_error,
    silence,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from threading import Event

    from pm.settings import RefreshSettings

NOW = datetime(2024, 1, 10, 2, tzinfo=UTC).replace(tzinfo=None)
ASK = Ask("BRK-B", "BRK.B", date(2023, 12, 11), date(2024, 1, 10))
MONDAY = datetime(2024, 1, 8, 14, 30, tzinfo=UTC).replace(tzinfo=None)
article = FinnhubServer.article


def received(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as it is after it was sent."""
    return json_of(Reply(200, {"content-type": "application/json"}, json.dumps(value).encode()))


def read(*articles: Any) -> TextAnswer:  # noqa: ANN401 - any JSON value
    return read_news(received(list(articles)), ASK, NOW)


# What is read ----------------------------------------------------------------------------------------------------


def test_articles_are_read_by_time_of_publication() -> None:
    later = article(7, MONDAY + timedelta(hours=1), "BRK.B", headline="Up &amp; away")
    found = read(later, article(5, MONDAY, "BRK.B", summary="", url="", source=None))
    assert (found.sent, found.refused, found.refusals) == (2, {}, None)
    assert found.texts.schema == TEXTS_SCHEMA
    assert found.texts.rows() == [
        ("BRK-B", MONDAY, "Article 5 of BRK.B", None, None, None, "finnhub", "5"),
        (
            *("BRK-B", MONDAY + timedelta(hours=1), "Up & away", "What article 7 says.", "A Newspaper"),
            *("https://example.com/BRK.B/7", "finnhub", "7"),
        ),
    ]


def test_no_articles_are_an_answer() -> None:
    found = read()
    assert (found.texts.height, found.sent) == (0, 0)
    assert found.texts.schema == TEXTS_SCHEMA


SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "without an identifier"),
    ({"id": 0}, "without an identifier"),
    ({"id": -1}, "without an identifier"),
    ({"id": True}, "without an identifier"),
    ({"id": 1.5}, "without an identifier"),
    ({"id": " "}, "without an identifier"),
    ({"id": 10**30}, "without an identifier"),
    ({"id": [1]}, "without an identifier"),
    ({"headline": None}, "without a headline"),
    ({"headline": " &nbsp;\0 "}, "without a headline"),
    ({"headline": 5}, "without a headline"),
    ({"datetime": None}, "without a time of publication"),
    ({"datetime": 0}, "without a time of publication"),
    ({"datetime": -1}, "without a time of publication"),
    ({"datetime": "yesterday"}, "without a time of publication"),
    ({"datetime": float("nan")}, "without a time of publication"),
    ({"datetime": True}, "without a time of publication"),
    ({"datetime": 1_704_724_200_000}, "of a time to come"),  # milliseconds
    ({"datetime": float("inf")}, "of a time to come"),
    ({"datetime": 10**320}, "of a time to come"),
    ({"datetime": int(NOW.replace(tzinfo=UTC).timestamp()) + 1}, "of a time to come"),
    ({"related": "AAPL"}, "about other symbols"),
    ({"related": "AAPL, MSFT"}, "about other symbols"),
]


@pytest.mark.parametrize(("changes", "reason"), SPOILT)
def test_an_article_that_cannot_be_used_is_refused_with_its_reason_and_the_others_are_read(
    changes: dict[str, Any], reason: str
) -> None:
    found = read(article(1, MONDAY, "BRK.B"), article(2, MONDAY, "BRK.B") | changes)
    assert found.texts["source_id"].to_list() == ["1"]
    assert found.refused == {reason: 1}
    assert found.refusals == f"1 text of 2 cannot be used: 1 {reason}."


@pytest.mark.parametrize(
    "changes",
    [
        {"related": ""},
        {"related": None},
        {"related": "AAPL,brk-b"},
        {"related": "BRK/B"},
        {"datetime": NOW.replace(tzinfo=UTC).timestamp()},
        {"datetime": "1704724200"},
        {"summary": "x" * 2**20},
        {"summary": "\0\ud800\x1b[2J"},
        {"summary": {"a": 1}},
        {"url": "javascript:alert(1)"},
        {"source": 5},
        {"id": "an-identifier"},
    ],
)
def test_what_is_odd_beside_the_point_does_not_cost_the_article(changes: dict[str, Any]) -> None:
    found = read(article(1, MONDAY, "BRK.B") | changes)
    assert (found.texts.height, found.refused) == (1, {})


def test_an_article_that_is_there_twice_is_one() -> None:
    found = read(article(1, MONDAY, "BRK.B", headline="Corrected"), article(1, MONDAY - timedelta(hours=1), "BRK.B"))
    assert found.texts["headline"].to_list() == ["Article 1 of BRK.B"]
    assert (found.sent, found.refused) == (2, {})


def test_a_reply_of_another_form_or_about_others_alone_is_refused() -> None:
    for value in ({}, {"error": "x"}, None, "news", 5):
        with pytest.raises(InvalidReplyError):
            read_news(received(value), ASK, NOW)
    with pytest.raises(OtherSymbolError, match=r"BRK\.B"):
        read(article(1, MONDAY, "AAPL"), article(2, MONDAY, "MSFT"))


numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**320),
    st.sampled_from([0, -1, 1e308, -0.0, float("nan"), float("inf"), 253402300800, 1704724200, 2**63, -(2**63)]),
)
texts = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=4),
    st.sampled_from(
        ["", " ", "12.5", "NaN", "&amp;", "&#0;", "AAPL", "BRK.B", "\x00", "https://example.com", "x" * 2**20]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
spoilt_articles = st.one_of(
    anything,
    st.builds(
        lambda number, minutes, changes: article(number, MONDAY + timedelta(minutes=minutes), "BRK.B") | changes,
        st.integers(0, 4),
        st.integers(-100_000, 5_000),
        st.dictionaries(
            st.sampled_from(["id", "datetime", "headline", "related", "source", "summary", "url"]),
            anything,
            max_size=3,
        ),
    ),
)


def try_articles(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Check that a reply is refused by a `VendorError`, or that each of its rows is a text, or counted as refused."""
    sent = received(value)
    detail: str | None = None
    try:
        found = read_news(sent, ASK, NOW)
    except VendorError as error:
        detail = error.detail
    if detail is not None:
        assert 0 < len(detail) < 500
        assert not isinstance(sent, list) or sent
        return
    assert found.texts.schema == TEXTS_SCHEMA
    assert found.sent == len(sent)
    # A slow twin of the count: what can be told of a row alone.
    usable = [row for row in sent if isinstance(row, dict) and not _refused(row)]
    assert found.sent - sum(found.refused.values()) == len(usable)
    assert found.texts["source_id"].is_unique().all()
    assert set(found.texts["source_id"]) == {str(_identifier(row["id"])) for row in usable}
    assert found.texts["published_at"].is_sorted()
    assert found.texts["published_at"].max() is None or found.texts["published_at"].max() <= NOW  # type: ignore[operator]
    assert found.texts["headline"].null_count() == 0
    assert (found.texts["ticker"] == "BRK-B").all()
    for column in ("headline", "text", "publisher", "url", "source_id"):
        for text in found.texts[column].drop_nulls():
            assert 0 < len(text) <= 100_000
            assert text.encode("utf-8").decode("utf-8") == text
            assert "\0" not in text


def _identifier(value: object) -> object:
    return one_line(value, 200) if isinstance(value, str) else value


def _refused(row: dict[str, Any]) -> bool:
    return bool(read_news([row, article(9, MONDAY, "BRK.B")], ASK, NOW).refused)


@settings(max_examples=200)
@given(st.one_of(anything, st.lists(spoilt_articles, max_size=6)))
def test_a_spoilt_reply_is_refused_or_each_of_its_articles_is_read_or_counted(value: Any) -> None:  # noqa: ANN401 - any JSON value
    try_articles(value)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(st.one_of(anything, st.lists(spoilt_articles, max_size=6)))
def test_ten_thousand_spoilt_replies(value: Any) -> None:  # noqa: ANN401 - any JSON value
    try_articles(value)


# How it is asked for ---------------------------------------------------------------------------------------------

Made = Any
"""What fixture `made` returns."""


@pytest.fixture
def server() -> Iterator[FinnhubServer]:
    with FinnhubServer() as running:
        running.articles["AAPL"] = [article(number, MONDAY - timedelta(days=number)) for number in range(1, 6)]
        yield running


def asked(symbol: str = "AAPL", days: int = 10) -> Ask:
    return Ask(symbol, symbol, MONDAY.date() - timedelta(days=days), MONDAY.date())


def one(source: FinnhubSource, ask: Ask) -> TextAnswer | Failure:
    (found,) = source.texts([ask])
    return found


def test_a_ticker_takes_one_request_with_the_days_and_without_the_key_in_its_address(
    server: FinnhubServer, made: Made
) -> None:
    found = one(made(server), asked(days=3))
    assert isinstance(found, TextAnswer)
    assert found.texts["source_id"].to_list() == ["3", "2", "1"]
    assert found.seconds > 0
    (request,) = server.requests
    assert request.path == "/company-news"
    assert request.query == {"symbol": "AAPL", "from": "2024-01-05", "to": "2024-01-08"}
    assert request.headers["x-finnhub-token"] == FinnhubServer.key


@pytest.mark.parametrize(
    ("fault", "reason", "requests"),
    [
        (server_error(), FailureReason.UNREACHABLE, 3),
        (html(), FailureReason.INVALID_REPLY, 3),
        (cut, FailureReason.INVALID_REPLY, 3),
        (broken_off, FailureReason.INVALID_REPLY, 3),
        (huge(), FailureReason.INVALID_REPLY, 1),
        (silence(), FailureReason.UNREACHABLE, 3),
        (too_many(), FailureReason.LIMITED, 3),
        (too_many("3600"), FailureReason.LIMITED, 1),
        (json_reply({"error": "Something"}), FailureReason.INVALID_REPLY, 1),
        (json_reply({"error": "Invalid API key"}, status=401), FailureReason.NOT_PERMITTED, 1),
        (json_reply([article(1, MONDAY, "MSFT")]), FailureReason.OTHER_SYMBOL, 1),
        (json_reply({"error": "no such symbol"}, status=404), FailureReason.GONE, 1),
    ],
)
def test_each_fault_is_a_failure_with_its_reason(
    server: FinnhubServer, made: Made, fault: Fault, reason: FailureReason, requests: int
) -> None:
    server.news_fault = fault
    found = one(made(server, timeout_seconds=0.5), asked())
    assert isinstance(found, Failure)
    assert (found.reason, len(server.news)) == (reason, requests)
    assert FinnhubServer.key not in found.detail


def test_a_fault_that_passes_costs_nothing(server: FinnhubServer, made: Made) -> None:
    server.news_fault = [server_error(), too_many(), cut]
    found = one(made(server, attempts=4), asked())
    assert isinstance(found, TextAnswer)
    assert found.texts.height == 5


def test_a_key_that_a_vendor_repeats_is_taken_out_of_its_texts(server: FinnhubServer, made: Made) -> None:
    key = FinnhubServer.key
    told = {"headline": f"The key is {key}", "summary": key, "url": f"https://example.com/?token={key}", "source": key}
    server.articles["AAPL"] = [article(1, MONDAY, **told)]
    found = one(made(server), asked())
    assert isinstance(found, TextAnswer)
    assert key not in str(found.texts.rows())
    assert found.texts["headline"].to_list() == ["The key is ***"]


def test_a_market_of_which_the_key_permits_no_news_is_asked_for_once(server: FinnhubServer, made: Made) -> None:
    server.without_news = {"L"}
    names = ["AAPL", *(f"T{number}.L" for number in range(20))]
    found = {each.ask.symbol: each for each in made(server).texts([asked(name) for name in names])}
    assert set(found) == set(names)
    failures = [each for each in found.values() if isinstance(each, Failure)]
    assert len(failures) == 20
    assert {each.reason for each in failures} == {FailureReason.NOT_PERMITTED}
    assert {each.detail for each in failures} == {
        "The key does not permit news of L (HTTP 403); Finnhub has news of companies of North America."
    }
    assert Counter(request.query["symbol"].rpartition(".")[2] for request in server.news) == {"AAPL": 1, "L": 1}


def test_a_storm_of_limits_ends_the_asking(server: FinnhubServer, made: Made) -> None:
    """Five tickers in a row that are told to wait, each three times, open the circuit breaker."""
    server.news_fault = too_many()
    source = made(server, concurrency=1, failures_in_a_row=5)
    found = list(source.texts([asked(f"T{number}") for number in range(50)]))
    reasons = Counter(each.reason for each in found)
    assert reasons == {FailureReason.LIMITED: 5, FailureReason.NOT_ASKED: 45}
    assert len(server.news) == 15


def test_without_a_key_nothing_is_asked(server: FinnhubServer, made: Made) -> None:
    with pytest.raises(SourceError, match="no key finnhub"):
        made(server, keys=Keys()).texts([asked()])
    assert server.requests == []


def test_news_and_bars_can_be_asked_of_one_source(server: FinnhubServer, made: Made) -> None:
    source = made(server)
    assert isinstance(one(source, asked()), TextAnswer)
    assert len(list(source.fetch([asked()]))) == 1
    assert isinstance(one(source, asked()), TextAnswer)


class Standing:
    """A clock that goes on only while it is waited."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return NOW

    def elapsed(self) -> float:
        return self.seconds

    def wait(self, event: Event, seconds: float) -> bool:
        self.seconds += max(seconds, 0.0)
        return event.is_set()


@pytest.mark.parametrize(
    ("number", "ago", "waited"), [(0, 5.0, 0.0), (59, 5.0, 0.0), (60, 5.0, 55.0), (500, 59.0, 1.0), (500, 61.0, 0.0)]
)
def test_what_others_have_asked_before_counts_against_the_limit_of_a_minute(
    refresh: RefreshSettings, tmp_path: Path, number: int, ago: float, waited: float
) -> None:
    clock = Standing()
    settings = refresh.model_copy(update={"requests_per_minute": {}})
    gate = Gate("finnhub", settings, Limits(per_second=30, per_minute=60), tmp_path, clock)
    gate.count_earlier(number, ago)
    gate.admit()
    assert clock.seconds - 1_000.0 == pytest.approx(waited)


def test_the_requests_for_bars_and_news_of_others_are_counted(
    refresh: RefreshSettings, tmp_path: Path, server: FinnhubServer
) -> None:
    """Bars take three requests a ticker: 20 of bars are the 60 of a minute."""
    clock = Standing()
    settings = refresh.model_copy(update={"requests_per_minute": {}, "base_urls": {"finnhub": server.url}})
    keys = Keys.model_validate({"finnhub": FinnhubServer.key})
    for bars, news, waited in ((20, 0, 50.0), (19, 3, 50.0), (19, 2, 0.0)):
        source = FinnhubSource(settings, keys, tmp_path, clock)
        before = clock.seconds
        source.count_earlier(bars=bars, texts=news, seconds=10.0)
        assert isinstance(one(source, asked()), TextAnswer)
        assert clock.seconds - before == pytest.approx(waited)
