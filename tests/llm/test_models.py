from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from pm.errors import InputError, ModelError
from pm.llm.adding import add_model
from pm.llm.gguf import read_gguf
from pm.llm.models import (
    DEFAULT_FILE,
    choose_model,
    find_models,
    prepare_default,
    problem_of,
    require_model,
)
from pm.llm.opening import ModelOfRun, load
from pm.llm.registry import Registry
from pm.settings import LlmSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.gguf import Gguf
    from pm.llm.models import Model

PLENTY = 64 * 2**30


def with_chain(*names: str) -> LlmSettings:
    return load_settings().llm.model_copy(update={"chain": list(names)})


def test_the_default_model_is_made_once_and_its_hash_recorded(tmp_path: Path, default_model: Model) -> None:
    del default_model  # skips where the package is not installed
    folder, said = tmp_path / "models", list[str]()
    (model,) = find_models(folder)
    assert (model.name, model.is_default, model.source is not None) == ("default", True, True)
    made = prepare_default(model, Registry(folder), said.append)
    assert [file.name for file in sorted(folder.iterdir())] == [DEFAULT_FILE, "models.json"]
    digest = hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert digest in said[1]
    assert "Requantising" in said[0]
    assert model.source is not None
    registry = Registry(folder)
    assert registry.sha256(made.path) == digest
    assert registry.made_from(made.path) == hashlib.sha256(model.source.read_bytes()).hexdigest()
    (again,) = find_models(folder)
    assert again.source is None
    assert prepare_default(again, registry, said.append) is again
    assert len(said) == 2


def test_a_default_model_that_is_damaged_is_made_anew(tmp_path: Path, default_model: Model) -> None:
    del default_model
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / DEFAULT_FILE).write_bytes(b"GGUF and then the power failed")
    (model,) = find_models(folder)
    assert model.problem is None
    assert model.source is not None


def test_the_chain_chooses_by_what_is_here_fits_and_was_fast(tmp_path: Path, write_gguf: Callable[..., Path]) -> None:
    for name in ("big", "small"):
        write_gguf(f"{name}.gguf")
    registry = Registry(tmp_path)
    models = [model for model in find_models(tmp_path) if not model.is_default]
    settings = with_chain("absent", "big", "small")

    def chosen(free: int = PLENTY) -> tuple[str | None, list[str]]:
        choice = choose_model(models, settings, registry, free)
        return choice.model.name if choice.model else None, [reason for _, reason in choice.passed_over]

    untimed = "It was not timed here yet: pm models bench."
    assert chosen() == (None, ["It is not here.", untimed, untimed])
    (tmp_path / "small.gguf").write_bytes((tmp_path / "small.gguf").read_bytes() + b"\0")  # a content of its own
    registry.set_bench(registry.sha256(tmp_path / "small.gguf"), {"p95_seconds": 4.9, "deadline_misses": 0})
    assert chosen() == ("small", ["It is not here.", untimed])
    registry.set_bench(registry.sha256(tmp_path / "big.gguf"), {"p95_seconds": 5.1, "deadline_misses": 0})
    assert chosen()[1][1].startswith("The bench found 5.1 s")
    registry.set_bench(registry.sha256(tmp_path / "big.gguf"), {"p95_seconds": 0.5, "deadline_misses": 0})
    assert chosen() == ("big", ["It is not here."])
    chosen_name, reasons = chosen(free=2**20)
    assert chosen_name is None
    assert "MiB of memory, and 1 MiB are free" in reasons[1]


@pytest.mark.parametrize(
    ("bench", "reason"),
    [
        ({"p95_seconds": 4.9, "deadline_misses": 1, "meets_bound": False}, "cut off 1 call at the bound"),
        ({"p95_seconds": 4.9, "deadline_misses": 3}, "cut off 3 calls"),
        ({"p95_seconds": 4.9}, "cut off an unknown number of calls"),
        ({"p95_seconds": float("nan"), "deadline_misses": 0}, "an unknown time"),
        ({"p95_seconds": float("inf"), "deadline_misses": 0}, "an unknown time"),
        ({"p95_seconds": "fast", "deadline_misses": 0}, "an unknown time"),
    ],
)
def test_a_model_whose_bench_did_not_meet_the_bound_is_passed_over(
    tmp_path: Path, write_gguf: Callable[..., Path], bench: dict[str, object], reason: str
) -> None:
    registry = Registry(tmp_path)
    registry.set_bench(registry.sha256(write_gguf("tiny.gguf")), bench)
    choice = choose_model(find_models(tmp_path), with_chain("tiny"), Registry(tmp_path), PLENTY)
    assert choice.model is None
    assert reason in choice.passed_over[0][1]


def test_the_default_model_needs_no_bench(default_model: Model, tmp_path: Path) -> None:
    choice = choose_model([default_model], with_chain("qwen2.5:14b", "default"), Registry(tmp_path), PLENTY)
    assert choice.model == default_model
    assert choice.passed_over == (("qwen2.5:14b", "It is not here."),)


