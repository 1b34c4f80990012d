"""Rows of tables for a ticker as hypothesis draws them, and a stand-in for a language model."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import strategies as st

from pm.errors import ModelError
from pm.llm.base import Call, Generation, ModelInfo, Scores
from pm.llm.gathering import FactTables
from pm.llm.reasons import FLAGGED, LEFT_OUT, SIMPLIFIED
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pm.llm.base import Prompt

AS_OF = date(2013, 3, 1)
STAMP: dict[str, Any] = {"run_id": "20130301T210000-0000", "snapshot_id": 7, "cutoff": AS_OF}
SHARES = st.floats(0, 1)
RETURNS = st.floats(-0.99, 3, allow_nan=False)
PRICES = st.floats(1e-7, 1e7)


def _action(gain: float, loss: float, threshold: float) -> str:
    if (gain >= threshold) == (loss >= threshold):
        return "HOLD"
    return "BUY" if gain >= threshold else "SELL"


@st.composite
def signal_rows(draw: st.DrawFn, ticker: str) -> dict[str, Any]:
    """Draw a row of table `signals` as stage `signals` could write it."""
    gain = draw(SHARES)
    loss = draw(st.floats(0, 1)) * (1 - gain)
    threshold = draw(st.sampled_from([0.5, 0.55, 0.6, 0.612, 0.575]) | st.floats(0.5, 0.99))
    if draw(st.booleans()):  # within rounding of the threshold
        gain = min(1.0, max(0.0, threshold + draw(st.sampled_from([0.0, -1e-4, 1e-4, -1e-9, 1e-9]))))
        loss = min(loss, 1 - gain)
    lower, median, upper = sorted(draw(st.lists(RETURNS, min_size=3, max_size=3)))
    median = draw(st.sampled_from([0.0, median]))
    lower, upper = min(lower, median), max(upper, median)
    action = _action(gain, loss, threshold)
    size = 0.0 if action == "HOLD" else draw(st.floats(0, 0.25)) * (-1 if action == "SELL" else 1)
    origin = AS_OF - timedelta(days=draw(st.integers(0, 40)))
    horizon = draw(st.integers(1, 60))
    return STAMP | {
        "ticker": ticker,
        "action": action,
        "origin_date": origin,
        "target_date": origin + timedelta(days=2 * horizon),
        "horizon": horizon,
        "close": draw(PRICES),
        "expected_return": median,
        "lower": lower,
        "upper": upper,
        "interval_level": draw(st.sampled_from([0.5, 0.8, 0.9])),
        "probability_gain": gain,
        "probability_loss": loss,
        "threshold": threshold,
        "round_trip_cost": draw(st.sampled_from([0.0, 0.002, abs(median), 0.0025]) | st.floats(0, 0.5)),
        "size": size,
        "stop": draw(st.none() | PRICES) if size else None,
        "target": draw(st.none() | PRICES) if size else None,
        "annual_volatility": draw(st.floats(1e-4, 5)),
    }


def _frame(name: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TABLES[name].polars_schema)


@st.composite
def fact_tables(draw: st.DrawFn) -> FactTables:
    """Draw the rows of one ticker, with or without a signal."""
    ticker = draw(st.sampled_from(["AAPL", "VOD.L", "BRK-B", "^GSPC", "A", "O'X", "HOLD", "7203.T"]))
    decided = draw(st.booleans()) or draw(st.booleans())
    signals = [draw(signal_rows(ticker))] if decided else []
    verdict = draw(st.sampled_from(["edge", "no edge"]))
    weight = draw(st.floats(0.01, 1))
    models: list[dict[str, Any]] = [
        {"model": "ensemble", "weight": None, "relative_rmse": draw(st.none() | st.floats(0.3, 1.2))},
        {"model": draw(st.sampled_from(["naive", "auto_arima", "mssa_cp", "drift_250"])), "weight": weight},
    ]
    weights = [STAMP | {"ticker": ticker, "verdict": verdict} | row for row in models] if decided else []
    simplified = draw(st.lists(st.sampled_from(["late", *sorted(SIMPLIFIED)]), max_size=2, unique=True))
    left_out = [] if decided else draw(st.lists(st.sampled_from(sorted(LEFT_OUT)), max_size=1))
    exclusions = [
        STAMP | {"stage": "volatility", "ticker": ticker, "reason": reason, "detail": "…"}
        for reason in (*simplified, *left_out)
    ]
    rule = draw(st.none() | st.sampled_from(sorted(FLAGGED)))
    flagged_on = AS_OF - timedelta(days=draw(st.integers(0, 500)))
    flag = STAMP | {"ticker": ticker, "date": flagged_on, "rule": rule, "value": draw(RETURNS), "detail": "…"}
    sessions = draw(st.integers(0, 250))
    standing = {
        "ticker": ticker,
        "date": AS_OF,
        "volatility_20": 0.02,
        "drawdown_250": draw(st.sampled_from([0.0, -1e-6, -0.2]) | st.floats(-0.999, 0)),
        "first_date": AS_OF - timedelta(days=365) if sessions else None,
        "sessions": sessions,
        "rank": draw(st.integers(0, sessions)) / sessions if sessions else None,
    }
    return FactTables(
        tickers=[ticker],
        as_of=AS_OF,
        snapshot=7,
        signals=_frame("signals", signals),
        weights=_frame("model_weights", weights),
        exclusions=_frame("exclusions", exclusions),
        flags=_frame("bar_flags", [flag] if rule else []),
        standing=pl.DataFrame([standing]),
    )


class StandIn:
    """A language model that answers as a test says; the real one is tested where the engine is.

    Parameters
    ----------
    preferred
        The log-probability of each label, by its text without the space before it; −9 for others.
    writes
        Returns the text that it writes for a prompt and a seed.
    fails_at
        Number of the call at which the process dies, from 1, and at all later ones.
    """

    def __init__(
        self,
        preferred: Mapping[str, float] | None = None,
        writes: Callable[[str, int], str] = lambda prompt, seed: "",  # noqa: ARG005 - what a model is handed
        *,
        noise: float = 0.1,
        fails_at: int | None = None,
        answers: int | None = None,
        context_tokens: int = 1024,
    ) -> None:
        self._preferred = preferred or {}
        self._writes = writes
        self._fails_at = fails_at
        self._answers = answers
        self.calls = 0
        self.questions: list[str] = []
        self.info = ModelInfo("stand-in", "ab" * 32, noise, context_tokens, 0.1, 1)
        self.restarts = 0

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return [len(text.split()) for text in texts]

    def score(self, prefix: str, suffixes: Sequence[str], labels: Sequence[str], *, deadline_seconds: float) -> Scores:
        assert prefix.endswith("\n")
        self._begin()
        self.questions += suffixes
        values: list[list[float] | None] = []
        for suffix in suffixes:
            neutral = suffix.startswith("Share.")
            if self._answers is not None and len(self.questions) > self._answers and not neutral:
                values.append(None)
                continue
            values.append([-9.0 if neutral else self._preferred.get(label.strip(), -9.0) for label in labels])
        return Scores(values, self._call(deadline_seconds))

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        seed: int,
        deadline_seconds: float,
        grammar: str | None = None,
        temperature: float = 0.7,
    ) -> Generation:
        assert temperature >= 0
        assert max_tokens > 0
        assert grammar is None
        self._begin()
        texts = [prompt if isinstance(prompt, str) else prompt[-1].content for prompt in prompts]
        return Generation([self._writes(text, seed) for text in texts], self._call(deadline_seconds))

    def _begin(self) -> None:
        self.calls += 1
        if self._fails_at is not None and self.calls >= self._fails_at:
            raise ModelError("The process that holds the model died.")

    def _call(self, deadline_seconds: float) -> Call:
        return Call("hash", 10, 1, 0.01, 0.02, 0.02, 10**6, deadline_seconds, is_complete=True)


@pytest.fixture(scope="session")
def stand_in() -> type[StandIn]:
    return StandIn
