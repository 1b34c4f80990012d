from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pm.errors import ModelError
from pm.llm.gguf import read_gguf

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.llm.models import Model


def test_the_header_says_what_the_model_is(write_gguf: Callable[..., Path]) -> None:
    path = write_gguf()
    found = read_gguf(path)
    assert (found.architecture, found.name, found.quantisation) == ("llama", "Tiny", "Q8_0")
    assert (found.context_tokens, found.vocabulary, found.bytes) == (2048, 3, path.stat().st_size)
    assert found.chat_template == "{{ messages[0].content }}"
    # 2 layers, 2 heads of 16 values, keys and values, 2 bytes each.
    assert found.cache_bytes_per_token == 2 * 2 * (16 + 16) * 2


def test_the_default_model_is_what_its_authors_say(default_model: Model) -> None:
    found = read_gguf(default_model.path)
    assert (found.architecture, found.quantisation, found.context_tokens) == ("llama", "Q8_0", 8192)
    assert found.vocabulary == 49_152
    assert "<|im_start|>" in (found.chat_template or "")
    assert found.cache_bytes_per_token == 30 * 3 * (64 + 64) * 2  # 30 layers, 3 shared heads of 64


def test_layers_can_have_heads_of_their_own(write_gguf: Callable[..., Path]) -> None:
    found = read_gguf(write_gguf(llama__attention__head_count_kv=[1, 2]))
    assert found.cache_bytes_per_token == 2 * 2 * (16 + 16) * 2


@pytest.mark.parametrize("template", ["", "  "])
def test_a_model_can_have_no_template(write_gguf: Callable[..., Path], template: str) -> None:
    assert read_gguf(write_gguf(tokenizer__chat_template=template)).chat_template is None
    assert read_gguf(write_gguf(without="tokenizer.chat_template")).chat_template is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"general__architecture": "bert"}, "embedding model"),
        ({"llama__pooling_type": 1}, "embedding model"),
        ({"llama__attention__causal": False}, "embedding model"),
        ({"without": "tokenizer.ggml.tokens"}, "no vocabulary"),
        ({"without": "general.architecture"}, "does not name"),
        ({"without": "llama.context_length"}, r"llama\.context_length is missing"),
        ({"llama__context_length": 0}, r"llama\.context_length"),
        ({"llama__block_count": "many"}, r"llama\.block_count"),
        ({"general__type": "adapter"}, "holds no model by itself"),
        ({"general__alignment": 0}, "alignment"),
        ({"tensors": 0}, "vocabulary only"),
        ({"version": 1}, "version 1"),
        ({"version": 3 << 24}, "byte order"),
    ],
)
def test_a_file_that_is_no_language_model_is_refused(
    write_gguf: Callable[..., Path], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_gguf(write_gguf(**changed))
    assert caught.value.where.endswith("tiny.gguf")
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"GG", b"GGUF", b"Once upon a time\n" * 100, b"GGML" + bytes(1000)])
def test_a_text_named_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"empty|not a GGUF file|cut off"):
        read_gguf(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.gguf", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            read_gguf(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_file_that_is_cut_anywhere_is_refused(write_gguf: Callable[..., Path], data: st.DataObject) -> None:
    path = write_gguf()
    whole = path.read_bytes()
    # The last tensor has 34 bytes of values, and is followed by 30 of padding.
    length = data.draw(st.integers(0, len(whole) - 31))
    path.write_bytes(whole[:length])
    with pytest.raises(ModelError):
        read_gguf(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_changed_bytes_end_in_a_model_or_a_refusal(write_gguf: Callable[..., Path], data: st.DataObject) -> None:
    path = write_gguf()
    content = bytearray(path.read_bytes())
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(4, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=6)
    ):
        content[place] = value
    path.write_bytes(content)
    try:
        found = read_gguf(path)
    except ModelError:
        return
    assert found.context_tokens > 0
    assert found.memory_bytes(1024, 32) > 0


def test_the_real_file_cut_by_one_byte_is_refused(default_model: Model, tmp_path: Path) -> None:
    copy = Path(shutil.copy(default_model.path, tmp_path / "cut.gguf"))
    with copy.open("r+b") as file:
        file.truncate(copy.stat().st_size - 33)  # more than the padding at the end
    with pytest.raises(ModelError, match="cut off: it has"):
        read_gguf(copy)
