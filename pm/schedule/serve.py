"""Hold nights from one process that stays in the foreground, as a container wants it."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pm.schedule.times import next_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import time as TimeOfDay  # noqa: N812 - `time` is the module
    from types import FrameType
    from zoneinfo import ZoneInfo

__all__ = ["on_signals", "serve"]

_POLL = 0.5
"""Seconds between two looks for a signal: on Windows a signal does not end a wait."""

_LOOK = 30
"""Seconds between two looks at the clock."""


@contextmanager
def on_signals(act: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Call a function when the process is told to end, by SIGTERM or Ctrl-C; afterwards signals do what they did."""

    def handle(number: int, _frame: FrameType | None) -> None:
        act(signal.Signals(number))

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(
    at: TimeOfDay,
    zone: ZoneInfo,
    hold: Callable[[], object],
    interrupt: Callable[[], object],
    *,
    at_once: bool,
    on_next: Callable[[datetime], object],
) -> signal.Signals:
    """Hold a night at a time of every day, until the process is told to end; then interrupt the night and wait for it.

    Parameters
    ----------
    at, zone
        Time of day, and the zone in which it is meant.
    hold
        Holds a night; called from another thread, never twice at a time: a night is left out while the one before
        lasts. Nights that came while the machine slept are held when it wakes, as one.
    interrupt
        Interrupts the night; called with every signal, from the main thread.
    at_once
        Whether to hold a night now, and not only at the next time.
    on_next
        Called with the moment of the next night, at the start and after each night.

    Returns
    -------
    signal.Signals
        The signal that ended it.
    """
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.base import BaseTrigger

    class Nightly(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
        """The times of `next_time`: CronTrigger would hold two nights when the clock is put back."""

        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
            return next_time(at, zone, previous or now)

    def hold_and_tell() -> None:
        hold()
        on_next(next_time(at, zone, datetime.now(UTC)))

    ended = threading.Event()
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        ended.set()
        interrupt()

    scheduler = BackgroundScheduler(
        timezone=zone,
        executors={"default": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    first = {"next_run_time": datetime.now(zone)} if at_once else {}
    scheduler.add_job(hold_and_tell, Nightly(), **first)
    with on_signals(end):
        on_next(datetime.now(zone) if at_once else next_time(at, zone, datetime.now(UTC)))
        scheduler.start()
        looked = time.monotonic()
        while not ended.wait(_POLL):
            if time.monotonic() - looked > _LOOK:
                scheduler.wakeup()  # its own wait does not count the time that the machine sleeps
                looked = time.monotonic()
        scheduler.shutdown(wait=True)
    return received[0]
