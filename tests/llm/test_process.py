"""The process that holds the model dies, hangs or is closed: a call fails, and nothing else does."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import yaml

from pm.errors import ModelError
from pm.llm.base import Message, RefusedQuestionError
from pm.llm.chat import chat_tokens
from pm.llm.engine import Engine, is_installed, requantise
from pm.resources import config_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.engine import EngineOptions
    from pm.llm.native import Native


def process_of(engine: Engine) -> psutil.Process:
    assert engine._process is not None
    return psutil.Process(engine._process.process.pid)


def works(engine: Engine) -> bool:
    return engine.score("One, two,", [""], [" three"], deadline_seconds=60).values[0] is not None


def test_a_child_that_dies_in_a_call_ends_the_call_and_is_started_again_once(options: EngineOptions) -> None:
    with Engine(options) as engine:
        for _ in range(2):
            first = process_of(engine)
            killer = threading.Thread(target=_kill_when_busy, args=(first,))
            killer.start()
            with pytest.raises(ModelError, match="died in this call"):
                engine.generate(["Once upon a time"] * 8, max_tokens=100, seed=1, deadline_seconds=300)
            killer.join()
            if engine.restarts == 1:
                assert works(engine)
                assert process_of(engine).pid != first.pid
        for _ in range(2):
            with pytest.raises(ModelError, match="died twice"):
                works(engine)


def _kill_when_busy(process: psutil.Process) -> None:
    before = sum(process.cpu_times()[:2])
    while sum(process.cpu_times()[:2]) < before + 0.1:
        time.sleep(0.01)
    process.kill()


def test_a_child_that_died_while_idle_fails_one_call(options: EngineOptions) -> None:
    with Engine(options) as engine:
        process = process_of(engine)
        process.kill()
        with pytest.raises(ModelError, match="died"):
            works(engine)
        assert works(engine)
        assert engine.restarts == 1


def test_a_model_that_is_refused_when_it_is_loaded_again_is_not_loaded_at_each_call(
    options: EngineOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(options) as engine:
        process_of(engine).kill()
        with pytest.raises(ModelError, match="died in this call"):
            works(engine)
        monkeypatch.setattr(engine, "_options", dataclasses.replace(options, path=tmp_path / "gone.gguf"))
        with pytest.raises(ModelError) as refused:
            works(engine)
        assert not isinstance(refused.value, RefusedQuestionError)  # a run has to be told
        monkeypatch.setattr("pm.llm.engine._Process", None)  # to start one would fail
        for _ in range(2):
            with pytest.raises(ModelError, match="died twice"):
                works(engine)


def test_a_process_that_cannot_be_started_is_told(
    options: EngineOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    before = psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0
    with pytest.raises(ModelError, match="cannot be started: Resource temporarily unavailable"):
        Engine(options)
    with pytest.raises(ModelError, match="cannot be started"):
        requantise(options.path, tmp_path / "new.gguf")
    assert (psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0) == before


def test_a_child_that_does_not_stop_is_ended(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pm.llm.engine._GRACE_SECONDS", 0.5)
    with Engine(options) as engine:
        process = process_of(engine)
        process.suspend()
        with pytest.raises(ModelError, match="did not stop at the deadline"):
            engine.score("One,", [""], [" two"], deadline_seconds=0.1)
        assert not process.is_running()
        monkeypatch.setattr("pm.llm.engine._GRACE_SECONDS", 60)
        assert works(engine)


def test_a_closed_engine_refuses_and_leaves_no_process(options: EngineOptions) -> None:
    engine = Engine(options)
    process = process_of(engine)
    engine.close()
    engine.close()
    assert not process.is_running()
    for ask in (
        lambda: works(engine),
        lambda: engine.generate(["a"], max_tokens=1, seed=1, deadline_seconds=1),
        lambda: engine.count_tokens(["a"]),
    ):
        with pytest.raises(ModelError, match="was closed"):
            ask()


def test_a_grammar_that_nests_without_end_ends_at_most_a_call(options: EngineOptions) -> None:
    """llama.cpp may refuse it or exhaust its stack: the caller sees a ModelError, or a text, and can ask again."""
    nested = "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000
    with Engine(options) as engine:
        try:
            engine.generate(["Once"], max_tokens=2, seed=1, deadline_seconds=60, grammar=nested)
        except ModelError:
            assert engine.restarts in {0, 1}
        assert works(engine)


def test_sequences_and_contexts_that_llama_cpp_does_not_have_are_refused(options: EngineOptions) -> None:
    """A sequence beyond n_seq_max would abort the process; more than 256 give no context."""
    with pytest.raises(ModelError, match="no context"):
        Engine(dataclasses.replace(options, batch_size=300))
    with Engine(dataclasses.replace(options, batch_size=1)) as engine:
        values = engine.score("One,", [" two", " three", ""], [" four", " five six"], deadline_seconds=60).values
        assert None not in values


def test_a_file_that_llama_cpp_cannot_load_is_refused_with_its_words(
    options: EngineOptions, write_gguf: Callable[..., Path]
) -> None:
    for path, words in (
        (write_gguf(), "cannot load"),
        (write_gguf("no.gguf", general__architecture="nosuch"), "nosuch"),
    ):
        with pytest.raises(ModelError, match=words):
            Engine(dataclasses.replace(options, path=path))


def test_a_draft_of_a_model_that_cannot_be_made_is_removed(tmp_path: Path, write_gguf: Callable[..., Path]) -> None:
    if not is_installed():
        pytest.skip("extra [llm] is not installed")
    with pytest.raises(ModelError):
        requantise(write_gguf(general__architecture="nosuch"), tmp_path / "draft.gguf", threads=1)
    assert not (tmp_path / "draft.gguf").exists()


def test_the_child_ends_with_a_parent_that_was_killed(options: EngineOptions, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        f"""
import sys, time
from pathlib import Path
from pm.llm.engine import Engine, EngineOptions
if __name__ == "__main__":
    engine = Engine(EngineOptions(Path({str(options.path)!r}), "m", "", 512, 2, 1))
    print(engine._process.process.pid, flush=True)
    time.sleep(600)
