"""Keep the number of requests within a vendor's limits."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Protocol

from pm.clock import utc_now
from pm.sources.vendors.problems import StoppedError

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Clock", "Limits", "Pace", "SystemClock"]


class Clock(Protocol):
    """What the waiting of requests is measured by."""

    def now(self) -> datetime:
        """Return the present moment in UTC, without a zone."""
        ...

    def elapsed(self) -> float:
        """Return seconds since any fixed moment; they never run backwards."""
        ...

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until an event or for a time, and return whether it was the event."""
        ...


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC, without a zone."""
        return utc_now()

    def elapsed(self) -> float:
        """Return seconds since any fixed moment."""
        return time.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until an event or for a time, and return whether it was the event."""
        return event.wait(seconds)


@dataclass(frozen=True)
class Limits:
    """Largest number of requests in any second, minute, hour and day; None where there is no limit."""

    per_second: float | None = None
    per_minute: float | None = None
    per_hour: float | None = None
    per_day: float | None = None

    def changed(self, *, per_minute: float | None, per_day: float | None) -> Limits:
        """Return the limits with the user's own in place of those of the free plan.

        A plan with more requests a minute than the free one also has more a second and an hour.
        """
        limits = self
        if per_minute is not None:
            seconds = self.per_second if self.per_second is None else max(self.per_second, math.ceil(per_minute / 60))
            limits = replace(limits, per_minute=per_minute, per_second=seconds, per_hour=None)
        return limits if per_day is None else replace(limits, per_day=per_day)

    def windows(self) -> list[tuple[float, int]]:
        """Return the limits but that of a day: seconds, and the largest number of requests in them."""
        lengths = ((1.0, self.per_second), (60.0, self.per_minute), (3600.0, self.per_hour))
        found = []
        for seconds, number in lengths:
            if number is not None:
                # Fewer than one in a window is one in a longer window.
                found.append((seconds, math.floor(number)) if number >= 1 else (seconds / number, 1))
        return found


class Pace:
    """Buckets of tokens of all limits: a request takes one of each, and it is back when the bucket's time is over.

    In no interval of a limit's length are there more requests than it allows; a bucket that is filled by and by would
    allow up to twice as many.

    Parameters
    ----------
    limits
        Limits of the vendor.
    clock
        Clock to wait by.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._buckets = [(seconds, deque[float](maxlen=number)) for seconds, number in limits.windows()]
        self._clock = clock
        self._lock = Lock()
        self._paused_until = -math.inf

    def pause(self, seconds: float) -> None:
        """Let no request through for a time, for the vendor asked so."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.elapsed() + seconds)

    def count_earlier(self, number: int, seconds: float) -> None:
        """Count requests that others sent some seconds ago, before any of one's own."""
        with self._lock:
            sent = self._clock.elapsed() - seconds
            for length, times in self._buckets:
                if seconds < length:
                    times.extend([sent] * min(number, times.maxlen or number))

    def take(self, stop: Event, until: float = math.inf) -> None:
        """Wait until a request is allowed, and count it.

        Parameters
        ----------
        stop
            Event that ends the wait.
        until
            Moment of the clock after which no request may begin. If one is allowed only later, it is not waited for.

        Raises
        ------
        StoppedError
            `stop` was set meanwhile, or no request is allowed in time.
        """
        while True:
            if stop.is_set():
                raise StoppedError("It was not asked: the refresh has ended.")
            with self._lock:
                now = self._clock.elapsed()
                full = [times[0] + seconds for seconds, times in self._buckets if len(times) == times.maxlen]
                allowed = max([*full, self._paused_until])
                if max(allowed, now) > until:
                    raise StoppedError(
                        "It was not asked: no request would have been allowed before the refresh must end "
                        "(refresh.total_minutes)."
                    )
                if allowed <= now:
                    for _, times in self._buckets:
                        times.append(now)
                    return
            self._clock.wait(stop, allowed - now)
