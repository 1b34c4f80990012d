r"""Render and parse the XML of a task of Windows' Task Scheduler, version 1.2 of its schema.

The schema: https://learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema. The arguments are one line, which
a program separates into words by the rules of `CommandLineToArgvW`.
"""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from pm.errors import ScheduleError
from pm.schedule.job import Job

if TYPE_CHECKING:
    from datetime import date, time

__all__ = ["ENCODING", "parse_task", "render_task", "split_words"]

ENCODING = "utf-16"
"""Encoding of the file that `schtasks /Create /XML` reads, with a byte order mark."""
_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_LONGEST_NIGHT = "PT20H"
"""Duration after which Task Scheduler ends a night, as XML writes it: 20 hours."""
_EXPANDED = re.compile(r"%[^%]+%|\$\(")
"""What Task Scheduler replaces in a command by values of its own: `%NAME%` and `$(Arg0)`."""
_NOT_IN_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


def render_task(job: Job, since: datetime) -> str:
    """Return the XML of a job's task, to be written in the encoding `ENCODING`.

    It starts daily, later where the machine was off, whether or not it runs on batteries.

    Parameters
    ----------
    job
        The job, in the machine's own time zone.
    since
        Moment of installation, with a time zone.

    Raises
    ------
    ScheduleError
        A path has what Task Scheduler would replace, or a character that XML cannot have.
    """
    program, *arguments = job.words
    for word in (*job.program, str(job.workspace)):
        if _EXPANDED.search(word):
            raise ScheduleError(
                "Task Scheduler would replace a part of this path by the value of a variable.",
                where=word,
                hint="rename the folder: `%` and `$(` cannot be in a path that is scheduled",
            )
    if any(_NOT_IN_XML.search(word) for word in job.words):
        raise ScheduleError(
            "XML cannot have a character of this command.", where=repr(job.words), hint="leave the character out"
        )
    task = ET.Element("Task", {"version": "1.2", "xmlns": _NAMESPACE})
    registration = ET.SubElement(task, "RegistrationInfo")
    _add(registration, "Date", f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    _add(registration, "Description", f"The nights of Portfolio Maximizer in {job.workspace}; see `pm schedule`.")
    trigger = ET.SubElement(ET.SubElement(task, "Triggers"), "CalendarTrigger")
    local_start = f"{_first_day(job.at, since):%Y-%m-%d}T{job.at:%H:%M}:00"  # local, since it has no zone
    _add(trigger, "StartBoundary", local_start)
    _add(ET.SubElement(trigger, "ScheduleByDay"), "DaysInterval", "1")
    principal = ET.SubElement(ET.SubElement(task, "Principals"), "Principal", {"id": "Author"})
    _add(principal, "LogonType", "InteractiveToken")
    _add(principal, "RunLevel", "LeastPrivilege")
    settings = ET.SubElement(task, "Settings")
    for name, value in (
        ("MultipleInstancesPolicy", "IgnoreNew"),
        ("DisallowStartIfOnBatteries", "false"),
        ("StopIfGoingOnBatteries", "false"),
        ("StartWhenAvailable", "true"),
        ("ExecutionTimeLimit", _LONGEST_NIGHT),
    ):
        _add(settings, name, value)
    action = ET.SubElement(ET.SubElement(task, "Actions", {"Context": "Author"}), "Exec")
    _add(action, "Command", program)
    _add(action, "Arguments", subprocess.list2cmdline(arguments))
    ET.indent(task)
    body = ET.tostring(task, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{body}\n'


def _first_day(at: time, since: datetime) -> date:
    """Return the first day on which the time is still to come: a start that has passed would be made up for at once."""
    here = since.astimezone()
    return here.date() if at > here.time() else here.date() + timedelta(days=1)


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def parse_task(text: str) -> tuple[Job | None, datetime | None]:
    """Return the job of a task and the moment of its installation; None for what is not there."""
    try:
        task = ET.fromstring(re.sub(r"^[^<]*<\?xml[^>]*\?>", "", text).strip())  # noqa: S314 - Task Scheduler wrote it
    except ET.ParseError:
        return None, None
    names = {"t": _NAMESPACE}
    start = task.findtext("t:Triggers/t:CalendarTrigger/t:StartBoundary", namespaces=names)
    program = task.findtext("t:Actions/t:Exec/t:Command", namespaces=names)
    arguments = task.findtext("t:Actions/t:Exec/t:Arguments", namespaces=names)
    date = task.findtext("t:RegistrationInfo/t:Date", namespaces=names)
    try:
        since = datetime.fromisoformat(date) if date else None
        at = datetime.fromisoformat(start).time() if start else None
    except ValueError:
        return None, None
    if at is None or not program or not arguments:
        return None, since
    return Job.from_words((program.strip('"'), *split_words(arguments)), at=at, zone=None), since


def split_words(line: str) -> tuple[str, ...]:
    """Return the words of a line of arguments, by the rules of `CommandLineToArgvW` for what we write.

    Backslashes are themselves, unless a double quote follows: then two are one, and an odd one makes the quote a
    character of the word.
    """
    words: list[str] = []
    word: list[str] | None = None
    quoted, place = False, 0
    while place < len(line):
        character = line[place]
        if character in " \t" and not quoted:
            if word is not None:
                words.append("".join(word))
            word, place = None, place + 1
            continue
        word = word if word is not None else []
        slashes = len(line) - place - len(line[place:].lstrip("\\"))
        if slashes:
            place += slashes
            if place < len(line) and line[place] == '"':
                word.append("\\" * (slashes // 2))
                if slashes % 2:
                    word.append('"')
                    place += 1
            else:
                word.append("\\" * slashes)
        elif character == '"':
            quoted, place = not quoted, place + 1
        else:
            word.append(character)
            place += 1
    if word is not None:
        words.append("".join(word))
    return tuple(words)
