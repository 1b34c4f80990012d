"""Texts of sources as people read them."""

from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.sources.texts import cleaned, one_line, web_address

letters = st.characters(categories=["L", "N", "P", "S"], exclude_characters="&")
words = st.text(letters, min_size=1, max_size=8)
odd = st.text(st.one_of(st.characters(), st.characters(categories=["Cs", "Cc"]), st.sampled_from(" \t\r\n&;#x\0")))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("AT&amp;T &lt;b&gt; &#8211; &quot;up&quot;&nbsp;5%", 'AT&T <b> – "up" 5%'),
        ("&amp;lt; is decoded once", "&lt; is decoded once"),
        ("a\0b\x1bc\x7f\ud800d\udc00", "abcd"),
        ("&#0;&#1;&#xD800;a", "\ufffd\ufffda"),  # as HTML has it
        ("  one\t\ttwo \x0b three\u2003four ", "one two three four"),
        ("one\r\ntwo\rthree\n \n\n\t\nfour", "one\ntwo\nthree\n\nfour"),
        ("🙂 naïve 東京 \u202ereversed", "🙂 naïve 東京 \u202ereversed"),
    ],
)
def test_a_text_is_read_as_people_do(sent: str, read: str) -> None:
    assert cleaned(sent) == read


@pytest.mark.parametrize("nothing", [None, 5, 1.5, True, [], {}, "", " \n\t ", "\0", "&nbsp;", "\ud800"])
def test_what_is_no_text_is_none(nothing: object) -> None:
    assert cleaned(nothing) is None
    assert one_line(nothing) is None


@given(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_words_of_a_text_stay_with_their_paragraphs(paragraphs: list[list[str]]) -> None:
    sent = "\r\n \r\n\r\n".join("  ".join(html.escape(word) for word in paragraph) for paragraph in paragraphs)
    read = cleaned(f"\0 {sent}\n")
    assert read is not None
    assert [paragraph.split(" ") for paragraph in read.split("\n\n")] == paragraphs
    assert one_line(sent) == " ".join(word for paragraph in paragraphs for word in paragraph)


@given(odd)
def test_any_text_can_be_stored_and_shown(sent: str) -> None:
    read = cleaned(sent)
    if read is None:
        return
    read.encode("utf-8")
    assert {letter for letter in read if unicodedata.category(letter) == "Cc"} <= {"\n"}
    assert read == read.strip()
    assert "  " not in read
    assert "\n\n\n" not in read


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    megabyte = "word &amp; " * 100_000
    read = cleaned(megabyte)
    assert read is not None
    assert len(read) <= 100_000
    assert read.startswith("word & word &")
    assert read.endswith("…")
    assert cleaned("a" * 100_000) == "a" * 100_000
    assert one_line("é" * 5, 3) == "éé…"


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ("https://example.com/a?b=1&c=%20#d", "https://example.com/a?b=1&c=%20#d"),
        ("  HTTP://example.com  ", "HTTP://example.com"),
        ("ftp://example.com", None),
        ("javascript:alert(1)", None),
        ("https://example.com/a b", None),
        ("https://example.com/\0", None),
        ("https://example.com/\u202e", None),
        ("https://" + "a" * 2_001, None),
        ("https://", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_an_address_is_one_of_the_web(sent: object, address: str | None) -> None:
    assert web_address(sent) == address
