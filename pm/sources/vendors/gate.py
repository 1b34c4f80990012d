"""The gate that every request to a vendor goes through: limits, attempts, and a circuit breaker."""

from __future__ import annotations

import math
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar

from pm.sources.vendors.budget import DayBudget
from pm.sources.vendors.limits import Limits, Pace, SystemClock
from pm.sources.vendors.problems import (
    BudgetSpentError,
    LimitedError,
    NotAskedError,
    StoppedError,
    VendorError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from tenacity import RetryCallState

    from pm.settings import RefreshSettings
    from pm.sources.vendors.limits import Clock

    Item = TypeVar("Item")

__all__ = ["Gate"]

Result = TypeVar("Result")


class Gate:
    """What all requests to one vendor, in one refresh, go through.

    A new refresh makes a new one: the circuit breaker remembers for one refresh, only the budget of a day longer.

    Parameters
    ----------
    vendor
        Name of the vendor.
    settings
        Section `refresh` of the settings.
    limits
        Limits of the vendor's free plan; the settings may have others.
    folder
        Folder in which the budget of the day is remembered.
    clock
        Clock to wait by; the computer's by default.
    """

    def __init__(
        self, vendor: str, settings: RefreshSettings, limits: Limits, folder: Path, clock: Clock | None = None
    ) -> None:
        self.vendor = vendor
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.limits = limits.changed(
            per_minute=settings.requests_per_minute.get(vendor), per_day=settings.requests_per_day.get(vendor)
        )
        self.budget = DayBudget(vendor, self.limits.per_day, folder, self.clock)
        self.stop = Event()
        self.until = math.inf
        """Moment of the clock at which the refresh must end; nothing is waited for beyond it."""
        self._pace = Pace(self.limits, self.clock)
        self._lock = Lock()
        self._failed_in_a_row = 0
        self._opened_by: VendorError | None = None

    # The breaker --------------------------------------------------------------------------------------------------

    @property
    def opened_by(self) -> VendorError | None:
        """The error that opened the circuit breaker; None while it is closed."""
        return self._opened_by

    def check(self) -> None:
        """Raise the error of a vendor that must not be asked any more in this refresh.

        Raises
        ------
        VendorError
            The circuit breaker is open; or StoppedError: the refresh has ended.
        """
        if self.stop.is_set():
            raise StoppedError("It was not asked: the refresh has ended.")
        error = self._opened_by
        if error is None:
            return
        if error.ends:
            raise type(error)(error.detail, retry_after=error.retry_after)
        raise NotAskedError(
            f"It was not asked: {self._failed_in_a_row:,} requests in a row had failed, the last with: {error.detail}",
            retry_after=error.retry_after,
        )

    def _succeeded(self) -> None:
        with self._lock:
            if self._opened_by is None:
                self._failed_in_a_row = 0

    def _failed(self, error: VendorError) -> None:
        if not error.is_vendors:
            if not isinstance(error, NotAskedError):
                self._succeeded()  # the vendor has answered, though not with bars
            return
        with self._lock:
            if self._opened_by is None:
                self._failed_in_a_row += 1
                if error.ends or self._failed_in_a_row >= self.settings.failures_in_a_row:
                    self._opened_by = error

    # Requests -----------------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Wait until a request may be sent, and count it; to be called before each one.

        Raises
        ------
        VendorError
            The circuit breaker is open, or the budget of the day is spent; or StoppedError.
        """
        self.check()
        self._pace.take(self.stop, self.until)
        self.check()  # what another request met meanwhile
        self.budget.take()

    def count_earlier(self, number: int, seconds: float) -> None:
        """Count requests that others have sent against the limits of a second, a minute and an hour.

        Parameters
        ----------
        number
            Number of the requests.
        seconds
            Time since they were sent.
        """
        self._pace.count_earlier(number, seconds)

    def attempt(self, send: Callable[[], Result]) -> Result:
        """Return what a function returns that sends requests, after another try where that may help.

        Parameters
        ----------
        send
            Function that calls `admit` before each request, and raises a `VendorError` where one fails.

        Raises
        ------
        VendorError
            The error of the last attempt.
        """
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

        first, longest = self.settings.first_wait_seconds, self.settings.longest_wait_seconds
        growing = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)

        def pause(state: RetryCallState) -> float:
            asked = self._asked_to_wait(state.outcome.exception() if state.outcome is not None else None)
            return max(growing(state), asked)

        last_attempt = stop_after_attempt(self.settings.attempts)
        retrying = Retrying(
            sleep=self._sleep,
            stop=lambda state: last_attempt(state) or self._is_too_late(state),
            wait=pause,
            retry=retry_if_exception(lambda error: isinstance(error, VendorError) and error.is_transient),
            reraise=True,
        )
        try:
            result: Result = retrying(self._once, send)
        except VendorError as error:
            self._failed(error)
            raise
        self._succeeded()
        return result

    def _once(self, send: Callable[[], Result]) -> Result:
        self.check()
        try:
            return send()
        except LimitedError as error:
            seconds = self._asked_to_wait(error)
            if seconds > self.settings.longest_wait_seconds:
                raise BudgetSpentError(error.detail, retry_after=error.retry_after) from None
            self._pace.pause(seconds)
            raise

    def has_ended(self) -> bool:
        """Return whether the refresh has ended, or must have."""
        return self.stop.is_set() or self.clock.elapsed() >= self.until

    def reply_seconds(self) -> float:
        """Return the seconds in which a reply must be there: `refresh.timeout_seconds`, or until the refresh ends."""
        return min(self.settings.timeout_seconds, max(self.until - self.clock.elapsed(), 0.1))

    def _is_too_late(self, state: RetryCallState) -> bool:
        """Return whether the wait before another attempt would last until the refresh must have ended."""
        return self.clock.elapsed() + state.upcoming_sleep > self.until

    def _asked_to_wait(self, error: BaseException | None) -> float:
        until = error.retry_after if isinstance(error, VendorError) else None
        return 0.0 if until is None else max(0.0, (until - self.clock.now()).total_seconds())

    def _sleep(self, seconds: float) -> None:
        if self.clock.wait(self.stop, seconds):
            raise StoppedError("It was not asked again: the refresh has ended.")

    def moment_in(self, seconds: float) -> datetime:
        """Return the time in UTC that many seconds from now; at most a year."""
        return self.clock.now() + timedelta(seconds=min(max(seconds, 0.0), 366 * 86_400))

    # Many at a time -----------------------------------------------------------------------------------------------

    def each(self, items: Iterable[Item], work: Callable[[Item], list[Result]]) -> Iterator[Result]:
        """Do a piece of work for each item, `refresh.concurrency` at a time, and yield the results as they come.

        Few items are begun before the results of earlier ones were taken, so that memory does not grow. When the
        iterator is closed, no request is begun any more, and those under way end.
        """
        workers = self.settings.concurrency
        with self._running(), ThreadPoolExecutor(workers, thread_name_prefix=self.vendor) as pool:
            under_way: set[Future[list[Result]]] = set()
            try:
                for item in items:
                    under_way.add(pool.submit(work, item))
                    if len(under_way) >= 2 * workers:
                        under_way = yield from _completed(under_way)
                while under_way:
                    under_way = yield from _completed(under_way)
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @contextmanager
    def _running(self) -> Iterator[None]:
        self.stop.clear()
        try:
            yield
        finally:
            self.stop.set()


def _completed(under_way: set[Future[list[Result]]]) -> Generator[Result, None, set[Future[list[Result]]]]:
    """Yield the results of what is done first, and return what is not."""
    done, others = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        yield from future.result()
    return others
