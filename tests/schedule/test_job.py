from __future__ import annotations

from dataclasses import replace
from datetime import time
from pathlib import Path

import pytest

from pm.errors import ScheduleError
from pm.schedule.job import Job, job_key

JOB = Job(Path("/home/me/Börse #1"), ("/venv/bin/python", "-P", "-m", "pm"), time(22, 30))


def test_the_words_are_those_of_the_command_line() -> None:
    assert JOB.words == (*JOB.program, "--workspace", str(JOB.workspace), "schedule", "night")
    both = replace(JOB, task="refresh", on_failure="--debug; mail -s 'x y' me")
    assert both.words[-2:] == ("--only=refresh", "--on-failure=--debug; mail -s 'x y' me")


def test_words_of_something_else_are_no_job() -> None:
    for words in ((), ("pm", "run"), ("pm", "--workspace"), ("pm", "--workspace", "/ws", "run"), JOB.words[4:]):
        assert Job.from_words(words, at=JOB.at, zone=None) is None


def test_each_workspace_has_a_key_of_its_own() -> None:
    keys = {job_key(Path("/home/me") / name) for name in ("a", "b", "A", "a b", "a/b")}
    assert len(keys) == 5
    assert job_key(Path("/home/me/a")) in keys


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x7f", "\t"])
def test_a_control_character_is_refused(character: str) -> None:
    with pytest.raises(ScheduleError, match="control character"):
        _ = replace(JOB, on_failure=f"echo a{character}b").words
