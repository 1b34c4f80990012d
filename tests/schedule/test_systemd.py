"""Units handed to systemd itself: its checker, and a user manager of its own in a private mount namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pm.schedule.job import Job
from pm.schedule.times import find_zone, parse_time
from pm.schedule.units import render_service, render_timer
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.posix
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
"""Command that runs another where mounts and processes are its own, and end with it."""
SINCE = datetime(2026, 11, 27, tzinfo=UTC)
NAME = "Größe 100% #1 'x' \"y\" $HOME %h"

needs_checker = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (apt install systemd)"
)


def manager_program() -> Path | None:
    places = (Path("/lib/systemd/systemd"), Path("/usr/lib/systemd/systemd"))
    return next((path for path in places if path.exists()), None)


def why_no_manager() -> str | None:
    """Return why a systemd of our own cannot be started here; None if it can."""
    if sys.platform == "win32" or os.getuid() != 0:
        return "a systemd of our own needs root, for a mount namespace"
    if manager_program() is None or shutil.which("unshare") is None:
        return "systemd or unshare is missing (apt install systemd util-linux)"
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False)
    return "mounts are not allowed here" if tried.returncode else None


@pytest.fixture
def in_user_session(tmp_path: Path, environment: dict[str, str]) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a script of bash while a user's systemd is there: `in_user_session("systemctl --user list-timers")`.

    The folder /run is empty but for it, so that nothing of this machine is seen or changed.
    """
    reason = why_no_manager()
    if reason is not None:
        pytest.skip(reason)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        prepared = f"""
            set -e
            mount -t tmpfs tmpfs /run
            mkdir -p /run/systemd/system /run/user/0
            chmod 700 /run/user/0
            {manager_program()} --user --log-target=null &
            manager=$!
            for _ in $(seq 100); do systemctl --user show-environment >/dev/null 2>&1 && break; sleep 0.1; done
            set +e
            {script}
            code=$?
            systemctl --user exit
            wait $manager
            exit $code
        """
        variables = {"HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/0", "TZ": "Europe/Berlin"}
        known = {name: value for name, value in environment.items() if not name.startswith(("XDG_", "DBUS_"))}
        return subprocess.run(
            [*UNSHARE, "bash", "-c", prepared],
            cwd=tmp_path, env=known | variables, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


@needs_checker
@pytest.mark.parametrize("zone", [None, "America/New_York"])
@pytest.mark.parametrize("at", ["22:30", "02:30"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, at: str, zone: str | None) -> None:
    folder = tmp_path / "100% #1 'x'"
    folder.mkdir()
    program = folder / "python"
    program.symlink_to(sys.executable)
    job = Job(
        folder, (str(program), "-P", "-m", "pm"), parse_time(at), zone, "refresh", "mail -s 'a \"b\"' $X 100% \\n"
    )
    (tmp_path / "pm.timer").write_text(render_timer(job, find_zone(zone or "Europe/Berlin"), SINCE), encoding="utf-8")
    (tmp_path / "pm.service").write_text(render_service(job), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", "pm.timer", "pm.service"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "pm." in line or str(tmp_path) in line]
    assert (done.returncode, ours) == (0, [])


@needs_checker
def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    job = Job(tmp_path, (sys.executable,), parse_time("22:30"))
    (tmp_path / "pm.service").write_text(render_service(job).replace("KillMode=mixed", "KillMode=mixd"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", "pm.service"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert "Failed to parse kill mode" in done.stderr


WORD = st.text(
    st.sampled_from("%#\\'\"$`;&|<>(){}[]*?!~ =aäß中🌙") | st.characters(exclude_categories=("Cc", "Cs", "Cn")),
    max_size=12,
)


def test_systemd_starts_the_very_words(
    tmp_path: Path, in_user_session: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    """Forty commands made of what is special to systemd are started by it, and print the words that they got."""
    commands: list[Job] = []
    starter = tmp_path / 'Python\'s "100%" #1 \\ $x=y'
    starter.symlink_to("/bin/sh")

    @given(on_failure=WORD.filter(bool), folder=WORD)
    @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
    def collect(on_failure: str, folder: str) -> None:
        workspace = Path("/") / f"x{folder}".replace("/", "_")
        shown = (str(starter), "-c", 'exec "$0" "$@"', sys.executable, str(tmp_path / "print 100% 'x'"))
        commands.append(Job(workspace, shown, parse_time("22:30"), None, "run", on_failure))

    collect()
    (tmp_path / "print 100% 'x'").write_text(
        "import pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'words')!r}).open('a').write(repr(sys.argv[1:]) + chr(10))\n",
        encoding="utf-8",
    )
    units = tmp_path / "home" / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    for number, job in enumerate(commands):
        (units / f"pm-{number}.service").write_text(render_service(job), encoding="utf-8")
    script = "; ".join(f"systemctl --user start pm-{number}.service" for number in range(len(commands)))
    done = in_user_session(f"systemctl --user daemon-reload; {script}")
    assert done.returncode == 0, done.stderr
    printed = (tmp_path / "words").read_text(encoding="utf-8").splitlines()
    assert printed == [repr(list(job.words[5:])) for job in commands]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return init_workspace(tmp_path / NAME).root


def test_install_status_and_remove_with_systemd_itself(
    tmp_path: Path,
    workspace: Path,
    command: list[str],
    in_user_session: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    other = init_workspace(tmp_path / "other").root
    pm = f"{command[0]} {command[1]} --workspace"
    first, second = (f"{pm} {_quoted(str(folder))} schedule" for folder in (workspace, other))
    done = in_user_session(f"""
        set -e
        {first} install --at 22:30 --tz America/New_York --on-failure 'echo "100% #1"'
        echo ==; {second} install --at 02:30
        echo ==; {first} install --at 22:30 --tz America/New_York --on-failure 'echo "100% #1"'
        echo ==; {first} install --at 21:00 --only refresh
        echo ==; {first} status
        echo ==; systemctl --user list-timers --all --no-legend; ls $HOME/.config/systemd/user
        echo ==; {first} remove; {first} remove
        echo ==; systemctl --user list-timers --all --no-legend; ls $HOME/.config/systemd/user
        systemctl --user stop $(basename $HOME/.config/systemd/user/*.timer)
        echo ==; {second} status || echo "code $?"
    """)
    assert done.returncode == 0, done.stderr + done.stdout
    installed, _, again, replaced, status, timers, removed, left, stopped = done.stdout.split("==\n")
    assert installed.startswith("Installed: `pm run` every day at 22:30 America/New_York, by systemd.\nNext night: ")
    assert "22:30 America/New_York (" in installed
    assert "loginctl enable-linger" in installed
    assert again.startswith("Nothing to change: `pm run` every day at 22:30 America/New_York, by systemd, portfolio-")
    assert replaced.startswith(
        "Installed: `pm refresh` every day at 21:00 Europe/Berlin, by systemd. It was `pm run` every day at 22:30"
    )
    assert "Schedule:    `pm refresh` every day at 21:00 Europe/Berlin, by systemd, portfolio-maximizer-" in status
    assert "Last night:  none yet" in status
    assert timers.count(".timer ") == 2
    assert " 21:00:00 CE" in timers
    assert " 02:30:00 CE" in timers
    assert removed == (
        f"Removed from systemd: {workspace} has no more nights.\nNothing was scheduled for {workspace}.\n"
    )
    assert left.count("portfolio-maximizer-") == 4  # the other workspace's: listed with its service, and its two files
    assert stopped.startswith("Its timer is stopped: systemctl --user enable --now portfolio-maximizer-")
    assert stopped.endswith("code 18\n")


def test_systemd_holds_a_night(
    workspace: Path, command: list[str], in_user_session: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    """The service is started as its timer does; the settings make `pm run` fail at once."""
    (workspace / "config" / "run.yml").write_text("jobz: 1\n")
    pm = f"{command[0]} {command[1]} --workspace {_quoted(str(workspace))} schedule"
    done = in_user_session(f"""
        {pm} install --at 22:30 --on-failure 'echo "$NIGHT_EXIT_CODE 100% #1" > help; cp "$NIGHT_LOG" copy'
        systemctl --user start "$(basename $HOME/.config/systemd/user/*.service)"; echo "start $?"
        {pm} status; echo "status $?"
    """)
    assert "start 1\n" in done.stdout, done.stderr
    first = done.stdout.partition("start 1\n")[2].splitlines()[0]
    assert first.startswith("The night of ")
    assert "failed with exit code 3: Unknown key 'run.jobz'." in first
    assert done.stdout.endswith("status 18\n")
    assert (workspace / "help").read_text() == "3 100% #1\n"
    assert "The night ends with exit code 3." in (workspace / "copy").read_text(encoding="utf-8")


def test_stopping_the_service_interrupts_the_run(
    workspace: Path, command: list[str], in_user_session: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    pm = f"{command[0]} {command[1]} --workspace {_quoted(str(workspace))} schedule"
    log = _quoted(str(workspace / "logs" / "night.log"))
    done = in_user_session(f"""
        {pm} install --at 22:30
        service=$(basename $HOME/.config/systemd/user/*.service)
        systemctl --user start --no-block "$service"
        for _ in $(seq 600); do grep -qs 'land ' {log} && break; sleep 0.1; done
        systemctl --user stop "$service"
        {pm} status
    """)
    first = done.stdout.partition("status\n")[2].splitlines()[0]
    assert "was interrupted (exit code 130)" in first, done.stdout + done.stderr
    assert "Interrupted. Finished stages are saved" in (workspace / "logs" / "night.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_timer_starts_the_night_at_its_minute(
    workspace: Path, command: list[str], in_user_session: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    (workspace / "config" / "run.yml").write_text("jobz: 1\n")
    pm = f"{command[0]} {command[1]} --workspace {_quoted(str(workspace))} schedule"
    done = in_user_session(f"""
        at=$(date -d '+65 seconds' +%H:%M)
        {pm} install --at $at --on-failure 'date +%H:%M > help'
        for _ in $(seq 200); do [ -e {_quoted(str(workspace / "help"))} ] && break; sleep 1; done
        echo "due $at"
    """)
    due = datetime.strptime(done.stdout.partition("due ")[2].strip(), "%H:%M").replace(tzinfo=UTC)
    held = datetime.strptime((workspace / "help").read_text().strip(), "%H:%M").replace(tzinfo=UTC)
    assert 0 <= (held - due).total_seconds() % 86_400 <= 120  # systemd's accuracy is a minute


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
