from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from pm.llm.models import find_models
from pm.llm.ollama import ollama_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.models import Model

DIGEST = "5" * 64
WEIGHTS = "application/vnd.ollama.image.model"


@pytest.fixture
def pulled(tmp_path: Path, write_gguf: Callable[..., Path]) -> Callable[..., Path]:
    """A function that puts a model into a store, and returns the store's folder."""

    def pull(
        name: str = "registry.ollama.ai/library/tiny/latest",
        *,
        digest: str = DIGEST,
        layers: list[dict[str, Any]] | None = None,
        blob: bytes | None = None,
        folder: str = "store",
    ) -> Path:
        root = tmp_path / folder
        manifest = root.joinpath("manifests", *name.split("/"))
        manifest.parent.mkdir(parents=True, exist_ok=True)
        (root / "blobs").mkdir(exist_ok=True)
        content = write_gguf("source.gguf").read_bytes() if blob is None else blob
        (root / "blobs" / f"sha256-{DIGEST}").write_bytes(content)
        usual = [
            {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'7' * 64}", "size": 3},
            {"mediaType": WEIGHTS, "digest": f"sha256:{digest}", "size": len(content)},
        ]
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": usual if layers is None else layers}))
        return root

    return pull


def problem(root: Path) -> str:
    (model,) = ollama_models([root])
    assert model.problem is not None
    return model.problem


def test_a_model_is_found_where_ollama_keeps_it(pulled: Callable[..., Path]) -> None:
    root = pulled()
    (model,) = ollama_models([root])
    assert (model.name, model.problem, model.sha256) == ("tiny:latest", None, DIGEST)
    assert model.path == root / "blobs" / f"sha256-{DIGEST}"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("registry.ollama.ai/library/qwen2.5/14b", "qwen2.5:14b"),
        ("registry.ollama.ai/someone/tiny/q4", "someone/tiny:q4"),
        ("hf.co/someone/tiny-GGUF/Q4_K_M", "hf.co/someone/tiny-GGUF:Q4_K_M"),
    ],
)
def test_names_are_as_ollama_shows_them(pulled: Callable[..., Path], stored: str, shown: str) -> None:
    (model,) = ollama_models([pulled(stored)])
    assert model.name == shown


def test_of_two_stores_the_first_counts(pulled: Callable[..., Path], tmp_path: Path) -> None:
    first, second = pulled(), pulled(folder="other")
    (model,) = ollama_models([tmp_path / "nothing", first, second])
    assert model.path.is_relative_to(first)


def test_what_cannot_be_run_is_refused_with_the_reason(pulled: Callable[..., Path]) -> None:
    assert "another machine" in problem(pulled(layers=[]))
    assert "by its hash" in problem(pulled(digest="../../../etc/passwd"))
    assert "by its hash" in problem(pulled(digest="5" * 63))
    assert "split" in problem(pulled(layers=[{"mediaType": WEIGHTS, "digest": f"sha256:{DIGEST}"}] * 2))
    assert "missing" in problem(pulled(digest="6" * 64))
    assert "manifest" in problem(pulled(layers=[{"mediaType": WEIGHTS, "digest": f"sha256:{DIGEST}", "size": 9}]))


def test_a_model_that_is_still_being_pulled_is_refused(pulled: Callable[..., Path]) -> None:
    root = pulled()
    blob = root / "blobs" / f"sha256-{DIGEST}"
    blob.rename(blob.with_name(f"{blob.name}-partial"))
    assert "not pulled all" in problem(root)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"layers": 3}', '{"layers": [3]}', "\0", "[" * 200_000, '{"layers":' * 100_000]
)
def test_a_damaged_manifest_is_refused(pulled: Callable[..., Path], text: str) -> None:
    root = pulled()
    (root / "manifests/registry.ollama.ai/library/tiny/latest").write_text(text)
    assert "cannot be read" in problem(root)


@pytest.mark.posix
def test_a_folder_that_can_be_listed_and_not_entered_is_passed_over(
    pulled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pulled()
    folder = root / "manifests/registry.ollama.ai/library/tiny"
    stat = os.stat

    def refuse(path: Any, *arguments: Any, **named: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat; root may enter
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", refuse)
    assert ollama_models([root]) == []


def test_weights_that_are_no_gguf_are_refused_by_their_content(pulled: Callable[..., Path], tmp_path: Path) -> None:
    root = pulled(blob=b"PK\3\4 safetensors or so")
    found = {model.name: model for model in find_models(tmp_path / "models", [root])}
    assert "not a GGUF file" in str(found["tiny:latest"].problem)
    assert found["tiny:latest"].header is None


def test_the_real_model_runs_from_a_store(pulled: Callable[..., Path], default_model: Model, tmp_path: Path) -> None:
    from pm.llm.opening import load
    from pm.llm.registry import Registry
    from pm.settings import load_settings

    root = pulled(blob=b"")
    blob = root / "blobs" / f"sha256-{DIGEST}"
    blob.unlink()
    os.link(default_model.path, blob)
    manifest = root / "manifests/registry.ollama.ai/library/tiny/latest"
    manifest.write_text(json.dumps({"layers": [{"mediaType": WEIGHTS, "digest": f"sha256:{DIGEST}"}]}))
    folder = tmp_path / "models"
    (model,) = [model for model in find_models(folder, [root]) if model.origin == "ollama"]
    with load(model, load_settings().llm, Registry(folder)) as engine:
        assert engine.info.name == "tiny:latest"
        assert engine.score("One, two,", [""], [" three", " cow"], deadline_seconds=60).values[0] is not None
    assert list(folder.glob("*.gguf")) == []  # run in place
