"""`signalroom report`: files and text by default, sending when asked."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signalroom_dagster import cli, retries
from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure
from signalroom_dagster.alerts.wording import report_subject
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.notifications.message import UnknownOutcomeError
from signalroom_dagster.reports import dispatch, outbox
from signalroom_dagster.reports.settings import report_settings
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers
from signalroom_dagster_tests.reports.morning import (
    DAY,
    FileSender,
    create_tables,
    earned,
    read,
    subscribe,
)


@pytest.fixture(autouse=True)
def nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SHOWN_AFTER", timedelta(0))
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)


def signalroom(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, list(arguments))
    return result.exit_code, result.output + (f"{result.exception}" if result.exception else "")


def test_a_report_is_shown_and_written_and_sent_only_when_asked(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = FileSender(tmp_path / "sent.jsonl")
    monkeypatch.setattr(dispatch, "channels", lambda: sender)
    project.set(SIGNALROOM_REPORTS_DIR=str(tmp_path / "written"))
    subscribe(project)
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    asked = ("report", "daily_ccw", "--client", "713", "--date", str(DAY))
    code, said = signalroom(*asked)
    assert code == 0 and "713: daily performance of Mon 2 Mar 2026" in said
    assert str(tmp_path / "written" / "713" / f"daily_ccw-{DAY}.html") in said
    assert sender.sent == []
    code, said = signalroom(*asked, "--channel", "sms", "--send")
    assert code == 0 and "sms +15550100001: sent" in said
    assert signalroom(*asked, "--channel", "sms", "--send")[0] == 0
    assert [item["channel"] for item in sender.sent] == ["sms"]
    signalroom(*asked, "--channel", "sms", "--send", "--resend")
    assert len(sender.sent) == 2
    sender.errors = [UnknownOutcomeError("timed out")]
    code, said = signalroom(*asked, "--channel", "slack", "--send")
    assert code == 1 and "slack #reporting: unknown timed out" in said
    signalroom(*asked, "--send", "--resend")
    assert [item["channel"] for item in sender.sent] == ["sms", "sms", "slack", "email"]
    assert "no channel 'fax'" in signalroom(*asked, "--channel", "fax")[1]
    assert (
        "no report 'weekly' (there are: daily_ccw)"
        in signalroom("report", "weekly", "--client", "713")[1]
    )


def test_sending_is_tried_again_and_every_delivery_is_told_also_when_one_is_refused(
    project: Project, providers: Providers, tmp_path: Path
) -> None:
    project.set(SIGNALROOM_REPORTS_DIR=str(tmp_path / "written"))
    subscribe(project)
    create_tables()
    quota = {
        "statusCode": 429,
        "name": "daily_quota_exceeded",
        "message": "pat@example.test has used it up",
    }
    providers.fail("chat.postMessage", status=200, body='{"ok": false, "error": "internal_error"}')
    providers.fail("/emails", status=429, times=9, body=json.dumps(quota))
    code, said = signalroom("report", "daily_ccw", "--client", "713", "--date", str(DAY), "--send")
    assert code == 1 and "daily quota is used up" in said and "pat@" not in said
    states = [
        line.partition(" ")[0::2]
        for line in said.splitlines()
        if line.startswith(("slack ", "email ", "sms "))
    ]
    assert [(channel, rest.partition(": ")[2].split()[0]) for channel, rest in states] == [
        ("email", "refused"),
        ("slack", "sent"),
        ("sms", "sent"),
    ]
    assert len(providers.server.asked("/emails")) == 1


def test_what_the_command_brings_ends_that_days_incident_and_no_other(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, providers: Providers
) -> None:
    project.set(SIGNALROOM_REPORTS_DIR=str(tmp_path / "written"))
    monkeypatch.setattr(dispatch, "channels", lambda: FileSender(tmp_path / "sent.jsonl"))
    subscribe(project)
    create_tables()
    for day in (DAY, DAY - timedelta(days=1)):
        subject = report_subject("daily_ccw", day)
        telling.failed(
            Failure(kind="report", subject=subject, client="713", error="BusyError", run=str(day))
        )
    commands = [
        sent.text.rpartition("Next: ")[2].strip("`").split() for sent in providers.outbox.sent
    ]
    assert signalroom(*commands[0][1:])[0] == 0
    assert [incident.subject for incident in telling.incidents().open()] == [
        "daily_ccw of 2026-03-01"
    ]


def test_doctor_creates_the_tables_that_reports_are_kept_in(project: Project) -> None:
    project.add_client("713")
    assert signalroom("doctor", "--create")[0] == 0
    assert (
        ask("SELECT count(*) FROM reports.reports")
        == ask("SELECT count(*) FROM reports.deliveries")
        == [(0,)]
    )


def test_a_setting_that_is_wrong_is_named(project: Project) -> None:
    assert report_settings().send and report_settings().wait_minutes == 60
    project.set(REPORTS__WAIT_MINUTES="an hour")
    with pytest.raises(ConfigurationError, match="REPORTS__WAIT_MINUTES"):
        report_settings()
