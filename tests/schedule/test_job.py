from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from pm.errors import ScheduleError
from pm.schedule.job import Installed, Job, job_key

JOB = Job(Path("/home/me/Börse #1"), ("/venv/bin/python", "-P", "-m", "pm"), time(22, 30))


def test_the_words_are_those_of_the_command_line() -> None:
    assert JOB.words == (*JOB.program, "--workspace", str(JOB.workspace), "schedule", "night")
    both = replace(JOB, task="refresh", on_failure="--debug; mail -s 'x y' me")
    assert both.words[-2:] == ("--only=refresh", "--on-failure=--debug; mail -s 'x y' me")


def test_what_is_installed_is_current_for_a_year_while_it_is_the_same() -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    installed = Installed(JOB, now - timedelta(days=364), "cron")
    assert installed.is_current(replace(JOB), now)
    assert not installed.is_current(replace(JOB, task="refresh"), now)
    assert not installed.is_current(JOB, now + timedelta(days=2))
    assert not replace(installed, since=None).is_current(JOB, now)
    assert not replace(installed, problem="It is stopped.").is_current(JOB, now)


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
