"""Own a model and a context of llama.cpp by its low-level interface: tokens, decoding, and a deadline.

Only the child process that `pm.llm.child` runs in imports this. llama.cpp ends the process where it is used wrongly:
with a sequence that the context does not have, with two threads at once, after it was closed, or after a fork. So it is
called from one thread only, with numbers that were checked before.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llama_cpp as api
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LateError", "Native", "RefusedError", "Token", "requantise", "shared_length"]

_AT_ONCE = 512
"""Largest number of tokens of one call of `llama_decode`; what a call has read is kept when the next one is late."""
_BYTES_PER_TOKEN = 64
"""Number of bytes of a text for each token of the context beyond which it is refused unread: no token is that long on
average, and a text of megabytes takes seconds to take apart."""
_ABORTED = 2
"""What `llama_decode` returns when the deadline stopped it."""


class RefusedError(Exception):
    """A question cannot be asked, or a file not be loaded: what is wrong, and what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint


class LateError(Exception):
    """The deadline stopped the computation."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token to read: its number, its position, its sequence, and whether the next one's probabilities are wanted."""

    number: int
    position: int
    sequence: int
    is_wanted: bool = False


_LOG: deque[str] = deque(maxlen=20)
"""The newest warnings and errors of llama.cpp: why it refused a file is only said there."""
_WARNING = 3


@api.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: Any) -> None:  # noqa: ANN401 - ctypes' own
    if level >= _WARNING:
        _LOG.append(text.decode("utf-8", errors="replace").strip())


def _silence() -> None:
    """Keep what llama.cpp says from the terminal; its newest errors are kept for messages."""
    api.llama_log_set(_log, ctypes.c_void_p(0))


def _last_errors() -> str:
    said = [line for line in _LOG if line and not line.startswith(("~", "."))]
    return "; ".join(said[-2:]) or "llama.cpp does not say why"


