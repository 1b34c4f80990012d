"""Read what the header of a GGUF file says of a model, without the engine.

A file that is damaged or is no language model is found here, before a native library has to cope with it. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import IO, TYPE_CHECKING, Any

from pm.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Gguf", "read_gguf"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
"""Versions of the format that are read; 1 had other lengths and is no longer made."""
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Codes of `struct` for the types of values of fixed size."""
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 1_000_000
"""Largest number of keys or tensors of a header that is believed."""
_MOST_DIMENSIONS = 4
_CHUNK = 2**20
"""Number of bytes that are read at once."""
_DEEPEST = 4
"""Largest depth of arrays within arrays that is read."""
_KEPT = 1024
"""Largest number of values of an array that are kept: those of the vocabulary are only counted."""
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66),
    17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
    35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""For each type of a tensor's values, how many of them a block holds, and its size in bytes."""
_QUANTISATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}  # fmt: skip
"""Names of the usual values of `general.file_type`."""
_EMBEDDERS = {"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert"}
"""Architectures that only embed texts."""


@dataclass(frozen=True)
class Gguf:
    """What the header of a GGUF file says of a model.

    Attributes
    ----------
    path
        The file.
    architecture
        Name of the architecture, such as 'llama' or 'qwen2'.
    name
        Name that the file gives the model; empty if it has none.
    quantisation
        Format of most weights, such as 'Q8_0'.
    context_tokens
        Number of tokens that the model was trained to read.
    vocabulary
        Number of different tokens.
    chat_template
        Template of a chat, in Jinja; None if the file has none.
    bytes
        Size of the file.
    cache_bytes_per_token
        Memory that the cache takes for each token of the context, with values of 16 bits.
    """

    path: Path
    architecture: str
    name: str
    quantisation: str
    context_tokens: int
    vocabulary: int
    chat_template: str | None
    bytes: int
    cache_bytes_per_token: int

    def memory_bytes(self, context_tokens: int, outputs: int) -> int:
        """Return about how much memory the model takes when it is loaded.

        Parameters
        ----------
        context_tokens
            Number of tokens of the context.
        outputs
            Largest number of tokens whose probabilities are asked for at once.
        """
        return self.bytes + context_tokens * self.cache_bytes_per_token + 4 * outputs * self.vocabulary + _OVERHEAD


_OVERHEAD = 200 * 1024**2
"""Memory in bytes of the process beside weights, cache and outputs: Python, buffers of the computation."""


def read_gguf(path: Path) -> Gguf:
    """Return what a GGUF file says of its model.

    Raises
    ------
    ModelError
        The file cannot be read, is not GGUF, is cut off or damaged, or holds no model that writes text.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(path, file, size)
    except _DamagedError as problem:
        raise ModelError(str(problem), where=str(path), hint=problem.hint) from None
    except OSError as error:
        raise ModelError(
            f"The model cannot be read: {error.strerror}.", where=str(path), hint="check the path and its permissions"
        ) from None


class _DamagedError(Exception):
    """The file is not what it should be."""

    def __init__(self, what: str, hint: str = "fetch the file again; it should be a language model in GGUF") -> None:
        super().__init__(what)
        self.hint = hint


_CUT = "The file is cut off: its header says that there is more than the file holds."


def _read(path: Path, file: IO[bytes], size: int) -> Gguf:
    if size == 0:
        raise _DamagedError("The file is empty.")
    reader = _Reader(file, size)
    if size < len(_MAGIC) or reader.bytes(len(_MAGIC)) != _MAGIC:
        raise _DamagedError("This is not a GGUF file: it does not begin with the four letters GGUF.")
    version = reader.number("I")
    if version not in _VERSIONS:
        swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big") in _VERSIONS
        raise _DamagedError(
            "The file is written for machines of the other byte order (big-endian)."
            if swapped
            else f"The file has version {version} of GGUF, and only versions 2 and 3 are known."
        )
    tensors, keys = reader.count("tensors"), reader.count("keys")
    values: dict[str, Any] = {}
    for _ in range(keys):
        key = reader.text()
        values[key] = reader.value(reader.number("I"))
    end = max((reader.tensor_end() for _ in range(tensors)), default=0)
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 2**20:
        raise _DamagedError("The header is damaged: the alignment is no number that it could be.")
    start = -(-reader.position // alignment) * alignment
    if start + end > size:
        raise _DamagedError(f"The file is cut off: it has {size:,} bytes, and its weights end at {start + end:,}.")
    if tensors == 0:
        raise _DamagedError("The file holds a vocabulary only, and no weights.")
    return _model(path, values, size)


def _model(path: Path, values: Mapping[str, Any], size: int) -> Gguf:
    """Return the model that the header's values describe."""
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise _DamagedError("The header does not name the model's architecture.")
    if _is_embedder(architecture, values):
        raise _DamagedError(
            f"This is an embedding model ({architecture}): it cannot score or write text.", "choose a model that writes"
        )
    kind = values.get("general.type", "model")
    if kind != "model":
        raise _DamagedError(f"The file holds no model by itself: its type is {kind!r}.", "choose a whole model")
    tokens = values.get("tokenizer.ggml.tokens")
    if tokens is None:
        raise _DamagedError("The file has no vocabulary: it is a part of a model, such as one of images.")
    template = values.get("tokenizer.chat_template")
    name = values.get("general.name", "")
    file_type = values.get("general.file_type")
    return Gguf(
        path=path,
        architecture=architecture,
        name=name if isinstance(name, str) else "",
        quantisation=_QUANTISATIONS.get(file_type, f"type {file_type}") if isinstance(file_type, int) else "unknown",
        context_tokens=_whole(values, f"{architecture}.context_length"),
        vocabulary=tokens.length if isinstance(tokens, _Array) else 0,
        chat_template=template if isinstance(template, str) and template.strip() else None,
        bytes=size,
        cache_bytes_per_token=_cache_bytes(architecture, values),
    )


