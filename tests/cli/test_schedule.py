"""`pm schedule` where no scheduler is needed: what is shown and refused, and nights of `pm` itself."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pm.schedule.backends import BACKENDS
from pm.schedule.record import NightRecord, night_lock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def no_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the variables of a user who has no program on the PATH and no units."""
    monkeypatch.setattr("pm.schedule.task_scheduler.TaskScheduler.is_there", lambda _: False)
    (tmp_path / "nothing").mkdir()
    return {"PATH": str(tmp_path / "nothing"), "XDG_CONFIG_HOME": str(tmp_path / "nothing")}


@pytest.mark.parametrize(
    "backend",
    [pytest.param(each.name, marks=() if each.name == "schtasks" else pytest.mark.posix) for each in BACKENDS],
)
def test_print_shows_what_would_be_written_and_writes_nothing(
    workspace: Path, pm: Pm, no_scheduler: dict[str, str], backend: str
) -> None:
    before = sorted(workspace.rglob("*"))
    done = pm(workspace, "schedule", "install", "--at", "22:30", "--backend", backend, "--print", env=no_scheduler)
    assert (done.returncode, done.stderr) == (0, "")
    assert sys.executable in done.stdout
    assert str(workspace) in done.stdout
    assert {"systemd": "OnCalendar=*-*-* 22:30:00\n", "cron": "\n30 22 * * * ", "schtasks": "T22:30:00<"}[
        backend
    ] in done.stdout
    assert sorted(workspace.rglob("*")) == before
    assert list((workspace.parent / "nothing").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 18, "error: This machine has no scheduler that answers."),
        (("--backend", "systemd"), 18, "error: This machine has no systemd that answers."),
        (("--backend", "crond"), 5, "error: There is no backend 'crond'. Did you mean 'cron'?"),
        (("--tz", "Europe/Berln"), 5, "error: There is no time zone 'Europe/Berln'. Did you mean 'Europe/Berlin'?"),
        (("--at", "half past ten"), 5, "error: 'half past ten' is not a time of day."),
        (("--only", "refesh"), 5, "error: There is no task 'refesh'. Did you mean 'refresh'?"),
        (
            ("--on-failure", "a\nb", "--print", "--backend", "cron"),
            18,
            "error: A line end or another control character",
        ),
        (("--on-failure", " "), 2, "the command is empty"),
    ],
)
def test_each_mistake_has_one_message_and_its_code(
    workspace: Path, pm: Pm, no_scheduler: dict[str, str], options: tuple[str, ...], code: int, message: str
) -> None:
    done = pm(workspace, "schedule", "install", "--at", "22:30", *options, env=no_scheduler)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("install", "--at", "22:30"), ("status",), ("night",), ("serve", "--at", "22:30")])
def test_a_folder_that_is_no_workspace_is_refused(tmp_path: Path, pm: Pm, words: tuple[str, ...]) -> None:
    done = pm(tmp_path, "schedule", *words)
    assert done.returncode == 4
    assert "There is no workspace here." in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
@pytest.mark.parametrize("backend", ["cron", "schtasks"])
def test_another_zone_than_the_machines_is_refused_where_it_is_not_known(workspace: Path, pm: Pm, backend: str) -> None:
    words = ("schedule", "install", "--at", "22:30", "--tz", "America/New_York", "--backend", backend, "--print")
    done = pm(workspace, *words, env={"TZ": "Europe/Berlin"})
    assert done.returncode == 18
    assert f"error: {backend} knows no other time zone than the machine's, Europe/Berlin." in done.stderr
    assert "22:30 America/New_York (" in done.stderr
    same = pm(workspace, *words, env={"TZ": "America/Toronto"})
    assert same.returncode == 0, same.stderr


@pytest.mark.posix
def test_status_and_remove_without_any_scheduler(workspace: Path, pm: Pm, no_scheduler: dict[str, str]) -> None:
    done = pm(workspace, "schedule", "status", env=no_scheduler)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Nothing is scheduled on this machine for this workspace: pm schedule install --at 22:30",
        "Last night:  none yet",
    ]
    done = pm(workspace, "schedule", "remove", env=no_scheduler)
    assert (done.returncode, done.stdout) == (0, f"Nothing was scheduled for {workspace}.\n")
    gone = workspace.parent / "gone"
    done = pm(workspace, "--workspace", gone, "schedule", "remove", env=no_scheduler)
    assert (done.returncode, done.stdout) == (0, f"Nothing was scheduled for {gone}.\n")


