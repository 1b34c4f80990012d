"""Hold a night: run the task, compact the lake once a week, keep the log and the record, and call for help on failure.

The task is a process of its own, so that a night also reports a task that was killed, as by a system without memory.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from pm.errors import LakeBusyError, StorageError
from pm.schedule.child import Child
from pm.schedule.job import task_words
from pm.schedule.log import NightLog
from pm.schedule.record import LOG_NAME, NightRecord, night_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.workspace import Workspace

__all__ = ["INTERRUPTED", "Night", "call_for_help", "next_compaction"]

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""
_WEEK = timedelta(days=7)
_SLACK = timedelta(hours=12)
"""Time by which a night may start earlier than a week after the last compaction: nights do not start to the second."""
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
"""Variables by which a task's lines come as they are printed, and none are lost if it is killed."""
_HELP_SECONDS = 600
"""Seconds after which the command of --on-failure is ended."""


def next_compaction(record: NightRecord | None, now: datetime) -> datetime:
    """Return the moment from which on a night ends with `pm lake compact`: a week after the last time."""
    if record is None or record.compacted_at is None:
        return now
    return record.compacted_at + _WEEK - _SLACK


@dataclass(frozen=True)
class _Plan:
    workspace: Workspace
    program: tuple[str, ...]
    task: str
    on_failure: str | None
    messages: bool


class Night:
    """One night.

    Parameters
    ----------
    workspace
        The workspace.
    program
        Words that start `pm`.
    task
        What it does: 'run' or 'refresh'.
    on_failure
        Command line for the system's shell if the exit code is not 0; None for none.
    echo
        Print what the task prints, as well as logging it.
    messages
        Tell people how the night went, by `pm notify night`.
    """

    def __init__(
        self,
        workspace: Workspace,
        program: tuple[str, ...],
        *,
        task: str,
        on_failure: str | None,
        echo: bool = False,
        messages: bool = False,
    ) -> None:
        self._plan = _Plan(workspace, program, task, on_failure, messages)
        self._echo = echo
        self._child: Child | None = None
        self._interrupted = 0
        self._error: str | None = None

    def interrupt(self) -> None:
        """Interrupt the night as Ctrl-C would; called a second time, end its task at once. For any thread or signal."""
        self._interrupted += 1
        child = self._child
        if child is None:
            return
        if self._interrupted > 1:
            child.kill()
        else:
            child.interrupt()

    def hold(self) -> int:
        """Hold the night, and return its exit code: that of the task, else that of the compaction.

        Raises
        ------
        LakeBusyError
            Another night of the workspace is under way.
        StorageError
            The folder of the logs cannot be written.
        """
        logs = self._plan.workspace.logs
        try:
            logs.mkdir(exist_ok=True)
            with night_lock(logs):
                return self._hold(logs)
        except Timeout:
            raise LakeBusyError(
                "Another night of this workspace is under way.",
                where=str(logs / LOG_NAME),
                hint="wait for it to end; if it hangs, end its process",
            ) from None
        except OSError as error:
            raise StorageError(
                f"The night cannot be recorded: {error.strerror or error}.",
                where=str(error.filename or logs),
                hint="free some space, or correct the permissions of the folder",
            ) from None

    def _hold(self, logs: Path) -> int:
        plan, log = self._plan, NightLog(logs, echo=self._echo)
        before = NightRecord.read(logs)
        now = datetime.now(UTC)
        record = NightRecord(now, plan.task, compacted_at=before.compacted_at if before else None)
        record.write(logs)
        try:
            log.add(f"The night begins: pm {plan.task}")
            code = self._run(log, plan.task)
            if now >= next_compaction(before, now) and not self._interrupted:
                log.add("The week's compaction: pm lake compact")
                compacting = self._run(log, "lake", "compact")
                code = code or compacting
                record = replace(record, compacted_at=now) if not compacting else record
            log.add(f"The night ends with exit code {code}.")
            record = replace(record, finished_at=datetime.now(UTC), exit_code=code, error=self._error if code else None)
            record.write(logs)
            if plan.messages:  # whether they arrive is not what the night's exit code tells
                self._run(log, "notify", "night", even_if_interrupted=True)
            if code and plan.on_failure is not None:
                answer = call_for_help(plan.on_failure, plan.workspace.root, code, log.add)
                with suppress(OSError):  # to fail here would call for help once more
                    replace(record, on_failure_code=answer).write(logs)
        finally:
            log.close()
        return code

    def _run(self, log: NightLog, *words: str, even_if_interrupted: bool = False) -> int:
        """Run a command of `pm`, and return its exit code."""

        def take(line: str) -> None:
            if self._error is None and line.startswith("error: "):
                self._error = line.removeprefix("error: ")
            log.add(line)

        if self._interrupted and not even_if_interrupted:
            return INTERRUPTED
        command = task_words(self._plan.program, self._plan.workspace.root, *words)
        try:
            self._child = child = Child(command, self._plan.workspace.root, take, _UNBUFFERED)
        except OSError as error:  # no memory for a process, or a program that was deleted
            take(f"error: {command[0]} cannot be started: {error.strerror}.")
            return 1
        try:
            if self._interrupted and not even_if_interrupted:  # since it was looked at above
                child.interrupt()
            return child.wait()
        finally:
            self._child = None


def call_for_help(command: str, folder: Path | None, code: int, say: Callable[[str], object]) -> int:
    """Run the command of --on-failure, and return its exit code: 124 if it was ended for taking too long.

    Parameters
    ----------
    command
        Line for the system's shell.
    folder
        The workspace, in which it runs. If it does not exist or is not known, it runs in the current folder.
    code
        Exit code of the night. The command finds it in NIGHT_EXIT_CODE, and the paths of the workspace and of the
        log in NIGHT_FOLDER and NIGHT_LOG.
    say
        Called with each line that it prints, and with a line on how it ended.
    """
    variables = {
        "NIGHT_EXIT_CODE": str(code),
        "NIGHT_FOLDER": str(folder or ""),
        "NIGHT_LOG": str(folder / "logs" / LOG_NAME) if folder is not None else "",
    }
    say(f"On failure: {command}")
    child = Child(command, folder if folder is not None and folder.is_dir() else Path(), say, variables)
    try:
        answer = child.wait(_HELP_SECONDS)
    except TimeoutError:
        child.kill()
        child.wait()
        answer = 124
    say(f"The command ended with exit code {answer}.")
    return answer
