"""Ask a language model, write down each call, and read what was asked before from the record."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.errors import PmError
from pm.llm.base import Call, Generation, RefusedQuestionError, Scores
from pm.llm.engine import generate_hash, score_hash
from pm.tables.llm import LLM_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.llm.base import LanguageModel, ModelInfo, Prompt

__all__ = ["KNOWN", "Recorder"]

KNOWN = (
    "role", "model_sha256", "prompt_hash", "prompt_tokens", "output_tokens", "seconds_to_first", "seconds",
    "processor_seconds", "memory_bytes", "deadline_seconds", "deadline_met", "valid", "output",
)  # fmt: skip
"""Columns of `llm_calls` that a recorder needs of earlier calls."""


class Recorder:
    """A language model whose calls are written down.

    Parameters
    ----------
    model
        The model.
    known
        Rows of `llm_calls` of earlier runs, with the columns of `KNOWN` at least. A valid call of the same model and
        with the same question is answered from them, and no row is written of it.

    Examples
    --------
    In a stage that declares `past=(LLM_CALLS,)` and `writes=(LLM_CALLS,)`::

        known = context.read(LLM_CALLS, "model_sha256 = ?", [model.info.sha256], columns=KNOWN)
        recorder = Recorder(model, known)
        scores = recorder.score("analyst", prefix, suffixes, labels, deadline_seconds=5)
        writes = [Append(LLM_CALLS, context.stamp(recorder.rows(), cutoff=cutoff))]
    """

    def __init__(self, model: LanguageModel, known: pl.DataFrame | None = None) -> None:
        self.model = model
        self.reused = 0
        """Number of calls that were read from the record."""
        self.failed: PmError | None = None
        """Why the newest call that failed did; None if none has. A question that is refused is no failure."""
        self._rows: list[dict[str, Any]] = []
        self._calls: Counter[str] = Counter()
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        if known is not None:
            usable = known.filter(
                pl.col("valid") & pl.col("deadline_met") & (pl.col("model_sha256") == model.info.sha256)
            )
            for row in usable.select(KNOWN).iter_rows(named=True):
                self._known[row["role"], row["prompt_hash"]] = row

    def score(
        self, role: str, prefix: str, suffixes: Sequence[str], labels: Sequence[str], *, deadline_seconds: float
    ) -> Scores:
        """Return the log-probability of each label after each suffix; see `LanguageModel.score`.

        Parameters
        ----------
        role
            What the call is for: a word that `llm_calls` groups calls by.

        Raises
        ------
        ModelError
            As the model raises it; no row is written then.
        """
        known = self._known.get((role, score_hash(prefix, suffixes, labels)))
        if known is not None:
            self.reused += 1
            return Scores(json.loads(known["output"]), _call(known))
        with self._noting_failure():
            scores = self.model.score(prefix, suffixes, labels, deadline_seconds=deadline_seconds)
        self._note(role, scores.call, None, scores.values, is_valid=None not in scores.values)
        return scores

    def generate(
        self,
        role: str,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        seed: int,
        deadline_seconds: float,
        grammar: str | None = None,
        temperature: float = 0.7,
        is_valid: Callable[[str], bool] = bool,
    ) -> Generation:
        """Return the continuations of prompts; see `LanguageModel.generate`.

        Parameters
        ----------
        role
            What the call is for: a word that `llm_calls` groups calls by.
        is_valid
            Check of a text; the call counts as valid if all texts pass. By default a text must not be empty.

        Raises
        ------
        ModelError
            As the model raises it; no row is written then.
        """
        key = generate_hash(
            prompts,
            max_tokens=max_tokens,
            seed=seed,
            grammar=grammar,
            temperature=temperature,
            template_hash=self.model.info.template_hash,
        )
        known = self._known.get((role, key))
        if known is not None:
            self.reused += 1
            return Generation(json.loads(known["output"]), _call(known))
        with self._noting_failure():
            generation = self.model.generate(
                prompts,
                max_tokens=max_tokens,
                seed=seed,
                deadline_seconds=deadline_seconds,
                grammar=grammar,
                temperature=temperature,
            )
        passed = generation.call.is_complete and all(is_valid(text) for text in generation.texts)
        self._note(role, generation.call, seed, generation.texts, is_valid=passed)
        return generation

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the number of tokens of each text; see `LanguageModel.count_tokens`. No row is written of it."""
        with self._noting_failure():
            return self.model.count_tokens(texts)

    def knows(self, role: str) -> bool:
        """Return whether the record has a valid call of a role."""
        return any(known == role for known, _ in self._known)

    def as_role(self, role: str) -> LanguageModel:
        """Return the model for code that knows of no record: what it asks is written down as calls of a role."""
        return _InRole(self, role)

    def rows(self) -> pl.DataFrame:
        """Return a row of `llm_calls` for each call that was made, without the columns that a stage's stamp adds."""
        return pl.DataFrame(self._rows, schema=LLM_CALLS.unstamped_schema)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except RefusedQuestionError:
            raise
        except PmError as error:
            self.failed = error
            raise

    def _note(self, role: str, call: Call, seed: int | None, output: Any, *, is_valid: bool) -> None:  # noqa: ANN401 - JSON
        self._calls[role] += 1
        row = {
            "role": role,
            "call": self._calls[role],
            "model": self.model.info.name,
            "model_sha256": self.model.info.sha256,
            "prompt_hash": call.prompt_hash,
            "seed": seed,
            "prompt_tokens": call.prompt_tokens,
            "output_tokens": call.output_tokens,
            "seconds_to_first": call.seconds_to_first,
            "seconds": call.seconds,
            "processor_seconds": call.processor_seconds,
            "memory_bytes": call.memory_bytes,
            "deadline_seconds": call.deadline_seconds,
            "deadline_met": call.is_complete,
            "valid": is_valid and call.is_complete,
            "output": json.dumps(output, ensure_ascii=False),
        }
        self._rows.append(row)
        if row["valid"]:
            self._known[role, call.prompt_hash] = row


class _InRole:
    """A language model that asks a recorder in a role."""

    def __init__(self, recorder: Recorder, role: str) -> None:
        self._recorder = recorder
        self._role = role

    @property
    def info(self) -> ModelInfo:
        return self._recorder.model.info

    @property
    def restarts(self) -> int:
        return self._recorder.model.restarts

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return self._recorder.count_tokens(texts)

    def score(self, prefix: str, suffixes: Sequence[str], labels: Sequence[str], *, deadline_seconds: float) -> Scores:
        return self._recorder.score(self._role, prefix, suffixes, labels, deadline_seconds=deadline_seconds)

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
        return self._recorder.generate(
            self._role,
            prompts,
            max_tokens=max_tokens,
            seed=seed,
            deadline_seconds=deadline_seconds,
            grammar=grammar,
            temperature=temperature,
        )


def _call(row: dict[str, Any]) -> Call:
    """Return what the call took when it was made."""
    return Call(
        prompt_hash=row["prompt_hash"],
        prompt_tokens=row["prompt_tokens"],
        output_tokens=row["output_tokens"],
        seconds_to_first=row["seconds_to_first"],
        seconds=row["seconds"],
        processor_seconds=row["processor_seconds"],
        memory_bytes=row["memory_bytes"],
        deadline_seconds=row["deadline_seconds"],
        is_complete=row["deadline_met"],
    )
