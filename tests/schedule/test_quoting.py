"""What is written for a scheduler gives back the exact words, read by something other than our own parsers."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pm.schedule import crontab, task_xml, units
from pm.schedule.job import TASKS, Job

NASTY = "%#\\'\"$`;&|<>(){}[]*?!~ =,:^-@äöüßéñ中🌙"
"""Characters that a shell, cron, systemd, XML or Windows could take for something else."""

PIECES = st.sampled_from(
    [*NASTY, *"aZ09", "\\%", "\\\\", "%%", "%PATH%", "$HOME", "$$", "$(x)", "`x`", "'\\''", " # ", "\\n", "\\043",
     "&amp;", "]]>", "-x", "%h", "%i"]
)  # fmt: skip
UNICODE = st.characters(exclude_categories=("Cc", "Cs", "Cn"))
WORD = st.lists(PIECES | UNICODE, max_size=12).map("".join)
WORDS = st.lists(WORD, min_size=1, max_size=6)
FOLDER = st.lists(PIECES | UNICODE, min_size=1, max_size=12).map("".join).filter(lambda name: "/" not in name)
SINCE = datetime(2026, 11, 27, 7, 30, tzinfo=UTC)


@st.composite
def jobs(draw: st.DrawFn, *, zones: bool = False) -> Job:
    return Job(
        Path("/home") / draw(FOLDER),
        (f"/opt/{draw(FOLDER)}/python", *draw(st.lists(st.sampled_from(["-P", "-m", "pm"]), max_size=3))),
        draw(st.times()).replace(second=0, microsecond=0, tzinfo=None, fold=0),
        draw(st.sampled_from([None, "America/New_York", "Europe/Berlin"])) if zones else None,
        draw(st.sampled_from(TASKS)),
        draw(st.none() | WORD.filter(bool)),
    )


# cron -------------------------------------------------------------------------------------------------------------


def as_cron_hands_to_the_shell(command: str, *, halves_backslashes: bool) -> str:
    """Return what crontab(5) says that the shell gets: up to the first `%` that has no backslash before it.

    Some crons also take a backslash before a backslash away.
    """
    given = ""
    place = 0
    while place < len(command):
        character, after = command[place], command[place + 1 : place + 2]
        if character == "%":
            break
        if character == "\\" and (after == "%" or (halves_backslashes and after == "\\")):
            given += after
            place += 2
            continue
        given += character
        place += 1
    return given


def words_of_a_shell(command: str) -> list[str]:
    script = f"set -- {command}\nfor word; do printf '%s\\0' \"$word\"; done"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.posix
@pytest.mark.parametrize("halves_backslashes", [False, True])
@given(words=WORDS)
@example(words=["/a b/pm", "100% \\% \\\\% #1 'x' \"y\" $HOME `z`"])
def test_a_shell_that_cron_starts_gets_the_words(words: list[str], halves_backslashes: bool) -> None:
    command = crontab.quote_words(words)
    assert words_of_a_shell(as_cron_hands_to_the_shell(command, halves_backslashes=halves_backslashes)) == words


@given(words=WORDS)
def test_a_cron_command_has_no_mark_of_a_comment_and_no_line_end(words: list[str]) -> None:
    assert not {"#", "\n", "\r"} & set(crontab.quote_words(words))


@given(words=WORDS)
def test_our_reader_of_crontabs_gives_the_words(words: list[str]) -> None:
    assert crontab.split_words(crontab.quote_words(words)) == tuple(words)


@pytest.mark.posix
@given(job=jobs())
def test_a_line_of_a_crontab_gives_the_job(job: Job) -> None:
    assume(len(crontab.quote_words(job.words).encode()) < 900)
    text = crontab.add_line("MAILTO=\n", crontab.render_line(job, SINCE), job.key)
    assert crontab.parse_crontab(text, job.key) == (job, SINCE)


@pytest.mark.posix  # python-crontab asks for users as POSIX knows them
@given(job=jobs())
def test_another_reader_of_crontabs_finds_command_comment_and_time(job: Job) -> None:
    from crontab import CronTab

    assume(len(crontab.quote_words(job.words).encode()) < 900)
    (entry,) = CronTab(tab=crontab.render_line(job, SINCE) + "\n")
    assert entry.command == crontab.quote_words(job.words).replace("\\%", "%")  # as python-crontab shows it
    assert entry.comment == f"portfolio-maximizer:{job.key}:20261127T073000Z"
    assert (str(entry.minute), str(entry.hour)) == (str(job.at.minute), str(job.at.hour))


# systemd ----------------------------------------------------------------------------------------------------------


def words_of_systemd(command: str) -> list[str]:
    """Return the words of ExecStart as systemd.service(5) and systemd.unit(5) describe them, character by character."""
    assert command.startswith(":")  # no variables
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(command[1:])
    for character in characters:
        if not quote and character == " ":
            words += [] if word is None else [word]
            word = None
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, word = character, word or ""
        elif character == "\\":
            escaped = next(characters)
            assert escaped in "\\\"'"  # the others, such as \n and \x41, we never write
            word = (word or "") + escaped
        elif character == "%":
            assert next(characters) == "%"  # any other is a specifier
            word = (word or "") + "%"
        else:
            word = (word or "") + character
    assert not quote
    return words + ([] if word is None else [word])


@given(words=WORDS)
@example(words=["/a b/pm", "100% %h \\ \"x\" 'y' $HOME ; #"])
def test_systemd_gets_the_words(words: list[str]) -> None:
    assert words_of_systemd(f":{units.quote_words(words)}") == words


@given(words=WORDS)
def test_our_reader_of_units_gives_the_words(words: list[str]) -> None:
    assert units.split_words(units.quote_words(words)) == tuple(words)


@pytest.mark.posix
@given(job=jobs(zones=True))
@settings(max_examples=30)
def test_units_give_the_job(job: Job) -> None:
    timer = units.render_timer(job, ZoneInfo(job.zone or "UTC"), SINCE)
    assert units.parse_units(timer, units.render_service(job)) == (job, SINCE)


def test_text_that_is_not_ours_has_no_words() -> None:
    assert units.split_words("/usr/bin/python x") is None
    assert crontab.split_words("echo 'open") is None


# Windows ----------------------------------------------------------------------------------------------------------


def words_of_windows(line: str) -> list[str]:
    """Return the words of a line by Microsoft's rules for CommandLineToArgvW; the system's own on Windows."""
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        split = ctypes.windll.shell32.CommandLineToArgvW
        split.restype = ctypes.POINTER(wintypes.LPWSTR)
        split.argtypes = [wintypes.LPCWSTR, ctypes.POINTER(ctypes.c_int)]
        count = ctypes.c_int()
        words = split(f"program {line}", ctypes.byref(count))
        return [words[place] for place in range(1, count.value)]
    words, word, quoted, slashes = [], None, False, 0
    for character in f"{line} ":
        if character == "\\":
            slashes += 1
            word = word or ""
            continue
        if character == '"':
            word = (word or "") + "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                quoted = not quoted
            slashes = 0
            continue
        word = word + "\\" * slashes if word is not None and slashes else word
        slashes = 0
        if character in " \t" and not quoted:
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + character
    return words


@given(words=WORDS)
@example(words=["a\\", 'b"', '\\"', "c d\\", "\\\\x y\\\\", ""])
def test_a_windows_program_gets_the_words(words: list[str]) -> None:
    line = subprocess.list2cmdline(words)
    assert words_of_windows(line) == words
    assert task_xml.split_words(line) == tuple(words)


def is_refused_by_windows(job: Job) -> bool:
    return any(part in word for word in (*job.program, str(job.workspace)) for part in ("%", "$("))


@given(job=jobs())
def test_a_task_gives_the_job_and_keeps_the_schema(job: Job) -> None:
    from lxml import etree

    assume(not is_refused_by_windows(job))
    text = task_xml.render_task(job, SINCE)
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("task.xsd")))
    written = etree.fromstring(text.encode(task_xml.ENCODING))
    schema.assertValid(written)
    namespace = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    (action,) = written.iter(f"{namespace}Exec")
    read = (action.findtext(f"{namespace}Command"), *words_of_windows(action.findtext(f"{namespace}Arguments") or ""))
    assert read == job.words
    assert task_xml.parse_task(text) == (job, SINCE)


def test_the_schema_refuses_what_task_scheduler_would_refuse() -> None:
    from lxml import etree

    job = Job(Path("/ws"), ("/python",), time(22, 30))
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("task.xsd")))
    text = task_xml.render_task(job, SINCE)
    for right, wrong in (
        ("<DaysInterval>1<", "<DaysInterval>0<"),
        ("IgnoreNew", "Ignore"),
        ('Context="Author"', 'Context="Nobody"'),
        ("<StartWhenAvailable>", "<StartLater>"),
        (f"{task_xml.parse_task(text)[1]:%Y-%m-%d}", "yesterday"),
    ):
        assert right in text
        broken = text.replace(right, wrong).replace(right.replace("<", "</"), wrong.replace("<", "</"))
        assert not schema.validate(etree.fromstring(broken.encode(task_xml.ENCODING))), wrong
