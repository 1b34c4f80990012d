"""Crontabs written by the real `crontab`, and nights started by the real cron, in a private mount namespace."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pm.errors import ScheduleError
from pm.schedule.crontab import add_line, parse_crontab, quote_words, remove_lines, render_line
from pm.schedule.job import Job
from pm.schedule.record import NightRecord
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    Session = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.posix
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
"""Command that runs another where mounts and processes are its own, and end with it."""
SINCE = datetime(2026, 11, 27, 7, 30, tzinfo=UTC)
NAME = "Größe 100% #1 'x' \"y\" $HOME"

OTHERS = """\
# what other programs have written, and people
MAILTO=""
PATH=/usr/bin:/bin

0  5\t* * *   echo '#1' % 2 # a remark
#0 6 * * * echo off
  # indented
@daily echo x
0 7 * * 1,7 echo y
LAST=line
"""


def why_no_cron() -> str | None:
    """Return why a cron of our own cannot be started here; None if it can."""
    if sys.platform == "win32" or os.getuid() != 0:
        return "a cron of our own needs root, for a mount namespace"
    if shutil.which("crontab") is None or shutil.which("cron") is None or shutil.which("unshare") is None:
        return "cron or unshare is missing (apt install cron util-linux)"
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False)
    return "mounts are not allowed here" if tried.returncode else None


@pytest.fixture
def session(tmp_path: Path, environment: dict[str, str]) -> Session:
    """Run a script of bash where no user has a crontab: `session("crontab -l")`; with `cron=True` cron is running.

    The machine's own crontabs are hidden, so that nothing of them is started or changed.
    """
    reason = why_no_cron()
    if reason is not None:
        pytest.skip(reason)

    def run(script: str, *, cron: bool = False) -> subprocess.CompletedProcess[str]:
        prepared = f"""
            set -e
            mount -t tmpfs tmpfs /run
            mount -t tmpfs tmpfs /etc/cron.d
            mount -t tmpfs tmpfs /var/spool/cron
            mount --bind /dev/null /etc/crontab
            mkdir -m 1730 /var/spool/cron/crontabs
            chgrp crontab /var/spool/cron/crontabs
            {"cron -f & daemon=$!; sleep 2" if cron else "daemon="}  # it overlooks a change in the second it starts
            set +e
            {script}
            code=$?
            [ -z "$daemon" ] || kill $daemon
            exit $code
        """
        return subprocess.run(
            [*UNSHARE, "bash", "-c", prepared],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = init_workspace(tmp_path / NAME).root
    (made / "config" / "run.yml").write_text("jobz: 1\n")  # every command but `pm schedule` fails at once
    return made


def schedule(command: list[str], workspace: Path, *words: str) -> str:
    """Return a line for the shell that runs `pm schedule` in a workspace, with cron."""
    return shlex.join([*command, "--workspace", str(workspace), "schedule", *words])


def test_other_lines_stay_to_the_byte() -> None:
    job = Job(Path("/home/me/ws"), ("/python",), time(22, 30))
    other = Job(Path("/home/me/other"), ("/python",), time(6, 5))
    for text in ("", OTHERS, OTHERS.rstrip("\n"), OTHERS.replace("\n", "\r\n"), "\n\n"):
        added = add_line(text, render_line(job, SINCE), job.key)
        ended = text if not text or text.endswith("\n") else f"{text}\n"
        assert added == f"{ended}{render_line(job, SINCE)}\n"
        both = add_line(added, render_line(other, SINCE), other.key)
        again = add_line(both, render_line(job, SINCE + timedelta(days=1)), job.key)
        assert again == both.replace(render_line(job, SINCE), render_line(job, SINCE + timedelta(days=1)))
        assert remove_lines(remove_lines(again, job.key), other.key) == ended


def test_a_line_that_was_made_a_comment_is_replaced_and_not_found() -> None:
    job = Job(Path("/home/me/ws"), ("/python",), time(22, 30))
    line = render_line(job, SINCE)
    assert parse_crontab(f"#{line}\n", job.key) is None
    assert add_line(f"#{line}\n# {line}\n", line, job.key) == f"{line}\n"


def test_a_line_that_was_changed_by_hand_is_found_and_not_understood() -> None:
    job = Job(Path("/home/me/ws"), ("/python",), time(22, 30))
    line = render_line(job, SINCE)
    assert parse_crontab(line.replace("* * *", "* * 1-5"), job.key) == (None, None)
    assert parse_crontab(line.replace("night", "day"), job.key) == (None, SINCE)
    assert parse_crontab(line, "0000000000") is None


def test_a_command_that_cron_would_cut_off_is_refused() -> None:
    job = Job(Path("/home/me/ws"), ("/python",), time(22, 30), on_failure="ü" * 500)
    with pytest.raises(ScheduleError, match=r"The command is 1,\d\d\d bytes long, and cron reads 990"):
        render_line(job, SINCE)


def test_install_status_and_remove_with_the_real_crontab(
    tmp_path: Path, workspace: Path, command: list[str], session: Session
) -> None:
    other = init_workspace(tmp_path / "other").root
    (tmp_path / "others").write_text(OTHERS, encoding="utf-8")
    times = ("--backend", "cron", "--at", "22:30", "--on-failure", "echo '100% #1' \\\\ \"$NIGHT_EXIT_CODE\"")
    done = session(f"""
        set -e
        crontab others
        {schedule(command, workspace, "install", *times)}
        echo ==; {schedule(command, other, "install", "--at", "02:30", "--backend", "cron", "--only", "refresh")}
        echo ==; {schedule(command, workspace, "install", *times)}
        echo ==; {schedule(command, workspace, "status")}
        echo ==; {schedule(command, workspace, "install", "--at", "21:00", "--backend", "cron")}
        echo ==; crontab -l
        echo ==; {schedule(command, workspace, "remove")}
        echo ==; {schedule(command, workspace, "remove")}
        echo ==; {schedule(command, other, "remove")}
        echo ==; crontab -l
    """)
    assert done.returncode == 0, done.stderr + done.stdout
    first, second, again, status, replaced, listed, removed, nothing, _, left = done.stdout.split("==\n")
    assert first.startswith("Installed: `pm run` every day at 22:30 ")
    assert "No cron is running on this machine" in first
    assert second.startswith("Installed: `pm refresh` every day at 02:30 ")
    assert again.startswith("Nothing to change: `pm run` every day at 22:30 ")
    assert "On failure:  echo '100% #1' \\\\ \"$NIGHT_EXIT_CODE\"\n" in status
    assert "Next night:  " in status
    assert "Last night:  none yet" in status
    assert "Installed: `pm run` every day at 21:00" in replaced
    assert "It was `pm run` every day at 22:30" in replaced
    assert listed.startswith(OTHERS)
    ours = listed.removeprefix(OTHERS).splitlines()
    assert [line[:8] for line in ours] == ["0 21 * *", "30 2 * *"]
    assert removed == f"Removed from cron: {workspace} has no more nights.\n"
    assert nothing == f"Nothing was scheduled for {workspace}.\n"
    assert left == OTHERS


def test_a_crontab_that_cannot_be_read_is_not_written(
    tmp_path: Path, workspace: Path, command: list[str], session: Session
) -> None:
    """The program stands for one that refuses: a user who is not in /etc/cron.allow, a spool on a bad disk."""
    refusing = tmp_path / "bin" / "crontab"
    refusing.parent.mkdir()
    refusing.write_text(
        f"#!/bin/sh\necho \"$@\" >> {tmp_path / 'asked'}\necho 'You (me) are not allowed' >&2\nexit 1\n"
    )
    refusing.chmod(0o755)
    first, *others = (
        schedule(command, workspace, *words)
        for words in (("install", "--at", "22:30", "--backend", "cron"), ("remove",), ("status",))
    )
    for line, code in ((first, 18), (others[0], 18), (others[1], 0)):
        done = session(f'export XDG_CONFIG_HOME=/nowhere PATH={refusing.parent}:"$PATH"; {line}')
        assert done.returncode == code
        assert "crontab refuses: You (me) are not allowed." in done.stderr + done.stdout
    assert set((tmp_path / "asked").read_text().splitlines()) == {"-l"}


@pytest.mark.slow
def test_cron_starts_the_very_words(tmp_path: Path, session: Session) -> None:
    """Cron starts sixty commands in its next minute, and each prints the words that it got."""
    commands: list[Job] = []
    word = st.text(
        st.sampled_from("%#\\'\"$`;&|<>(){}[]*?!~ =aäß中🌙") | st.characters(exclude_categories=("Cc", "Cs", "Cn")),
        max_size=12,
    )
    printer = tmp_path / "print 100% #1"
    printer.write_text(
        "import os, pathlib, sys\n"
        f"pathlib.Path({str(tmp_path)!r}, 'words', sys.argv[2].rpartition('/')[2]).write_text(repr(sys.argv[1:]))\n"
        f"pathlib.Path({str(tmp_path)!r}, 'path').write_text(os.environ['PATH'])\n",
        encoding="utf-8",
    )
    (tmp_path / "words").mkdir()

    @given(on_failure=word.filter(bool), folder=word)
    @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
    def collect(on_failure: str, folder: str) -> None:
        workspace = Path("/") / f"x{folder}".replace("/", "_") / str(len(commands))
        commands.append(Job(workspace, (sys.executable, str(printer)), time(0), None, "run", on_failure))

    collect()
    text = OTHERS
    for job in commands:
        text = add_line(text, render_line(job, SINCE).replace("0 0 * * *", "* * * * *", 1), job.key)
    (tmp_path / "tab").write_text(text, encoding="utf-8")
    wait = f"for _ in $(seq 200); do [ $(ls words | wc -l) = {len(commands)} ] && break; sleep 1; done; sleep 5"
    done = session(f"crontab tab && {{ {wait}; }}", cron=True)
    assert done.returncode == 0, done.stderr
    printed = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "words").iterdir()}
    assert printed == {job.workspace.name: repr(list(job.words[2:])) for job in commands}
    assert (tmp_path / "path").read_text() == "/usr/bin:/bin"  # as OTHERS say, and as is cron's own


@pytest.mark.slow
def test_cron_holds_nights_at_their_minute(
    tmp_path: Path, workspace: Path, command: list[str], session: Session
) -> None:
    """One workspace's night fails at once, as its settings are wrong; the other's is a whole run of the sample."""
    good = init_workspace(tmp_path / "good").root
    helped = workspace / "help"
    done = session(
        f"""
        at=$(date -d '+65 seconds' +%H:%M)
        {
            schedule(
                command,
                workspace,
                "install",
                "--backend",
                "cron",
                "--on-failure",
                'echo "$NIGHT_EXIT_CODE 100% #1 $PWD" > help; date +%H:%M >> help',
            )
        } --at $at
        {schedule(command, good, "install", "--backend", "cron", "--on-failure", "touch help")} --at $at
        for _ in $(seq 270); do
            [ -e {shlex.quote(str(helped))} ] && grep -qs finished_at....[0-9] {good}/logs/night.json && break
            sleep 1
        done
        echo "due $at"
        {schedule(command, workspace, "status")}; echo "ends $?"
        {schedule(command, good, "status")}; echo "ends $?"
        """,
        cron=True,
    )
    due = done.stdout.partition("due ")[2][:5]
    failed, fine, _ = done.stdout.partition("due ")[2].split("ends ")
    assert helped.read_text().splitlines() == [f"3 100% #1 {workspace}", due], done.stdout + done.stderr
    assert failed.splitlines()[1].startswith("The night of ")
    assert "failed with exit code 3: Unknown key 'run.jobz'." in failed.splitlines()[1]
    assert fine.startswith("18\n")
    assert ", exit code 0\nLast run:    20" in fine
    assert ", done, " in fine
    assert done.stdout.endswith("ends 0\n")
    record = NightRecord.read(good / "logs")
    assert record is not None
    assert record.exit_code == 0
    assert record.compacted_at is not None
    assert not (good / "help").exists()
    assert json.loads((good / "logs" / "night.json").read_text())["task"] == "run"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is missing (apt install faketime)")
@pytest.mark.parametrize("start", ["2027-03-28 01:57:30", "2026-10-25 01:57:30"])
def test_cron_holds_one_night_on_the_days_the_clocks_change(tmp_path: Path, session: Session, start: str) -> None:
    """Two and a half hours from before two o'clock on, by a clock that is 120 times as fast; at is half past two."""
    ran = tmp_path / "ran"
    done = session(f"""
        mount -t tmpfs tmpfs /dev/shm
        mount --bind /usr/share/zoneinfo/Europe/Berlin "$(realpath /etc/localtime)"
        echo "30 2 * * * echo ran >> {ran}" | crontab -
        TZ=Europe/Berlin faketime -f '@{start} x120' cron -f &
        sleep 80
        kill $!
    """)
    assert done.returncode == 0, done.stderr
    assert ran.read_text() == "ran\n"


def test_the_words_of_a_crontab_are_short_where_nothing_is_special() -> None:
    assert quote_words(["/opt/pm/bin/python", "--at=22:30", "a_b.c+d@e,f"]) == (
        "/opt/pm/bin/python --at=22:30 a_b.c+d@e,f"
    )
