from __future__ import annotations

import pickle
import re

import pytest

from pm import errors
from pm.errors import PmError, UnknownTickerError, did_you_mean

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


def _tree(kind: type[PmError]) -> list[type[PmError]]:
    """Return a class and those below it; not those of other modules, which keep the code of the class above them."""
    children = (child for child in kind.__subclasses__() if child.__module__ == errors.__name__)
    return [kind, *(below for child in children for below in _tree(child))]


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    drawn = re.findall(r"(\w+Error)\s+(\d+)", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == {kind.__name__: kind.exit_code for kind in _tree(PmError)}
    assert set(KINDS) == set(_tree(PmError))


def test_exit_codes_are_distinct_and_not_those_of_the_shell() -> None:
    codes = [kind.exit_code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert not {0, 2, 130} & set(codes)
    assert max(codes) < 126


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_error_keeps_its_message(kind: type[PmError]) -> None:
    error = kind("what", where="where", hint="hint")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert str(again) == str(error) == "what\n  where: where\n  try:   hint"


def test_a_message_leaves_out_empty_parts() -> None:
    assert str(PmError("what")) == "what"
    assert str(PmError("what", hint="hint")) == "what\n  try:   hint"


def test_an_unknown_ticker_is_named_with_the_nearest_known_one() -> None:
    error = UnknownTickerError.from_missing(["APPL", "ZZZZZZ"], {"IBM", "AAPL"}, where="bars")
    assert error.what == "Unknown tickers: APPL, ZZZZZZ. Did you mean 'AAPL'?"
    assert error.hint == "use one of: AAPL, IBM"
    many = UnknownTickerError.from_missing(["X"], [f"T{n:02d}" for n in range(40)], where="bars")
    assert "(40 in all)" in many.hint
    assert "pm import" in UnknownTickerError.from_missing(["X"], [], where="bars").hint


def test_a_word_is_suggested_only_if_it_is_near() -> None:
    assert did_you_mean("horzion", ["horizon", "window"]) == " Did you mean 'horizon'?"
    assert did_you_mean("zzz", ["horizon"]) == ""
    assert did_you_mean("a", []) == ""
