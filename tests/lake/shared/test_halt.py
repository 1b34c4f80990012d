"""A halt of trading from another machine that shares the lake is seen before the next order, whoever is writing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "broker"))  # modules of the tests, which are no package
from test_send import ORDERS, Desk, make

from pm.broker.halts import HALT_FILE
from pm.lake import Lake
from pm.lake.location import LakeLocation
from pm.lake.signs import remove_sign, set_sign, sign
from pm.pipeline.trading import halt_sign
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from tests.lake.shared.conftest import new_place
from tests.lake.shared.test_writers import HOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Pm


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    logins: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pm: Pm,
    command: list[str],
    environment: dict[str, str],
) -> Iterator[Desk]:
    """A workspace on a shared lake with planned orders, and its broker."""
    place = new_place("folder", request, tmp_path)
    variables = logins | {f"PM_LAKE__{name.upper()}": value for name, value in place.items()}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    make(tmp_path)
    made = Desk(tmp_path / "work", pm, command, environment | variables)
    made.env |= variables
    yield made
    made.server.close()


def location(folder: Path) -> LakeLocation:
    return LakeLocation.of(folder / "lake", load_settings().lake)


def states(desk: Desk) -> list[str]:
    settings = load_settings().lake
    with Lake(desk.folder / "lake", settings, TABLES, read_only=True) as lake:
        rows = lake.rows("SELECT order_id, arg_max(state, sequence) AS state FROM order_events GROUP BY ALL")
    return sorted(row["state"] for row in rows)


def test_a_halt_by_another_machine_stops_a_command_that_is_sending(desk: Desk, tmp_path: Path) -> None:
    desk.server.delay = 0.5
    other = location(tmp_path / "other")
    with desk.start("trade", "send") as process:
        while len(desk.server.received) < 2 and process.poll() is None:
            time.sleep(0.001)
        assert set_sign(other, HALT_FILE, "enough (me)")  # what `pm halt` does there before it waits
        sent = len(desk.server.received)
        _, told = process.communicate()
    assert process.returncode == 22, told
    assert "Another machine has halted trading: enough (me)" in " ".join(told.split())
    assert len(desk.server.received) == sent == 2 < ORDERS
    assert states(desk) == ["accepted", "accepted", "planned", "planned", "planned"]


def test_the_command_halts_without_the_right_to_write(desk: Desk, tmp_path: Path, pm: Pm) -> None:
    other = tmp_path / "other"
    assert pm(other.parent, "init", "other").returncode == 0
    line = [sys.executable, "-c", HOLDER, str(desk.folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        done = pm(other, "halt", "--reason", "enough", "--no-wait", env=desk.env)
        assert done.returncode == 9  # the row has to wait
        assert "It is halted on all machines that share the lake." in done.stdout
        seen = halt_sign(desk.folder, location(desk.folder))
        assert seen is not None
        assert seen.startswith("Another machine has halted trading: enough (")
        holder.stdin.close()
    (other / HALT_FILE).unlink()
    assert desk.run("trade", "send").returncode == 22
    assert desk.server.received == []
    resumed = pm(other, "resume", "--reason", "all is well", env=desk.env)
    assert resumed.returncode == 0, resumed.stderr
    assert halt_sign(desk.folder, location(desk.folder)) is None


def test_a_sign_keeps_its_text_until_it_is_removed(desk: Desk) -> None:
    place = location(desk.folder)
    assert sign(place, "x") is None
    remove_sign(place, "x")
    assert set_sign(place, "x", "first")
    assert set_sign(place, "x", "second")
    assert (sign(place, "x"), sign(place, "y")) == ("first", None)
    remove_sign(place, "x")
    assert sign(place, "x") is None


def test_a_database_that_cannot_be_asked_counts_as_a_halt(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    seen = halt_sign(desk.folder, location(desk.folder))
    assert seen is not None
    assert seen.startswith("Whether another machine has halted trading cannot be found out: ")


def test_a_place_without_a_lake_has_no_sign(
    request: pytest.FixtureRequest, logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del logged_in
    for name, value in new_place("folder", request, tmp_path).items():
        monkeypatch.setenv(f"PM_LAKE__{name.upper()}", value)
    assert not set_sign(location(tmp_path), HALT_FILE, "x")
    assert sign(location(tmp_path), HALT_FILE) is None
