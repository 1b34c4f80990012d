"""The process that holds a model: it answers one question after another from a pipe, and ends with its parent."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from pm.llm.base import Prompt
    from pm.llm.native import Native

__all__ = [
    "CountTokens",
    "Failed",
    "Generate",
    "Load",
    "Refused",
    "Reply",
    "Requantise",
    "Request",
    "Score",
    "Spent",
    "serve",
]


@dataclass(frozen=True)
class Load:
    """Load a model and measure its noise; the reply's value is the noise and the tokens of the context."""

    path: str
    context_tokens: int
    batch_size: int
    threads: int
    chat_template: str | None


@dataclass(frozen=True)
class CountTokens:
    """Count the tokens of texts; the reply's value is a list of numbers."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """Score labels; the reply's value is a list of scores for each suffix, or None."""

    prefix: str
    suffixes: tuple[str, ...]
    labels: tuple[str, ...]
    deadline_seconds: float


@dataclass(frozen=True)
class Generate:
    """Write; the reply's value is a list of texts."""

    prompts: tuple[Prompt, ...]
    max_tokens: int
    seed: int
    temperature: float
    grammar: str | None
    deadline_seconds: float


@dataclass(frozen=True)
class Requantise:
    """Write a model with weights of 8 bits; the reply has no value."""

    source: str
    target: str
    threads: int


Request = Load | CountTokens | Score | Generate | Requantise


@dataclass(frozen=True)
class Spent:
    """What a request took; see `pm.llm.base.Call`."""

    prompt_tokens: int = 0
    output_tokens: int = 0
    seconds_to_first: float = 0.0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    memory_bytes: int = 0
    is_complete: bool = True


@dataclass(frozen=True)
class Reply:
    """An answer."""

    value: Any
    spent: Spent


@dataclass(frozen=True)
class Refused:
    """The question cannot be answered: what is wrong with it, and what to do. The next one can."""

    what: str
    hint: str


@dataclass(frozen=True)
class Failed:
    """An error that nobody foresaw, as text."""

    error: str


def serve(connection: Connection) -> None:
    """Answer requests until the parent closes the pipe or ends.

    What llama.cpp prints as it ends the process would disturb the parent's terminal: standard output and error lead
    nowhere. Ctrl-C, which the terminal sends to this process too, is the parent's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    owner = _Owner()
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):
            return
        answer = owner.answer(request)
        try:
            connection.send(answer)
        except OSError:
            return


@dataclass
class _Owner:
    """Holds the model, and answers."""

    native: Native | None = None
    batch_size: int = 1
    chat_template: str | None = None
    started: float = 0.0
    first: float | None = field(default=None)

    def answer(self, request: Request) -> Reply | Refused | Failed:
        from pm.llm.native import RefusedError

        self.started, self.first = time.monotonic(), None
        computed = time.process_time()
        try:
            value, spent = self._value(request)
        except RefusedError as error:
            return Refused(error.what, error.hint)
        except Exception as error:  # noqa: BLE001 - the parent is told, and decides
            return Failed(f"{type(error).__name__}: {error}")
        finally:
            if self.native is not None:
                self.native.deadline = float("inf")
        seconds = time.monotonic() - self.started
        return Reply(
            value,
            Spent(
                spent.prompt_tokens,
                spent.output_tokens,
                seconds if self.first is None else self.first,
                seconds,
                time.process_time() - computed,
                _memory_bytes(),
                spent.is_complete,
            ),
        )

    def _value(self, request: Request) -> tuple[Any, Spent]:
        match request:
            case Load():
                return self._load(request), Spent()
            case Requantise():
                from pm.llm.native import requantise

                requantise(request.source, request.target, request.threads)
                return None, Spent()
            case CountTokens():
                return [len(self._loaded.tokens(text)) for text in request.texts], Spent()
            case Score():
                return self._score(request)
            case Generate():
                return self._generate(request)

    @property
    def _loaded(self) -> Native:
        assert self.native is not None  # noqa: S101 - the parent loads first
        return self.native

    def _load(self, request: Load) -> tuple[float, int]:
        from pm.llm.native import Native
        from pm.llm.noise import measured_noise

        self.native = Native(
            request.path,
            context_tokens=request.context_tokens,
            sequences=request.batch_size,
            threads=request.threads,
        )
        self.batch_size = request.batch_size
        self.chat_template = request.chat_template
        return measured_noise(self.native), self.native.context_tokens

    def _score(self, request: Score) -> tuple[Sequence[Sequence[float] | None], Spent]:
        from pm.llm.scoring import score

        self._loaded.deadline = self.started + request.deadline_seconds
        scored = score(
            self._loaded,
            request.prefix,
            request.suffixes,
            request.labels,
            batch_size=self.batch_size,
            on_first=self._note_first,
        )
        return scored.values, Spent(scored.prompt_tokens, scored.output_tokens, is_complete=scored.is_complete)

    def _generate(self, request: Generate) -> tuple[Sequence[str], Spent]:
        from pm.llm.writing import write

        self._loaded.deadline = self.started + request.deadline_seconds
        written = write(
            self._loaded,
            [self._prompt_tokens(prompt) for prompt in request.prompts],
            max_tokens=request.max_tokens,
            seed=request.seed,
            temperature=request.temperature,
            grammar=request.grammar,
            batch_size=self.batch_size,
            on_first=self._note_first,
        )
        return written.texts, Spent(written.prompt_tokens, written.output_tokens, is_complete=written.is_complete)

    def _prompt_tokens(self, prompt: Prompt) -> list[int]:
        from pm.llm.chat import chat_tokens

        if isinstance(prompt, str):
            return self._loaded.tokens(prompt, begins=True)
        return chat_tokens(self._loaded, self.chat_template, prompt)

    def _note_first(self) -> None:
        if self.first is None:
            self.first = time.monotonic() - self.started


def _memory_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