def _is_embedder(architecture: str, values: Mapping[str, Any]) -> bool:
    pooled = values.get(f"{architecture}.pooling_type", 0) not in (0, None)
    return architecture in _EMBEDDERS or pooled or values.get(f"{architecture}.attention.causal") is False


def _whole(values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Return a whole number above 0 of the header; the largest, where each layer has its own."""
    value = values.get(key, default)
    if isinstance(value, _Array):
        value = max((item for item in value.kept if isinstance(item, int)), default=None)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**40:
        raise _DamagedError(f"The header is damaged: {key} is missing, or no number that it could be.")
    return value


def _cache_bytes(architecture: str, values: Mapping[str, Any]) -> int:
    """Return the bytes of keys and values of 16 bits that a token takes in all layers."""
    layers = _whole(values, f"{architecture}.block_count")
    heads = _whole(values, f"{architecture}.attention.head_count", 1)
    shared = _whole(values, f"{architecture}.attention.head_count_kv", heads)
    width = -(-_whole(values, f"{architecture}.embedding_length") // heads)
    key = _whole(values, f"{architecture}.attention.key_length", width)
    value = _whole(values, f"{architecture}.attention.value_length", width)
    return 2 * layers * shared * (key + value)


@dataclass(frozen=True)
class _Array:
    """An array of the header: its length, and its first values."""

    length: int
    kept: tuple[Any, ...]


class _Reader:
    """Reads the header, and never more than the file holds."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._held = b""
        self.position = 0
        """Number of bytes read."""

    def bytes(self, length: int) -> bytes:
        start = self._advance(length)
        return self._held[start : start + length]

    def number(self, code: str) -> Any:  # noqa: ANN401 - what the code says
        start = self._advance(struct.calcsize(f"<{code}"))
        return struct.unpack_from(f"<{code}", self._held, start)[0]

    def count(self, kind: str) -> int:
        found = int(self.number("Q"))
        if found > _MOST_ENTRIES:
            raise _DamagedError(f"The header is damaged: it says that there are {found:,} {kind}.")
        return found

    def text(self) -> str:
        return self.bytes(self.number("Q")).decode("utf-8", errors="replace")

    def value(self, kind: int, depth: int = 0) -> Any:  # noqa: ANN401 - what the header says
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth >= _DEEPEST:
            raise _DamagedError("The header is damaged: a value has an unknown type.")
        inner, length = self.number("I"), self.number("Q")
        if length > self._size - self.position:  # each value takes at least a byte
            raise _DamagedError(_CUT)
        if inner in _SCALARS:
            raw = self.bytes(struct.calcsize(f"<{_SCALARS[inner]}") * length)
            return _Array(length, struct.unpack_from(f"<{min(length, _KEPT)}{_SCALARS[inner]}", raw))
        if inner == _STRING:
            for _ in range(length):
                self._advance(self.number("Q"))
            return _Array(length, ())
        return _Array(length, tuple([self.value(inner, depth + 1) for _ in range(length)][:_KEPT]))

    def tensor_end(self) -> int:
        """Read the description of a tensor, and return where its values end, counted from the first one's."""
        self.text()
        dimensions = self.number("I")
        if not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise _DamagedError(f"The header is damaged: a tensor has {dimensions:,} dimensions.")
        values = prod(int(self.number("Q")) for _ in range(dimensions))
        kind, offset = self.number("I"), int(self.number("Q"))
        per_block, size = _BLOCKS.get(kind, (1, 0))  # of a type made later only the beginning is known
        return offset + values // per_block * size

    def _advance(self, length: int) -> int:
        """Go past some bytes, and return where they begin in what is held."""
        if length > self._size - self.position:
            raise _DamagedError(_CUT)
        begin = self._file.tell() - len(self._held)
        start = self.position - begin
        if start + length > len(self._held):
            self._held = self._held[start:] + self._file.read(max(_CHUNK, length))
            start = 0
            if len(self._held) < length:  # it became shorter while it was read
                raise _DamagedError(_CUT)
        self.position += length
        return start
