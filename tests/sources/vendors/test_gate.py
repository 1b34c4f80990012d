"""The gate's arithmetic, on a clock that runs only while something waits."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.settings import load_settings
from pm.sources.vendors.budget import DayBudget
from pm.sources.vendors.gate import Gate
from pm.sources.vendors.limits import Limits, Pace
from pm.sources.vendors.problems import (
    BudgetSpentError,
    GoneError,
    LimitedError,
    NotAskedError,
    StoppedError,
    UnreachableError,
    VendorError,
)
from pm.sources.vendors.reply import Reply, redacted, retry_moment, said
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.settings import RefreshSettings

BEGINNING = datetime(2026, 11, 27, 22, 30)  # noqa: DTZ001 - UTC, without a zone


class FakeClock:
    """A clock that stands still but while something waits."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds

    def wait(self, event: Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += max(seconds, 1e-9)
        return event.is_set()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


# Buckets ---------------------------------------------------------------------------------------------------------


@given(
    per_second=st.none() | st.integers(1, 30),
    per_minute=st.none() | st.floats(0.2, 100),
    per_hour=st.none() | st.integers(1, 60),
    gaps=st.lists(st.floats(0, 90), min_size=1, max_size=120),
)
def test_no_interval_has_more_requests_than_its_limit(
    per_second: int | None, per_minute: float | None, per_hour: int | None, gaps: list[float]
) -> None:
    clock = FakeClock()
    pace = Pace(Limits(per_second, per_minute, per_hour), clock)
    sent: list[float] = []
    for gap in gaps:
        clock.seconds += gap if len(sent) % 7 == 0 else 0.0
        pace.take(Event())
        sent.append(clock.seconds)
    for seconds, number in ((1.0, per_second), (60.0, per_minute), (3600.0, per_hour)):
        if number is not None:
            span, most = (seconds, int(number)) if number >= 1 else (seconds / number, 1)
            for start in range(len(sent) - most):
                assert sent[start + most] - sent[start] >= span * (1 - 1e-12)


def test_requests_within_the_limits_do_not_wait(clock: FakeClock) -> None:
    pace = Pace(Limits(per_minute=60), clock)
    for _ in range(60):
        pace.take(Event())
    assert clock.waits == []
    pace.take(Event())
    assert clock.seconds == pytest.approx(60)


def test_a_pause_holds_all_requests_and_a_stop_ends_the_wait(clock: FakeClock) -> None:
    pace = Pace(Limits(), clock)
    pace.pause(12)
    pace.pause(3)
    pace.take(Event())
    assert clock.seconds == pytest.approx(12)
    stop = Event()
    stop.set()
    with pytest.raises(StoppedError):
        pace.take(stop)


def test_a_request_that_is_allowed_too_late_is_not_waited_for(clock: FakeClock) -> None:
    pace = Pace(Limits(per_hour=50), clock)
    for _ in range(50):
        pace.take(Event(), 3_000)
    with pytest.raises(StoppedError, match=r"refresh\.total_minutes"):
        pace.take(Event(), 3_000)
    assert clock.waits == []
    pace.take(Event(), 3_600)
    assert clock.seconds == pytest.approx(3_600)


@given(
    until=st.floats(0, 400),
    limits=st.builds(Limits, per_second=st.none() | st.integers(1, 3), per_minute=st.integers(1, 30)),
    errors=st.lists(st.sampled_from(["", "unreachable", "limited"]), min_size=1, max_size=80),
)
def test_nothing_waits_beyond_the_end_of_the_refresh(
    tmp_path_factory: pytest.TempPathFactory, until: float, limits: Limits, errors: list[str]
) -> None:
    clock = FakeClock()
    settings = load_settings(None).refresh.model_copy(update={"failures_in_a_row": 1_000})
    gate = Gate("tiingo", settings, limits, tmp_path_factory.getbasetemp(), clock)
    gate.until = until
    left = list(errors)

    def send() -> str:
        gate.admit()
        told = left.pop(0) if left else ""
        if told == "unreachable":
            raise UnreachableError("no connection")
        if told == "limited":
            raise LimitedError("wait", retry_after=clock.now() + timedelta(seconds=30))
        return told

    while left:
        with suppress(VendorError):
            gate.attempt(send)
        assert clock.seconds <= until + 1e-6
        if clock.seconds + 60 > until:  # it may refuse without a wait
            break


def test_a_users_plan_replaces_the_free_ones_limits() -> None:
    free = Limits(per_second=1, per_day=25)
    assert free.changed(per_minute=None, per_day=None) == free
    assert free.changed(per_minute=75, per_day=None) == Limits(per_second=2, per_minute=75, per_day=25)
    assert free.changed(per_minute=30, per_day=500) == Limits(per_second=1, per_minute=30, per_day=500)
    assert Limits(per_hour=50).changed(per_minute=100, per_day=None).per_hour is None


# The budget of a day ---------------------------------------------------------------------------------------------


def test_a_budget_is_kept_between_commands_and_begins_anew_with_the_day(tmp_path: Path, clock: FakeClock) -> None:
    first = DayBudget("alpha_vantage", 25, tmp_path / "cache", clock)
    assert first.left() == 25
    first.take(20)
    second = DayBudget("alpha_vantage", 25, tmp_path / "cache", clock)
    assert second.left() == 5
    with pytest.raises(BudgetSpentError) as caught:
        second.take(6)
    assert caught.value.retry_after == datetime(2026, 11, 28)  # noqa: DTZ001 - UTC, without a zone
    assert second.left() == 5
    second.spend_all()
    assert first.left() == 0
    clock.seconds = 3 * 3600
    assert first.left() == 25


@pytest.mark.parametrize("content", ["", "{", "[]", '{"day": "2026-11-27"}', '{"day": "2026-11-27", "spent": "x"}'])
def test_a_damaged_budget_is_an_unspent_one(tmp_path: Path, clock: FakeClock, content: str) -> None:
    (tmp_path / "tiingo-requests.json").write_text(content, encoding="utf-8")
    budget = DayBudget("tiingo", 1_000, tmp_path, clock)
    assert budget.left() == 1_000
    budget.take()
    assert budget.left() == 999


def test_no_limit_writes_nothing(tmp_path: Path, clock: FakeClock) -> None:
    budget = DayBudget("yahoo", None, tmp_path, clock)
    budget.take()
    budget.spend_all()
    assert budget.left() is None
    assert list(tmp_path.iterdir()) == []


_SPEND = """
import sys
from pathlib import Path
from pm.sources.vendors.budget import DayBudget
from pm.sources.vendors.limits import SystemClock
budget = DayBudget("tiingo", 100_000, Path(sys.argv[1]), SystemClock())
for _ in range(50):
    budget.take()
"""


def test_processes_share_a_budget(tmp_path: Path) -> None:
    from pm.sources.vendors.limits import SystemClock

    day = SystemClock().now().date()
    running = [subprocess.Popen([sys.executable, "-c", _SPEND, str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    if SystemClock().now().date() == day:
        assert DayBudget("tiingo", 100_000, tmp_path, SystemClock()).left() == 100_000 - 150


# Attempts and the breaker ----------------------------------------------------------------------------------------


@pytest.fixture
def gate(changed: Callable[..., RefreshSettings], tmp_path: Path, clock: FakeClock) -> Callable[..., Gate]:
    def make(**changes: object) -> Gate:
        settings = changed(first_wait_seconds=1.0, longest_wait_seconds=8.0, requests_per_minute={}, **changes)
        return Gate("yahoo", settings, Limits(), tmp_path, clock)

    return make


def failing(*errors: VendorError) -> Callable[[], str]:
    left = list(errors)

    def send() -> str:
        if left:
            raise left.pop(0)
        return "bars"

    return send


def test_the_wait_doubles_with_a_random_part_up_to_the_longest(gate: Callable[..., Gate], clock: FakeClock) -> None:
    made = gate(attempts=7)
    errors = [UnreachableError(f"{number}.") for number in range(6)]
    assert made.attempt(failing(*errors)) == "bars"
    for wait, least in zip(clock.waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert least <= wait <= least + 1
    assert len({round(wait % 1, 6) for wait in clock.waits}) > 1


def test_a_vendors_own_wait_counts_where_it_is_longer(gate: Callable[..., Gate], clock: FakeClock) -> None:
    made = gate(attempts=3)
    asked = LimitedError("Wait.", retry_after=clock.now() + timedelta(seconds=7))
    assert made.attempt(failing(asked)) == "bars"
    assert clock.waits[0] == pytest.approx(7)


def test_a_wait_longer_than_the_longest_ends_the_refresh(gate: Callable[..., Gate], clock: FakeClock) -> None:
    made = gate()
    until = clock.now() + timedelta(seconds=9)
    with pytest.raises(BudgetSpentError) as caught:
        made.attempt(failing(LimitedError("Wait.", retry_after=until)))
    assert caught.value.retry_after == until
    assert clock.waits == []
    with pytest.raises(BudgetSpentError, match="Wait"):
        made.admit()


def test_failures_in_a_row_open_the_breaker_and_a_success_between_closes_it(gate: Callable[..., Gate]) -> None:
    made = gate(attempts=1, failures_in_a_row=3)

    def fail(error: VendorError) -> None:
        with pytest.raises(type(error)):
            made.attempt(failing(error))

    for _ in range(2):
        fail(UnreachableError("No."))
    made.attempt(failing())
    for _ in range(2):
        fail(UnreachableError("No."))
    fail(GoneError("Gone."))  # an answer too
    for _ in range(2):
        fail(UnreachableError("No."))
    assert made.opened_by is None
    fail(UnreachableError("At last."))
    assert made.opened_by is not None
    with pytest.raises(NotAskedError, match=r"3 requests in a row had failed, the last with: At last\."):
        made.attempt(failing())
    assert isinstance(made.opened_by, UnreachableError)


def test_every_reason_of_an_error_is_a_word_of_the_table() -> None:
    kinds = [VendorError]
    while kinds:
        kind = kinds.pop()
        assert kind.reason in FailureReason
        assert not (kind.is_transient and kind.ends)
        kinds += kind.__subclasses__()


def test_few_items_are_begun_before_results_are_taken(gate: Callable[..., Gate]) -> None:
    made = gate(concurrency=3)
    begun = []

    def items() -> object:
        for number in range(1_000):
            begun.append(number)
            yield number

    results = made.each(items(), lambda number: [number])  # type: ignore[arg-type,var-annotated]
    assert next(results) in range(6)
    assert len(begun) <= 6
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 6


# What a reply says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 5 ", 5),
        ("Fri, 27 Nov 2026 22:31:00 GMT", 60),
        ("Fri, 27 Nov 2026 23:31:00 +0100", 60),
        ("Friday, 27-Nov-26 22:31:00 GMT", 60),
        ("99999999999999999999", 366 * 86_400),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("Fri, 99 Nov 2026 22:31:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int | None) -> None:
    moment = retry_moment(Reply(429, {"retry-after": value}, b""), BEGINNING)
    assert moment == (None if seconds is None else BEGINNING + timedelta(seconds=seconds))


def test_a_vendors_words_are_one_short_line_without_keys() -> None:
    assert said("The key\n abcd is\twrong", ("abcd",)) == "The key *** is wrong"
    assert len(said("x" * 5_000, ())) == 201
    assert said(None, ()) == said({"a": 1}, ()) == ""
    assert redacted("abcdef and abc", ("abcdef", "abc")) == "*** and ***"
