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

from pm.errors import ModelError
from pm.llm.engine import Engine, is_installed, requantise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.engine import EngineOptions


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
