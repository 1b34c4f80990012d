"""Time the language models that are here, and say which to use and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pm.llm.base import Call, LanguageModel
    from pm.llm.engine import Engine

__all__ = ["ModelBench", "bench_model", "recommendation"]

_HEADLINES = (
    "margin widens to 18% from 14%",
    "margin narrows to 14% from 18%",
    "beats estimates but guides lower",
    "wins a contract of five years",
    "recalls its best-selling product",
    "names a new chief of finance",
    "raises its dividend by a tenth",
    "loses an appeal over a patent",
)
_PREFIX = "The sentiment of a headline about a share, in one word: positive or negative.\n"
_LABELS = (" positive", " negative", " neutral")
_PROMPT = "The share price rose by 4% in a month, and its volatility is low. In one sentence, this means that"
_TOKENS = 60
"""Number of tokens that a text may have."""


@dataclass(frozen=True)
class ModelBench:
    """What a bench of a model found.

    Attributes
    ----------
    name, sha256
        The model.
    calls
        Number of calls that were timed.
    load_seconds
        Time that loading it took.
    p50_seconds, p95_seconds
        Median and 95% quantile of the time of a call.
    scored_per_second
        Number of headlines scored in a second.
    tokens_per_second, tokens_per_processor_second
        Tokens read and written in a second by the clock, and of one core's time.
    deadline_misses
        Number of calls that the bound cut off.
    memory_bytes
        Largest memory of the model's process.
    noise
        See `ModelInfo`.
    threads
        Number of threads.
    bound_seconds
        Bound of a call that it was held to.
    meets_bound
        Whether the 95% quantile is within the bound, and no call was cut off.
    """

    name: str
    sha256: str
    calls: int
    load_seconds: float
    p50_seconds: float
    p95_seconds: float
    scored_per_second: float
    tokens_per_second: float
    tokens_per_processor_second: float
    deadline_misses: int
    memory_bytes: int
    noise: float
    threads: int
    bound_seconds: float
    meets_bound: bool

    def to_json(self) -> dict[str, object]:
        """Return the values as JSON can hold them."""
        return asdict(self)


def bench_model(
    engine: Engine, *, bound_seconds: float, rounds: int, progress: Callable[[int, int], None]
) -> ModelBench:
    """Time calls of a loaded model: scores of headlines, of a batch and of one, and texts.

    Parameters
    ----------
    bound_seconds
        Deadline of each call.
    rounds
        Number of times that each kind of call is made, with other texts each time.
    progress
        Called with the number of rounds that are done, of how many.

    Raises
    ------
    ModelError
        The model's process died.
    """
    calls: list[Call] = []
    scored, scoring_seconds = 0, 0.0
    for turn in range(rounds):
        batch = _score(
            engine, [f"Company {turn}-{place % 97} {_HEADLINES[place % 8]}" for place in range(32)], bound_seconds
        )
        scored += batch.output_tokens // len(_LABELS)
        scoring_seconds += batch.seconds
        one = _score(engine, [f"Firm {turn} {_HEADLINES[turn % 8]}"], bound_seconds)
        written = engine.generate(
            [f"Note {turn}. {_PROMPT}"], max_tokens=_TOKENS, seed=turn, deadline_seconds=bound_seconds
        ).call
        calls += [batch, one, written]
        progress(turn + 1, rounds)
    seconds = [call.seconds for call in calls]
    tokens = sum(call.prompt_tokens + call.output_tokens for call in calls)
    p95 = quantiles(seconds, n=20, method="inclusive")[-1]
    misses = sum(not call.is_complete for call in calls)
    return ModelBench(
        name=engine.info.name,
        sha256=engine.info.sha256,
        calls=len(calls),
        load_seconds=engine.info.load_seconds,
        p50_seconds=median(seconds),
        p95_seconds=p95,
        scored_per_second=scored / scoring_seconds,
        tokens_per_second=tokens / sum(seconds),
        tokens_per_processor_second=tokens / max(sum(call.processor_seconds for call in calls), 1e-9),
        deadline_misses=misses,
        memory_bytes=max(call.memory_bytes for call in calls),
        noise=engine.info.noise,
        threads=engine.info.threads,
        bound_seconds=bound_seconds,
        meets_bound=p95 <= bound_seconds and misses == 0,
    )


def recommendation(results: Sequence[ModelBench], chain: Sequence[str], default: str) -> tuple[str | None, str]:
    """Return the name of the model to use, None if none is fast enough, and why, in a sentence.

    The chain says which models are thought to be better; the bench says which are fast enough here.
    """
    fast = {result.name: result for result in results if result.meets_bound}
    slow = [result.name for result in results if not result.meets_bound]
    too_slow = f" Too slow here: {', '.join(slow)}." if slow else ""
    for name in chain:
        found = fast.get(name) or fast.get(f"{name}:latest")
        if found is not None:
            bound = f"p95 {found.p95_seconds:.2f} s of {found.bound_seconds:g} s"
            return (
                found.name,
                f"Use {found.name}: the first model of llm.chain that is here and meets the bound ({bound}).{too_slow}",
            )
    if default in fast:
        return default, f"Use {default}: no model of llm.chain is here and meets the bound.{too_slow}"
    if fast:
        best = max(fast.values(), key=lambda result: result.scored_per_second)
        return (
            best.name,
            f"Use {best.name}: the fastest that meets the bound; llm.chain names none that does.{too_slow}",
        )
    return None, f"No model meets the bound here.{too_slow}"


def _score(model: LanguageModel, headlines: Sequence[str], bound_seconds: float) -> Call:
    suffixes = [f"Headline: {headline}\nSentiment:" for headline in headlines]
    return model.score(_PREFIX, suffixes, _LABELS, deadline_seconds=bound_seconds).call
