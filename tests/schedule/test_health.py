from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pm.schedule.health import find_problems
from pm.schedule.job import Installed, Job
from pm.schedule.record import NightRecord

ZONE = ZoneInfo("Europe/Berlin")
JOB = Job(Path("/ws"), (sys.executable, "-P", "-m", "pm"), time(22, 30))
NOW = datetime(2026, 11, 27, 8, 0, tzinfo=ZONE)
NIGHT = datetime(2026, 11, 26, 22, 30, 2, tzinfo=ZONE)
INSTALLED = Installed(JOB, NOW - timedelta(days=9), "cron")
GOOD = NightRecord(NIGHT, "run", NIGHT + timedelta(minutes=3), 0)


def problems(
    record: NightRecord | None, *installed: Installed, now: datetime = NOW, under_way: bool = False
) -> list[str]:
    return find_problems(record, installed, under_way=under_way, now=now, zones=[ZONE] * len(installed))


def test_a_good_night_has_no_problem() -> None:
    assert problems(GOOD, INSTALLED) == []
    assert problems(None) == []
    assert problems(GOOD) == []


def test_a_failed_night_comes_first_with_its_code_and_reason() -> None:
    failed = replace(GOOD, exit_code=9, error="Another run is writing to this workspace.", on_failure_code=3)
    found = problems(failed, replace(INSTALLED, job=replace(JOB, program=("/gone/python",))))
    assert found[0] == (
        "The night of 2026-11-26 22:30 failed with exit code 9: Another run is writing to this workspace."
    )
    assert "--on-failure failed too, with exit code 3" in found[1]
    assert "no longer exists: /gone/python" in found[2]
    assert len(found) == 3


def test_a_night_that_was_killed_interrupted_or_cut_off_is_told() -> None:
    assert "killed (exit code 137)" in problems(replace(GOOD, exit_code=137), INSTALLED)[0]
    assert "interrupted" in problems(replace(GOOD, exit_code=130), INSTALLED)[0]
    cut_off = replace(GOOD, finished_at=None, exit_code=None)
    assert "cut off" in problems(cut_off, INSTALLED)[0]
    assert problems(cut_off, INSTALLED, under_way=True) == []


def test_a_night_that_did_not_take_place_is_told_after_a_quarter_of_an_hour() -> None:
    later = datetime(2026, 11, 27, 22, 44, tzinfo=ZONE)
    assert problems(GOOD, INSTALLED, now=later) == []
    assert problems(GOOD, INSTALLED, now=later + timedelta(minutes=2)) == [
        "The night of 2026-11-27 22:30 Europe/Berlin did not take place."
    ]
    assert problems(GOOD, INSTALLED, now=later + timedelta(minutes=2), under_way=True) == []
    assert problems(None, INSTALLED) == ["The night of 2026-11-26 22:30 Europe/Berlin did not take place."]


def test_a_night_before_the_installation_is_not_missed() -> None:
    assert problems(None, replace(INSTALLED, since=NOW - timedelta(hours=2))) == []
    assert problems(None, replace(INSTALLED, since=None)) == []


def test_a_night_that_was_made_up_for_in_the_morning_is_not_missed() -> None:
    late = replace(GOOD, started_at=NOW - timedelta(minutes=20), finished_at=NOW)
    assert problems(late, INSTALLED) == []


def test_a_night_on_the_day_the_clock_is_put_forward_may_begin_early() -> None:
    job = replace(INSTALLED, job=replace(JOB, at=time(2, 30)), since=datetime(2026, 3, 1, tzinfo=UTC))
    early = datetime(2026, 3, 29, 3, 0, 1, tzinfo=ZONE)  # cron: at once after the change, not at 03:30
    record = replace(GOOD, started_at=early, finished_at=early)
    assert problems(record, job, now=datetime(2026, 3, 29, 9, tzinfo=ZONE)) == []


def test_what_nobody_understands_and_what_is_there_twice_is_told() -> None:
    found = problems(GOOD, replace(INSTALLED, job=None), replace(INSTALLED, where="systemd", problem="It is stopped."))
    assert "changed by hand" in found[0]
    assert found[1] == "It is stopped."
    assert "Several schedulers" in found[2]
