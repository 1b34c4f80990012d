"""What the tests of the language model share: an engine with the default model, and files of other models."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from pm.llm.engine import Engine, EngineOptions
from pm.llm.gguf import read_gguf
from pm.llm.models import DEFAULT_FILE, Model, find_models
from pm.llm.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@pytest.fixture(scope="session")
def default_model(models_folder: Path) -> Model:
    return find_models(models_folder)[0]


@pytest.fixture(scope="session")
def options(models_folder: Path) -> EngineOptions:
    path = models_folder / DEFAULT_FILE
    return EngineOptions(
        path=path,
        name="default",
        sha256=Registry(models_folder).sha256(path),
        context_tokens=1024,
        batch_size=8,
        threads=1,
        chat_template=read_gguf(path).chat_template,
    )


@pytest.fixture(scope="session")
def engine(options: EngineOptions) -> Iterator[Engine]:
    """An engine that tests only ask, and that none of them may end."""
    with Engine(options) as loaded:
        yield loaded
        assert loaded.restarts == 0


KEYS: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 7,
    "llama.context_length": 2048,
    "llama.embedding_length": 64,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.chat_template": "{{ messages[0].content }}",
}


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a GGUF file with a header of these keys, and one tensor of 32 values of 8 bits."""

    def write(
        name: str = "tiny.gguf",
        *,
        without: str = "",
        padding: int = 0,
        tensors: int = 1,
        version: int = 3,
        **changed: Any,  # noqa: ANN401 - a value of the header
    ) -> Path:
        keys = {key: value for key, value in KEYS.items() if key != without}
        keys |= {key.replace("__", "."): value for key, value in changed.items()}
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gguf_bytes(keys, tensors=tensors, version=version) + b"\0" * padding)
        return path

    return write


def gguf_bytes(keys: Mapping[str, Any], *, tensors: int = 1, version: int = 3) -> bytes:
    header = b"GGUF" + struct.pack("<IQQ", version, tensors, len(keys))
    for key, value in keys.items():
        header += _text(key) + _value(value)
    for number in range(tensors):
        header += _text(f"t{number}") + struct.pack("<IQIQ", 1, 32, 8, 64 * number)
    return header + b"\0" * (-len(header) % 32) + b"\0" * (64 * tensors)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:  # noqa: ANN401 - a value of the header
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case list() if value and isinstance(value[0], str):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(_text(item) for item in value)
        case list():
            return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
    raise AssertionError(value)
