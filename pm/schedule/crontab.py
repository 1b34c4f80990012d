r"""Render, parse, add and remove the line of a job in a user's crontab. All other lines stay as they are, to the byte.

The command is quoted for the shell. Cron takes `%` for the end of the line unless `\` is before it, and crons differ in
what they make of other backslashes: those are written as the shell's `$(printf '\134')`. Likewise `#`, since programs
that read crontabs take it for the start of a comment.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pm.errors import ScheduleError
from pm.schedule.job import Job
from pm.schedule.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_line", "parse_crontab", "quote_words", "remove_lines", "render_line", "split_words"]

_LONGEST = 990
"""Maximum number of bytes of a command: cron cuts off what is beyond 1,000 without a word."""
_MARK = "portfolio-maximizer"
_PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)
_PARTS = re.compile(r"'|\\|#|[^'\\#]+")
_SUBSTITUTES = {"'": '"\'"', "\\": "\"$(printf '\\134')\"", "#": "\"$(printf '\\043')\""}


def quote_words(words: Sequence[str]) -> str:
    r"""Return words of a command as a shell that cron starts reads them: without `#`, and with `\` before `%`.

    Examples
    --------
    >>> print(quote_words(["/a b/pm", "100%"]))
    '/a b/pm' '100\%'
    """
    return " ".join(_quoted(word) for word in words).replace("%", "\\%")


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    return "".join(_SUBSTITUTES.get(part, f"'{part}'") for part in _PARTS.findall(word)) or "''"


def split_words(text: str) -> tuple[str, ...] | None:
    """Return the words that `quote_words` was given; None for text that it does not write."""
    plain = text.replace("\\%", "%")
    for character, written in _SUBSTITUTES.items():
        plain = plain.replace(written, f'"{character if character != chr(92) else chr(92) * 2}"')
    try:
        return tuple(shlex.split(plain))
    except ValueError:
        return None


def render_line(job: Job, since: datetime) -> str:
    """Return the line of a job, without the line's end.

    Raises
    ------
    ScheduleError
        The command is longer than cron reads.
    """
    command = f"{quote_words(job.words)} # {_MARK}:{job.key}:{since.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    if (length := len(command.encode(errors="surrogateescape"))) > _LONGEST:
        raise ScheduleError(
            f"The command is {length:,} bytes long, and cron reads {_LONGEST:,}.",
            where="crontab",
            hint="put the command of --on-failure into a script and name that, or choose a folder with a shorter path",
        )
    return f"{job.at.minute} {job.at.hour} * * * {command}"


def parse_crontab(text: str, key: str) -> tuple[Job | None, datetime | None] | None:
    """Return the job of a key in a crontab and the moment of its installation; None if it is not there.

    The job is None if its line was changed beyond recognition.
    """
    line = next((line for line in text.splitlines() if _is_of(line, key) and not line.lstrip().startswith("#")), None)
    if line is None:
        return None
    found = re.fullmatch(rf"(\d+) (\d+) \* \* \* (.*) # {_MARK}:{key}:(\w+)", line)
    if found is None:
        return None, None
    words = split_words(found[3])
    at = parse_time(f"{int(found[2]):02}:{int(found[1]):02}")
    return Job.from_words(words, at=at, zone=None) if words else None, datetime.fromisoformat(found[4])


def add_line(text: str, line: str, key: str) -> str:
    """Return a crontab with a job's line in place of an earlier one of the same key, or at its end."""
    lines = text.splitlines(keepends=True)
    place = next((number for number, old in enumerate(lines) if _is_of(old, key)), None)
    if place is None:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}{line}\n"
    return "".join([*lines[:place], f"{line}\n", remove_lines("".join(lines[place + 1 :]), key)])


def remove_lines(text: str, key: str) -> str:
    """Return a crontab without the lines of a key, those that somebody has made a comment included."""
    return "".join(line for line in text.splitlines(keepends=True) if not _is_of(line, key))


def _is_of(line: str, key: str) -> bool:
    return f"# {_MARK}:{key}:" in line
