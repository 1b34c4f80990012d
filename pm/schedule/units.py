r"""Render and parse the units of a systemd user timer.

Quoting is that of systemd.service(5), section "Command lines": words in double quotes, with a backslash before `\` and
`"`; `%`, which begins a specifier, is doubled. The colon before the program turns off the expansion of `$`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pm.schedule.job import Job
from pm.schedule.times import parse_time, shifted_times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

__all__ = ["parse_units", "quote_words", "render_service", "render_timer", "split_words"]

_HEAD = "# Written by `pm schedule install`; change it by that command.\n"
_SINCE = "# Installed "
_SHIFTED = "# Daylight saving skips this time on some days, on which systemd would leave the night out:\n"
_YEARS = 10
"""Number of years ahead for which the days are written on which daylight saving skips the time."""
_NO_PROGRAM = re.compile(r"[\"'\\]")
"""Characters that systemd allows in arguments, and not in the path of the program."""
_BY_SHELL = ("/bin/sh", "-c", 'exec "$0" "$@"')
"""Words that start the program after them, whatever its path."""
_ESCAPED = re.compile(r'[\\"%]')
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s+|$)')


def quote_words(words: Sequence[str]) -> str:
    """Return words of a command as systemd reads them after `:`, the prefix that leaves `$` alone."""
    return " ".join(f'"{_ESCAPED.sub(lambda found: _doubled(found[0]), word)}"' for word in words)


def _doubled(character: str) -> str:
    return "%%" if character == "%" else f"\\{character}"


def split_words(text: str) -> tuple[str, ...] | None:
    """Return the words that `quote_words` was given; None for text that it does not write."""
    found, place = [], 0
    while place < len(text):
        word = _WORD.match(text, place)
        if word is None:
            return None
        found.append(re.sub(r"\\(.)", r"\1", word[1]).replace("%%", "%"))
        place = word.end()
    return tuple(found)


def render_service(job: Job) -> str:
    """Return the unit of the command. It is stopped as by Ctrl-C, and what remains of it is killed."""
    words = (*_BY_SHELL, *job.words) if _NO_PROGRAM.search(job.program[0]) else job.words
    return (
        f"{_HEAD}[Unit]\n"
        f"Description=Portfolio Maximizer in {quote_words([str(job.workspace)])}\n"
        "\n[Service]\n"
        "Type=oneshot\n"
        f"ExecStart=:{quote_words(words)}\n"
        "KillMode=mixed\n"
        "KillSignal=SIGINT\n"
    )


def render_timer(job: Job, zone: ZoneInfo, since: datetime) -> str:
    """Return the unit of the timer.

    Parameters
    ----------
    job
        The job.
    zone
        The time zone that it is meant in: the job's own, or the machine's if it has none.
    since
        Moment of installation, with a time zone.
    """
    suffix = f" {job.zone}" if job.zone else ""
    shifted = shifted_times(job.at, zone, since.year, since.year + _YEARS)
    extra = "".join(f"OnCalendar={moment:%Y-%m-%d %H:%M}:00{suffix}\n" for moment in shifted)
    return (
        f"{_HEAD}{_SINCE}{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}.\n"
        "[Unit]\n"
        f"Description=Nights of Portfolio Maximizer in {quote_words([str(job.workspace)])}\n"
        "\n[Timer]\n"
        f"OnCalendar=*-*-* {job.at:%H:%M}:00{suffix}\n"
        f"{_SHIFTED + extra if extra else ''}"
        "Persistent=true\n"
        "\n[Install]\n"
        "WantedBy=timers.target\n"
    )


def parse_units(timer: str, service: str) -> tuple[Job | None, datetime | None]:
    """Return the job and the moment of its installation from the texts of its units; None for what is not there."""
    since = re.search(rf"^{_SINCE}(\S+)\.$", timer, re.MULTILINE)
    when = re.search(r"^OnCalendar=\*-\*-\* (\d\d:\d\d):00(?: (\S+))?$", timer, re.MULTILINE)
    command = re.search(r"^ExecStart=:(.*)$", service, re.MULTILINE)
    words = split_words(command[1]) if command else None
    if words is not None and words[: len(_BY_SHELL)] == _BY_SHELL:
        words = words[len(_BY_SHELL) :]
    job = Job.from_words(words, at=parse_time(when[1]), zone=when[2]) if when and words else None
    return job, datetime.fromisoformat(since[1]) if since else None