@pytest.mark.posix
def test_variables_that_will_not_be_set_at_night_are_named(workspace: Path, pm: Pm, tmp_path: Path) -> None:
    """The program stands for a crontab that is always empty: what is written is not the subject."""
    crontab = tmp_path / "bin" / "crontab"
    crontab.parent.mkdir()
    crontab.write_text("#!/bin/sh\n[ $1 = - ] && exit 0\necho no crontab for me >&2\nexit 1\n")
    crontab.chmod(0o755)
    set_here = {"PATH": str(crontab.parent), "PM_RUN__JOBS": "1", "PM_KEYS__TIINGO": "hidden"}
    done = pm(workspace, "schedule", "install", "--at", "22:30", "--backend", "cron", env=set_here)
    assert done.returncode == 0, done.stderr
    assert (
        "PM_RUN__JOBS is set here and will not be set at night: write its value into a file of config/.\n"
        in done.stdout
    )
    assert "PM_KEYS__TIINGO is set here and will not be set at night: write its value into keys.yml.\n" in done.stdout
    assert "hidden" not in done.stdout


def test_a_night_of_pm_itself(workspace: Path, pm: Pm) -> None:
    """The workspace is new: its first night runs on the embedded sample, and compacts the lake."""
    done = pm(workspace, "schedule", "night")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    log = (workspace / "logs" / "night.log").read_text(encoding="utf-8")
    assert "Report: " in log
    assert "Files in use: " in log or "Nothing to merge" in log
    status = pm(workspace, "schedule", "status")
    assert status.returncode == 0, status.stdout
    assert ", exit code 0\n" in status.stdout
    runs = pm(workspace, "runs", "--limit", "1")
    assert f"Last run:    {runs.stdout.splitlines()[1].split()[0]}, done, " in status.stdout
    assert "Compaction:  " in status.stdout


def test_a_failed_night_is_said_first(workspace: Path, pm: Pm) -> None:
    (workspace / "config" / "run.yml").write_text("jobz: 1\n")
    help_line = f"\"{sys.executable}\" -c \"import os; open('help', 'w').write(os.environ['NIGHT_EXIT_CODE'])\""
    done = pm(workspace, "schedule", "night", "--on-failure", help_line)
    assert done.returncode == 3
    assert done.stderr == f"The night failed with exit code 3: {workspace / 'logs' / 'night.log'}\n"
    assert (workspace / "help").read_text() == "3"
    status = pm(workspace, "schedule", "status")
    assert status.returncode == 18
    assert status.stdout.splitlines()[0].startswith("The night of ")
    assert "failed with exit code 3: Unknown key 'run.jobz'." in status.stdout.splitlines()[0]
    assert status.stdout.splitlines()[1] == f"Log: {workspace / 'logs' / 'night.log'}"
    assert "Last run:    cannot be read: Unknown key 'run.jobz'." in status.stdout


def test_help_is_called_where_the_workspace_is_gone(tmp_path: Path, pm: Pm) -> None:
    help_line = (
        f"\"{sys.executable}\" -c \"import os; print(os.environ['NIGHT_EXIT_CODE'], os.environ['NIGHT_FOLDER'])\""
    )
    done = pm(tmp_path, "--workspace", tmp_path / "gone", "schedule", "night", "--on-failure", help_line)
    assert done.returncode == 4
    assert f"4 {tmp_path / 'gone'}\n" in done.stdout
    assert "There is no such folder." in done.stderr


def test_the_help_of_a_night_can_run_pm(finished_copy: Path, pm: Pm, command: list[str]) -> None:
    """No variable that a night adds is taken for a mistyped setting."""
    (finished_copy / "config" / "run.yml").write_text("jobz: 1\n")
    (finished_copy / "other").mkdir()
    words = " ".join(f'"{word}"' for word in [*command, "--workspace", str(finished_copy / "other"), "init"])
    assert pm(finished_copy, "schedule", "night", "--on-failure", words).returncode == 3
    record = NightRecord.read(finished_copy / "logs")
    assert record is not None
    assert record.on_failure_code == 0
    assert (finished_copy / "other" / "config" / "lake.yml").exists()


def test_a_second_night_is_refused_while_one_is_under_way(workspace: Path, pm: Pm) -> None:
    (workspace / "logs").mkdir()
    NightRecord(datetime.now(UTC) - timedelta(minutes=1), "run").write(workspace / "logs")
    with night_lock(workspace / "logs"):
        done = pm(workspace, "schedule", "night")
        assert done.returncode == 9
        assert "Another night of this workspace is under way." in done.stderr
        status = pm(workspace, "schedule", "status")
        assert status.returncode == 0
        assert "This night:  under way since " in status.stdout
    status = pm(workspace, "schedule", "status")
    assert status.returncode == 18
    assert "was cut off" in status.stdout.splitlines()[0]
