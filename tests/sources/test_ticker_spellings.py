from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pm.sources.ticker_spellings import other_spellings, spelling_key


def test_vendors_spellings_of_one_share_have_one_key() -> None:
    for group in (("AAPL", "AAPL.US", "aapl", "aapl.us"), ("BRK.B", "BRK-B", "BRK/B", "BRK B", "brk-b.us", "BRK_B")):
        assert len({spelling_key(ticker) for ticker in group}) == 1, group


def test_different_shares_have_different_keys() -> None:
    tickers = ("A", "AA", "BRK-A", "BRK-B", "BRKB", "SAP.DE", "SAP", "VOD.L", "VOD", "US", "BUS", "MC.PA", "M&M", "M")
    assert len({spelling_key(ticker) for ticker in tickers}) == len(tickers)


@given(st.text("ABab.-/ _US", min_size=1, max_size=9))
def test_the_key_of_a_key_is_itself_in_any_case(ticker: str) -> None:
    key = spelling_key(ticker)
    assert spelling_key(ticker.lower()) == spelling_key(ticker.upper()) == key
    assert not set(key) & set("./_ ")


def test_what_was_there_before_keeps_its_name() -> None:
    assert other_spellings({"AAPL", "IBM"}, {"AAPL.US", "AAPL", "IBM"}) == {"AAPL": "AAPL.US"}
    assert other_spellings({"AAPL", "AAPL.US"}, {"AAPL", "AAPL.US"}) == {"AAPL.US": "AAPL"}
    assert other_spellings({"brk b", "BRK/B", "X"}, {"BRK.B", "BRK-B", "Y"}) == {"BRK/B": "BRK-B", "brk b": "BRK-B"}
    assert other_spellings({"X"}, {"X", "BRK.B", "BRK-B"}) == {}
