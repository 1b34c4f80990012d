"""What stops trading, and that nothing is sent after it."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # a module of the tests, which are no package
from desk import SETTINGS, Desk

from pm.broker.base import BrokerOrder, OrderRequest, RefusedError, UnreachableError
from pm.broker.halts import HALT_FILE, clock_cause, file_says_halt, rejects_cause, stale_cause
from pm.broker.sending import send_orders
from pm.lake.location import LakeLocation
from pm.pipeline.trading import is_halted
from pm.tables.vocabulary import HaltCause, OrderState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TODAY = date(2024, 1, 5)
NOW = datetime(2024, 1, 5, 12)  # noqa: DTZ001 - as the lake stores times

# Another process, which writes the file whenever it is told to.
_OTHER = """
import sys
for line in sys.stdin:
    open(line.strip(), "w").close()
    print("done", flush=True)
"""


class Moments:
    """Sets a halt at one of the moments that sending consists of: looks for a halt, commits, and requests."""

    def __init__(self, at: int, halt: Callable[[], None]) -> None:
        self._at, self._halt, self.passed, self.is_set = at, halt, 0, False

    def pass_by(self) -> None:
        if self.passed == self._at:
            self._halt()
            self.is_set = True
        self.passed += 1


class Recorder:
    """A broker that answers in several ways, and says which orders reached it after a look that came after a halt."""

    name = "recorder"
    remembers: timedelta | None = None

    def __init__(self, moments: Moments, generator: random.Random) -> None:
        self._moments, self._generator = moments, generator
        self.looked_after_halt = False
        self.sent: list[bool] = []

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.sent.append(self.looked_after_halt)
        self._moments.pass_by()
        answer = self._generator.choice(["accepted", "accepted", "accepted", "rejected", "lost"])
        if answer == "rejected":
            raise RefusedError("no")
        if answer == "lost":
            raise UnreachableError("lost")
        return BrokerOrder(request.order_id, "1", request.ticker, answer, request.quantity, request.quantity * 0)


def run_schedule(seed: int, folder: Path, other: subprocess.Popen[str]) -> tuple[int, bool]:
    """Halt at some moment of sending; return the number of orders that reached the broker, and whether it halted."""
    generator = random.Random(seed)  # noqa: S311 - moments, not secrets
    desk, file = Desk(), folder / HALT_FILE
    file.unlink(missing_ok=True)
    count = generator.randint(1, 4)
    for place in range(count):
        desk.plan(f"T{place}", "5")

    def by_other() -> None:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(f"{file}\n")
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"

    ways: list[Callable[[], object]] = [
        file.touch,
        lambda: desk.ledger.halt(HaltCause.HAND, "by command"),
        by_other,
    ]
    moments = Moments(generator.randrange(5 * count + 1), generator.choice(ways))  # type: ignore[arg-type]
    recorder = Recorder(moments, generator)
    context: Any = SimpleNamespace(
        workspace=SimpleNamespace(root=folder), lake=SimpleNamespace(location=LakeLocation(folder))
    )

    def halted() -> str | None:
        moments.pass_by()
        recorder.looked_after_halt = moments.is_set
        return is_halted(context, desk.ledger)

    steps = send_orders(desk.ledger, recorder, "main", halted=halted, settings=SETTINGS)  # type: ignore[arg-type]
    for _ in steps:
        moments.pass_by()
        desk.commit()
    desk.commit()
    assert not any(recorder.sent)
    states = [order.state for order in desk.ledger.orders.values()]
    never = [state for state in states if state in {OrderState.PLANNED, OrderState.CANCELLED}]
    assert len(never) + len(recorder.sent) == count
    return len(recorder.sent), moments.is_set


@pytest.fixture(scope="module")
def other() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def check_schedules(seeds: range, folder: Path, other: subprocess.Popen[str]) -> None:
    outcomes = [run_schedule(seed, folder, other) for seed in seeds]
    assert {halted for _, halted in outcomes} == {True, False}
    assert {sent for sent, halted in outcomes if halted} >= {0, 1, 2, 3}


def test_no_order_is_sent_after_a_halt(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    check_schedules(range(150), tmp_path, other)


@pytest.mark.slow
def test_no_order_is_sent_after_a_halt_in_ten_thousand_schedules(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    check_schedules(range(1_000, 11_000), tmp_path, other)


@pytest.mark.posix
def test_a_folder_that_cannot_be_looked_into_halts(tmp_path: Path) -> None:
    assert not file_says_halt(tmp_path)
    (tmp_path / "file").touch()
    assert file_says_halt(tmp_path / "file")
    assert file_says_halt(tmp_path / ("x" * 300))
    (tmp_path / HALT_FILE).mkdir()
    assert file_says_halt(tmp_path)


@pytest.mark.parametrize(("age", "halts"), [(None, True), (0, False), (7, False), (8, True), (-1, False)])
def test_old_bars_halt(age: int | None, halts: bool) -> None:
    newest = None if age is None else TODAY - timedelta(age)
    assert (stale_cause(newest, TODAY, SETTINGS) is not None) == halts


@pytest.mark.parametrize(("seconds", "halts"), [(0, False), (30, False), (31, True), (-31, True)])
def test_clocks_that_differ_halt(seconds: float, halts: bool) -> None:
    assert (clock_cause(NOW, NOW + timedelta(seconds=seconds), SETTINGS) is not None) == halts
    assert clock_cause(NOW, None, SETTINGS) is None


@pytest.mark.parametrize(
    ("answers", "halts"),
    [([], False), (["rejected"] * 4, False), (["rejected"] * 5, True), (["accepted", *["rejected"] * 5], True),
     ([*["rejected"] * 5, "accepted"], False), ([*["rejected"] * 4, "accepted", "rejected"], False)],
)  # fmt: skip
def test_rejects_in_a_row_halt(answers: list[str], halts: bool) -> None:
    assert (rejects_cause(answers, SETTINGS) is not None) == halts