def test_a_model_too_large_for_the_memory_is_refused_before_it_is_loaded(
    default_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings().llm
    assert problem_of(default_model, settings, PLENTY) is None
    assert "free" in str(problem_of(default_model, settings, 300 * 2**20))
    monkeypatch.setattr("pm.llm.opening.free_bytes", lambda: 300 * 2**20)
    monkeypatch.setattr("pm.llm.engine._Process", None)  # to start one would fail
    with pytest.raises(ModelError, match="MiB of memory"):
        load(default_model, settings, Registry(tmp_path))


def test_a_model_is_named_as_it_is_listed(tmp_path: Path, write_gguf: Callable[..., Path]) -> None:
    write_gguf("Tiny.gguf")
    models = find_models(tmp_path)
    assert require_model(models, "Tiny").path == tmp_path / "Tiny.gguf"
    with pytest.raises(ModelError, match=r"no model 'tiny'.*Did you mean 'Tiny'"):
        require_model(models, "tiny")


def test_a_hash_is_computed_again_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    for content in (b"one", b"two!"):
        file.write_bytes(content)
        assert Registry(tmp_path).sha256(file) == hashlib.sha256(content).hexdigest()


def test_a_file_that_was_made_here_and_has_changed_was_not_made_here(tmp_path: Path) -> None:
    made = tmp_path / DEFAULT_FILE
    made.write_bytes(b"made")
    Registry(tmp_path).set_made_from(made, "5" * 64)
    assert Registry(tmp_path).made_from(made) == "5" * 64
    made.write_bytes(b"put here by hand")
    assert Registry(tmp_path).made_from(made) is None
    record = tmp_path / "models.json"
    record.write_text(json.dumps({"made_from": {str(made): "5" * 64}}))  # says not what was made
    assert Registry(tmp_path).made_from(made) is None


def test_what_another_command_has_written_since_is_kept(tmp_path: Path) -> None:
    first, second = Registry(tmp_path), Registry(tmp_path)
    first.set_bench("1" * 64, {"p95_seconds": 1.0})
    second.set_check("2" * 64, "prose", {"passed": True})
    first.set_bench("3" * 64, {"p95_seconds": 3.0})
    kept = Registry(tmp_path)
    assert (kept.bench("1" * 64), kept.bench("3" * 64)) == ({"p95_seconds": 1.0}, {"p95_seconds": 3.0})
    assert kept.check("2" * 64, "prose") == {"passed": True}


def test_a_file_that_takes_long_to_hash_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, told = tmp_path / "a.gguf", list[str]()
    file.write_bytes(b"four")
    for least, lines in ((5, 0), (4, 1), (4, 1)):  # the third time the hash is known
        monkeypatch.setattr("pm.llm.registry._LONG", least)
        if least == 5:
            Registry(tmp_path / "other", told.append).sha256(file)
        else:
            Registry(tmp_path, told.append).sha256(file)
        assert len(told) == lines
    assert str(file) in told[0]


def test_a_run_looks_for_models_once(
    tmp_path: Path, write_gguf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf("tiny.gguf")
    read: list[Path] = []
    Registry(tmp_path).set_bench(Registry(tmp_path).sha256(file), {"p95_seconds": 1.0, "deadline_misses": 0})

    def reading(path: Path) -> Gguf:
        read.append(path)
        return read_gguf(path)

    monkeypatch.setattr("pm.llm.models.read_gguf", reading)
    monkeypatch.setattr("pm.llm.available.is_installed", lambda: True)
    settings = with_chain("tiny").model_copy(update={"ollama": False})
    with ModelOfRun(tmp_path, settings) as model:
        chosen = [ask(print).model for ask in (model.wanted, model.usable, model.wanted, model.usable)]
    assert [one and one.name for one in chosen] == ["tiny"] * 4
    assert read.count(file) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3, "benches": []}', "\x00", "[" * 200_000])
def test_a_damaged_record_of_models_counts_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.json").write_text(text)
    registry = Registry(tmp_path)
    assert registry.bench("5" * 64) is None
    registry.set_check("5" * 64, "prose", {"share": 0.5})
    assert Registry(tmp_path).check("5" * 64, "prose") == {"share": 0.5}


def test_a_file_is_added_and_neither_taken_twice_nor_overwritten(
    tmp_path: Path, write_gguf: Callable[..., Path]
) -> None:
    folder = tmp_path / "models"
    source = write_gguf("source.gguf")
    added = add_model(source, folder, "mine")
    assert (added.name, added.path.read_bytes()) == ("mine", source.read_bytes())
    other = write_gguf("other.gguf", padding=1)
    with pytest.raises(InputError, match="already"):
        add_model(other, folder, "mine")
    for name in ("default", "a/b", "a\\b", "..", ".hidden", "", "a\nb", "con", "a?"):
        with pytest.raises(InputError, match="cannot be named"):
            add_model(source, folder, name)
    with pytest.raises(ModelError, match="folder"):
        add_model(tmp_path, folder)
    text = tmp_path / "text.gguf"
    text.write_text("no model")
    with pytest.raises(ModelError, match="not a GGUF file"):
        add_model(text, folder)
    assert [file.name for file in folder.iterdir()] == ["mine.gguf"]
