"""Messages about nights, sent to real servers: once, encrypted, and with no secret in any error."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.clock import utc_now
from pm.errors import SettingsError
from pm.notify.channels import channels_of
from pm.notify.delivery import deliver
from pm.notify.message import Change, NightResult, is_told, night_message
from pm.notify.outbox import Outbox, State
from pm.pipeline import open_lake
from pm.schedule.record import NightRecord
from pm.settings import Keys, NotifySettings, load_settings
from pm.settings.notify import Occasion
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace

if TYPE_CHECKING:
    import ssl
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.notify.conftest import Received

    Pm = Callable[..., subprocess.CompletedProcess[str]]

PASSWORD = "a-password-nobody-sees"  # noqa: S105 - of the tests' server


def result(**values: Any) -> NightResult:  # noqa: ANN401 - any field
    given: dict[str, Any] = {
        "workspace": "desk", "day": date(2026, 1, 29), "exit_code": 0, "error": None, "changes": [], "findings": [],
        "changed_checks": [], "report": None, "unreadable": None,
    }  # fmt: skip
    return NightResult(**given | values)


def settings(**values: Any) -> NotifySettings:  # noqa: ANN401 - any key
    return NotifySettings.model_validate(load_settings().notify.model_dump() | values)


# What is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("night", "told"),
    [
        (result(), {"always"}),
        (result(changes=[Change("IBM", "HOLD", "BUY")]), {"always", "changes"}),
        (result(changed_checks=["bars"]), {"always", "changes"}),
        (result(exit_code=17), {"always", "changes", "failures"}),
        (result(unreadable="The catalog is damaged."), {"always", "changes", "failures"}),
    ],
)
def test_when_a_night_is_told(night: NightResult, told: set[str]) -> None:
    assert {occasion.value for occasion in Occasion if is_told(night, occasion)} == told


def test_a_night_that_says_the_same_has_the_same_key() -> None:
    change = [Change("IBM", "HOLD", "BUY")]
    first = night_message(result(changes=change, report="/a/latest.html"))
    assert night_message(result(changes=change, report="/b/latest.html")).key == first.key
    others = [
        result(changes=change, day=date(2026, 1, 30)),
        result(changes=[Change("IBM", "HOLD", "SELL")]),
        result(changes=change, exit_code=17),
        result(changes=change, error="x"),
    ]
    assert len({night_message(other).key for other in others} | {first.key}) == 5
    assert "IBM: HOLD -> BUY" in first.body


def test_a_name_with_line_ends_adds_no_header() -> None:
    message = night_message(result(workspace="a\r\nBcc: x@example.com", changes=[Change("<script>\n", None, "BUY")]))
    assert message.subject == "a Bcc: x@example.com: is done, 1 signal changed"
    assert "  <script>: none -> BUY" in message.body.splitlines()


# How it is sent ----------------------------------------------------------------------------------------------------


@pytest.fixture
def mail_settings(
    mail_server: tuple[str, Received], authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> NotifySettings:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    security, received = mail_server
    return settings(
        mail_to=["you@example.com", "her@example.com"], mail_from="pm@example.com", mail_server="127.0.0.1",
        mail_port=received.port, mail_security=security, mail_user="me", timeout_seconds=20,
    )  # fmt: skip


def test_a_mail_arrives_once_and_encrypted(
    mail_settings: NotifySettings, mail_server: tuple[str, Received], tmp_path: Path
) -> None:
    keys, received = Keys.model_validate({"mail": PASSWORD}), mail_server[1]
    message = night_message(result(changes=[Change("ÄÖ<b>", "HOLD", "BUY")]))
    for _ in range(2):  # the night is run again
        outbox = Outbox(tmp_path)
        outbox.plan(message, ("mail",))
        deliver(outbox, mail_settings, keys)

    ((sender, recipients, content),) = received.mails
    assert (sender, recipients) == ("pm@example.com", ["you@example.com", "her@example.com"])
    assert received.was_encrypted
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail["Subject"] == message.subject
    assert mail["Message-ID"] == f"<{message.key}@portfolio-maximizer>"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n") == message.body
    assert [entry.state for entry in outbox.newest(5)] == [State.SENT]


def test_a_wrong_password_and_a_refusal_are_told_without_secrets(
    mail_settings: NotifySettings, mail_server: tuple[str, Received], tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path)
    outbox.plan(night_message(result()), ("mail",))
    wrong = deliver(outbox, mail_settings, Keys.model_validate({"mail": "wrong-password"}))
    assert [done.problem for done in wrong] == ["the mail server refuses mail_user and its password (535)"]
    mail_server[1].refusal = f"554 no {PASSWORD}"
    refused = deliver(outbox, mail_settings, Keys.model_validate({"mail": PASSWORD}))
    assert [done.problem for done in refused] == ["the mail server answers 554"]
    mail_server[1].refusal = None
    assert [done.problem for done in deliver(outbox, mail_settings, Keys.model_validate({"mail": PASSWORD}))] == [None]


def test_a_certificate_that_nobody_vouches_for_is_refused(
    mail_settings: NotifySettings, mail_server: tuple[str, Received], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    outbox = Outbox(tmp_path)
    outbox.plan(night_message(result()), ("mail",))
    (done,) = deliver(outbox, mail_settings, Keys.model_validate({"mail": PASSWORD}))
    assert "certificate is not valid" in str(done.problem)
    assert mail_server[1].mails == []


def test_a_server_that_is_down_or_silent_leaves_the_message_planned(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and never answers
        port = silent.getsockname()[1]
        local = {"mail_to": ["a@b.c"], "mail_from": "a@b.c", "mail_server": "127.0.0.1", "mail_security": "none"}
        slow = settings(**local, mail_port=port, timeout_seconds=0.2, attempts=3)
        outbox = Outbox(tmp_path)
        outbox.plan(night_message(result()), ("mail",))
        assert "the mail server cannot be used" in str(deliver(outbox, slow, Keys())[0].problem)
    assert "cannot be used" in str(deliver(outbox, slow, Keys())[0].problem)
    assert [entry.state for entry in outbox.planned()] == [State.PLANNED]
    deliver(outbox, slow, Keys())
    assert deliver(outbox, slow, Keys()) == []  # it has had its three attempts
    assert [(entry.state, entry.attempts) for entry in outbox.newest(1)] == [(State.FAILED, 3)]


def test_a_webhook_and_ntfy_get_the_message(http_server: Received, tmp_path: Path) -> None:
    root = f"http://127.0.0.1:{http_server.port}"
    addresses = {"webhook_url": f"{root}/hook/secret", "ntfy_url": f"{root}/my-topic"}
    keys = Keys.model_validate(addresses | {"webhook_token": "token-w", "ntfy_token": "token-n"})
    message = night_message(result(exit_code=12, error="A stage failed."))
    outbox = Outbox(tmp_path)
    outbox.plan(message, channels_of(settings(), keys))

    assert [done.problem for done in deliver(outbox, settings(), keys)] == [None, None]

    posts = {path: (headers, json.loads(content)) for path, headers, content in http_server.posts}
    headers, hook = posts["/hook/secret"]
    assert hook == {"key": message.key, "subject": message.subject, "text": message.body, "urgent": True}
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer token-w", message.key)
    headers, topic = posts["/"]
    assert (topic["topic"], topic["title"], topic["priority"]) == ("my-topic", message.subject, 4)
    assert headers["Authorization"] == "Bearer token-n"


@pytest.mark.parametrize("status", [301, 307, 404, 500])
def test_a_redirect_is_not_followed_and_no_error_names_the_address(
    http_server: Received, tmp_path: Path, status: int
) -> None:
    http_server.status = status
    http_server.headers = {"Location": f"http://127.0.0.1:{http_server.port}/elsewhere"}
    keys = Keys.model_validate({"webhook_url": f"http://127.0.0.1:{http_server.port}/hook/secret"})
    outbox = Outbox(tmp_path)
    outbox.plan(night_message(result()), ("webhook",))

    (done,) = deliver(outbox, settings(), keys)

    assert str(status) in str(done.problem)
    assert "secret" not in str(done.problem)
    assert [path for path, _, _ in http_server.posts] == ["/hook/secret"]


def test_a_message_that_was_being_sent_when_the_process_ended_is_not_sent_again(
    http_server: Received, tmp_path: Path
) -> None:
    keys = Keys.model_validate({"webhook_url": f"http://127.0.0.1:{http_server.port}/hook"})
    outbox = Outbox(tmp_path)
    message = night_message(result())
    outbox.plan(message, ("webhook",))
    (entry,) = outbox.planned()
    assert outbox.claim(entry)  # here the process ends
    assert not outbox.claim(entry)

    assert outbox.plan(message, ("webhook",)) == 0
    assert deliver(Outbox(tmp_path), settings(), keys) == []
    assert http_server.posts == []
    assert [found.state for found in outbox.newest(1)] == [State.SENDING]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mail_to": ["nobody"]}, "pattern"),
        ({"mail_to": ["a@b.c"]}, "mail_server"),
        ({"mail_to": ["a@b.c"], "mail_from": "a@b.c", "mail_server": "b.c", "mail_security": "none"}, "this machine"),
        ({"when": "sometimes"}, "never"),
    ],
)
def test_settings_that_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**values)


@pytest.mark.parametrize("address", ["http://example.com/x", "ftp://127.0.0.1/x", "secret", "https://", "https://[x"])
def test_an_address_that_is_refused_is_not_shown(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        channels_of(settings(), Keys.model_validate({"webhook_url": address}))
    assert address not in str(caught.value) or address == "https://"


# The command -------------------------------------------------------------------------------------------------------


def add_whole_runs(folder: Path, *actions: str) -> None:
    """Add whole runs like the one that is there, in which IBM has these actions."""
    workspace = Workspace(folder)
    with open_lake(workspace, load_settings(workspace.config)) as lake:
        (old,) = lake.select_rows("latest_run", columns=("run_id",))
        for number, action in enumerate(actions):
            name = f"99990101T00000{number}-0000"

            def copied(table: str, name: str = name, **values: object) -> pl.DataFrame:
                rows = lake.read(TABLES[table], "run_id = ?", (old["run_id"],))
                changed = {"run_id": name} | values
                return rows.with_columns(**{key: pl.lit(value) for key, value in changed.items()}).cast(rows.schema)

            given = pl.when(ticker="IBM").then(pl.lit(action)).otherwise("action")
            new = {
                "runs": copied("runs", scope="whole", finished_at=utc_now()),
                "stage_events": copied("stage_events", output_run_id=name),
                "signals": copied("signals").with_columns(action=given),
            }
            lake.commit("a night", lambda to, new=new: [to.append(TABLES[key], rows) for key, rows in new.items()])  # type: ignore[misc]


def test_the_night_is_told_once_whoever_runs_it_again(finished_copy: Path, http_server: Received, pm: Pm) -> None:
    logs = finished_copy / "logs"
    logs.mkdir(exist_ok=True)
    start = datetime(2026, 1, 29, 22, 30, tzinfo=UTC)
    NightRecord(start, "run", finished_at=start.replace(minute=40), exit_code=0).write(logs)
    add_whole_runs(finished_copy, "HOLD", "BUY")
    env = {"PM_KEYS__WEBHOOK_URL": f"http://127.0.0.1:{http_server.port}/hook-secret"}

    assert pm(finished_copy, "notify", "night").returncode == 5  # nothing is set up
    first = pm(finished_copy, "notify", "night", env=env)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "Sent by webhook: finished_copy: is done, 1 signal changed\n"
    again = pm(finished_copy, "notify", "night", env=env)
    assert "Told before" in again.stdout
    ((_, _, content),) = http_server.posts
    assert "IBM: HOLD -> BUY" in json.loads(content)["text"]
    assert "failing: bars" in json.loads(content)["text"]
    assert "hook-secret" not in pm(finished_copy, "notify", "list").stdout + first.stdout
    assert pm(finished_copy, "notify", "test", env=env).returncode == 0
    http_server.status = 500
    failed = pm(finished_copy, "notify", "test", env=env)
    assert (failed.returncode, "answers 500" in failed.stderr, "hook-secret" in failed.stderr) == (7, True, False)


def test_a_night_that_left_no_lake_is_told_all_the_same(tmp_path: Path, http_server: Received, pm: Pm) -> None:
    assert pm(tmp_path, "init").returncode == 0
    (tmp_path / "logs").mkdir()
    start = datetime(2026, 1, 29, 22, 30, tzinfo=UTC)
    NightRecord(start, "run", start, 10, "The disk is full.").write(tmp_path / "logs")
    env = {"PM_KEYS__NTFY_URL": f"http://127.0.0.1:{http_server.port}/topic"}

    assert pm(tmp_path, "notify", "night", env=env).returncode == 0

    ((_, _, content),) = http_server.posts
    text = json.loads(content)["message"]
    assert "ended with exit code 10" in text
    assert "The disk is full." in text
    assert "There is no lake here yet" in text
