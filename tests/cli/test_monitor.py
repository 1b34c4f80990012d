"""`pm monitor` on the lake of a real run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pm.monitor import Finding
from pm.monitor.metrics import openmetrics
from pm.pipeline.lock import writer_lock
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


def test_the_checks_are_printed_with_their_rules_and_recorded(finished_copy: Path, pm: Pm) -> None:
    done = pm(finished_copy, "monitor", "--json", "checks.json")

    # The bars of BAD.csv are of 2013.
    assert (done.returncode, done.stderr) == (25, "")
    lines = done.stdout.splitlines()
    (bars,) = [line for line in lines if " bars " in line]
    assert bars.startswith("failing ")
    assert "Rule: data_health: failing if" in lines[lines.index(bars) + 1]
    checks = json.loads((finished_copy / "checks.json").read_text("utf-8"))
    assert checks["status"] == "failing"
    recorded = pm(finished_copy, "sql", "FROM health_checks ORDER BY subject", "--format", "json").stdout
    assert [(row["subject"], row["status"], row["detail"], row["rule"]) for row in json.loads(recorded)] == sorted(
        (check["subject"], check["status"], check["detail"], check["rule"]) for check in checks["checks"]
    )
    refused = next(check for check in checks["checks"] if check["subject"] == "quarantine")["values"]
    expected = pm(finished_copy, "sql", "SELECT count(*) AS n FROM quarantine", "--format", "json").stdout
    assert refused["refused_rows"] == json.loads(expected)[0]["n"] == 2


def test_metrics_are_read_by_a_parser_of_openmetrics(finished_copy: Path, pm: Pm) -> None:
    done = pm(finished_copy, "monitor", "--metrics")

    families = {family.name: family for family in text_string_to_metric_families(done.stdout)}
    status = {
        sample.labels["subject"]: sample.labels["pm_check_status"]
        for sample in families["pm_check_status"].samples
        if sample.value
    }
    assert status["bars"] == "failing"
    assert status["lake"] == "healthy"
    assert families["pm_quarantine_refused_rows"].samples[0].value == 2


def test_a_subject_with_markup_is_one_label() -> None:
    finding = Finding('a"b\n<script>', HealthStatus.HEALTHY, "", "", values={"n": 1.5})
    families = {family.name: family for family in text_string_to_metric_families(openmetrics([finding], version="1"))}
    assert {sample.labels["subject"] for sample in families["pm_check_status"].samples} == {'a"b\n<script>'}
    assert families["pm_a_b_script__n"].samples[0].value == 1.5


def test_while_another_process_writes_the_checks_are_shown_and_not_recorded(finished_copy: Path, pm: Pm) -> None:
    with writer_lock(finished_copy / "lake", wait_seconds=0):
        done = pm(finished_copy, "monitor")

    assert done.returncode == 25
    assert done.stdout.splitlines()[-1].startswith("Not recorded in health_checks: another process is writing")


def test_a_night_that_was_killed_fails(finished_copy: Path, pm: Pm) -> None:
    (finished_copy / "logs").mkdir(exist_ok=True)
    (finished_copy / "logs" / "night.json").write_text(
        '{"started_at": "2026-01-29T22:30:00+00:00", "task": "run", "finished_at": "2026-01-29T22:31:00+00:00",'
        ' "exit_code": 137, "error": null, "compacted_at": null, "on_failure_code": null}',
        encoding="utf-8",
    )
    done = pm(finished_copy, "monitor", "--json", "-")
    checks = {check["subject"]: check for check in json.loads(done.stdout)["checks"]}
    assert (checks["last night"]["status"], "137" in checks["last night"]["detail"]) == ("failing", True)
    assert (checks["schedule"]["status"], "killed" in checks["schedule"]["detail"]) == ("failing", True)


def test_bad_input(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    folder = pm(finished_copy, "monitor", "--json", ".")
    assert (folder.returncode, "is a folder" in folder.stderr) == (5, True)
    nowhere = pm(finished_copy, "monitor", "--json", "no/such/folder/checks.json")
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (10, True)
    assert pm(tmp_path, "monitor").returncode == 4