"""
    )
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([child], timeout=60)
    assert alive == []
    assert [process.pid for process in gone] == [child.pid]


REFUSED_TEMPLATES = [
    (None, "has no template"),
    ("{% for m in messages %}", "cannot be filled"),
    ("{{ raise_exception('no system role') }}", "no system role"),
    ("{{ messages[0].content }}", "leaves out the message of the user"),
    ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "cannot be filled"),
]


@pytest.fixture(scope="module")
def native(options: EngineOptions) -> Native:
    """The model in this process, of which templates need the tokens."""
    from pm.llm.native import Native

    return Native(str(options.path), context_tokens=512, sequences=1, threads=1)


@pytest.mark.parametrize(
    ("template", "message"), REFUSED_TEMPLATES, ids=["none", "broken", "raises", "drops", "escapes"]
)
def test_a_template_that_cannot_be_used_is_refused(native: Native, template: str | None, message: str) -> None:
    from pm.llm.native import RefusedError

    with pytest.raises(RefusedError, match=message):
        chat_tokens(native, template, (Message("system", "Be brief."), Message("user", "Hello")))


def test_a_template_that_is_refused_ends_a_call_and_not_the_process(options: EngineOptions) -> None:
    template, message = REFUSED_TEMPLATES[2]
    asked = (Message("system", "Be brief."), Message("user", "Hello"))
    with Engine(dataclasses.replace(options, context_tokens=512, chat_template=template)) as engine:
        with pytest.raises(ModelError, match=message):
            engine.generate([asked], max_tokens=2, seed=1, deadline_seconds=60)
        assert engine.generate(["Hello"], max_tokens=2, seed=1, deadline_seconds=60).call.is_complete
        assert engine.restarts == 0


def test_the_template_for_chatml_in_the_settings_gives_the_tokens_of_the_models_own(
    options: EngineOptions, native: Native
) -> None:
    shown = next(line for line in (config_dir() / "llm.yml").read_text().splitlines() if "im_start" in line)
    chatml = yaml.safe_load(shown.removeprefix("# "))
    asked = (Message("system", "Answer with one word."), Message("user", "What is the capital of France?"))
    own = chat_tokens(native, options.chat_template, asked)
    assert len(own) > 15
    assert chat_tokens(native, chatml, asked) == own