class Native:
    """A model and a context.

    Parameters
    ----------
    path
        The model's file.
    context_tokens
        Number of tokens of the context, which all sequences share.
    sequences
        Number of sequences beside the one that holds the prefix.
    threads
        Number of threads.

    Raises
    ------
    RefusedError
        llama.cpp cannot load the file, or there is not enough memory for the context.
    """

    def __init__(self, path: str, *, context_tokens: int, sequences: int, threads: int) -> None:
        _silence()
        api.llama_backend_init()
        model_params = api.llama_model_default_params()
        model_params.n_gpu_layers = 0
        encoded = path.encode() if os.name == "nt" else os.fsencode(path)
        self.model: Any = api.llama_model_load_from_file(encoded, model_params)
        if not self.model:
            raise RefusedError(f"llama.cpp cannot load the model: {_last_errors()}.", "choose another model")
        self.vocabulary: Any = api.llama_model_get_vocab(self.model)
        params = api.llama_context_default_params()
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = min(context_tokens, _AT_ONCE)
        params.n_seq_max = sequences + 1
        self.outputs = sequences + 1
        params.n_outputs_max = self.outputs
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True  # sequences share the prefix's cells
        params.no_perf = True
        self.deadline = float("inf")
        """Time of `time.monotonic` at which a computation stops."""
        self._is_late = api.ggml_abort_callback(lambda _: time.monotonic() >= self.deadline)
        params.abort_callback = self._is_late
        self.context: Any = api.llama_init_from_model(self.model, params)
        if not self.context:
            raise RefusedError(
                f"There is no context of {context_tokens:,} tokens for the model: {_last_errors()}.",
                "lower llm.context_tokens, or choose a smaller model",
            )
        self.memory: Any = api.llama_get_memory(self.context)
        if not self.memory or not api.llama_model_has_decoder(self.model):
            raise RefusedError("The model only embeds texts: it cannot score or write text.", "choose another model")
        self.context_tokens = int(api.llama_n_ctx(self.context))
        self.sequences = sequences
        self.tokens_in_vocabulary = int(api.llama_vocab_n_tokens(self.vocabulary))
        self._room = int(params.n_batch)
        self._batch = api.llama_batch_init(self._room, 0, 1)
        self._prefix: list[int] = []

    def tokens(self, text: str, *, begins: bool = False, marks: bool = False) -> list[int]:
        """Return the tokens of a text.

        Parameters
        ----------
        begins
            Whether a prompt begins with it, so that the model's mark of a beginning belongs before it.
        marks
            Whether marks of a chat in it are read as marks. Never so for a text that somebody else wrote.

        Raises
        ------
        RefusedError
            The text is so long that it exceeds the context in any case.
        """
        raw = text.encode("utf-8", errors="replace")
        if len(raw) > _BYTES_PER_TOKEN * self.context_tokens:
            raise RefusedError(
                f"A text of {len(raw):,} bytes is too long for the model, which reads {self.context_tokens:,} tokens.",
                "shorten the text",
            )
        room = len(raw) + 8
        found = (api.llama_token * room)()
        count = api.llama_tokenize(self.vocabulary, raw, len(raw), found, room, begins, marks)
        if count < 0:  # more tokens than bytes
            found = (api.llama_token * -count)()
            count = api.llama_tokenize(self.vocabulary, raw, len(raw), found, -count, begins, marks)
        return list(found[:count])

    def piece(self, token: int) -> bytes:
        """Return the text of a token, as bytes: a letter can need several tokens. A mark of a chat has none."""
        buffer = ctypes.create_string_buffer(256)
        length = api.llama_token_to_piece(self.vocabulary, token, buffer, 256, 0, False)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = api.llama_token_to_piece(self.vocabulary, token, buffer, -length, 0, False)
        return buffer.raw[:length]

    def decode(self, tokens: Sequence[Token]) -> Iterator[list[tuple[int, int]]]:
        """Read tokens, in as many calls as they need.

        Yields
        ------
        After each call, for each wanted token that it read: its place among the tokens, and its place in the batch, by
        which its output is asked for. The next call overwrites the outputs.

        Raises
        ------
        LateError
            The deadline has passed. What the sequences of these tokens hold is then undefined.
        RefusedError
            llama.cpp failed.
        """
        start = 0
        while start < len(tokens):
            wanted: list[tuple[int, int]] = []
            count = 0
            batch = self._batch
            while start + count < len(tokens) and count < self._room:
                token = tokens[start + count]
                if token.is_wanted and len(wanted) == self.outputs:
                    break
                assert 0 <= token.sequence <= self.sequences  # noqa: S101 - llama.cpp would end the process
                batch.token[count] = token.number
                batch.pos[count] = token.position
                batch.n_seq_id[count] = 1
                batch.seq_id[count][0] = token.sequence
                batch.logits[count] = token.is_wanted
                if token.is_wanted:
                    wanted.append((start + count, count))
                count += 1
            batch.n_tokens = count
            if time.monotonic() >= self.deadline:
                raise LateError
            status = api.llama_decode(self.context, batch)
            if status == _ABORTED:
                raise LateError
            if status != 0:
                raise RefusedError(
                    f"llama.cpp cannot read {count:,} tokens (code {status}): {_last_errors()}.",
                    "lower llm.batch_size, or raise llm.context_tokens",
                )
            start += count
            yield wanted

    def log_probabilities(self, place: int, numbers: Sequence[int]) -> list[float]:
        """Return the natural logarithms of the probabilities of tokens after one at a place of the batch."""
        pointer = api.llama_get_logits_ith(self.context, place)
        logits = np.ctypeslib.as_array(pointer, shape=(self.tokens_in_vocabulary,))
        largest = float(logits.max())
        total = largest + float(np.log(np.exp(logits - np.float32(largest)).sum(dtype=np.float64)))
        return [float(logits[number]) - total for number in numbers]

    def read_prefix(self, tokens: Sequence[int]) -> int:
        """Make sequence 0 hold a prefix, and return how many tokens had to be read; what it holds already is kept.

        Raises
        ------
        LateError
            The deadline has passed; nothing is held then.
        """
        common = shared_length(self._prefix, tokens)
        if common < len(self._prefix) and not api.llama_memory_seq_rm(self.memory, 0, common, -1):
            common = 0  # a recurrent model cannot forget only the end
        if common == 0:
            self.clear()
        self._prefix = self._prefix[:common]
        try:
            for _ in self.decode([Token(number, place, 0) for place, number in enumerate(tokens) if place >= common]):
                pass
        except BaseException:
            self.clear()
            raise
        self._prefix = list(tokens)
        return len(tokens) - common

    def share_prefix(self, sequence: int, length: int) -> None:
        """Begin a sequence with the first tokens of the prefix."""
        if length:
            api.llama_memory_seq_cp(self.memory, 0, sequence, 0, length)

    def forget(self, sequence: int, position: int = -1) -> None:
        """Remove a sequence's tokens from a position on, or all."""
        api.llama_memory_seq_rm(self.memory, sequence, position, -1)

    def clear(self) -> None:
        """Remove all sequences, the prefix too."""
        api.llama_memory_clear(self.memory, False)
        self._prefix = []


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the number of tokens that two sequences have in common at their beginning."""
    length = 0
    for mine, yours in zip(one, other, strict=False):
        if mine != yours:
            break
        length += 1
    return length


def requantise(source: str, target: str, threads: int) -> None:
    """Write a model with weights of 8 bits (Q8_0).

    Raises
    ------
    RefusedError
        llama.cpp cannot read or write the file.
    """
    _silence()
    api.llama_backend_init()
    params = api.llama_model_quantize_default_params()
    params.ftype = api.LLAMA_FTYPE_MOSTLY_Q8_0
    params.allow_requantize = True
    params.nthread = threads
    status = api.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params))
    if status != 0:
        raise RefusedError(f"llama.cpp cannot requantise the model: {_last_errors()}.", "check the space on the disk")
