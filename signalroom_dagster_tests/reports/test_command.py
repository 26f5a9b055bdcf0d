"""`signalroom report`: files and text by default, sending when asked."""

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signalroom_dagster import cli
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.notifications.message import UnknownOutcomeError
from signalroom_dagster.reports import making
from signalroom_dagster.reports.settings import report_settings
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import DAY, FileSender, create_tables, earned, read, subscribe


def signalroom(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, list(arguments))
    return result.exit_code, result.output + (f"{result.exception}" if result.exception else "")


def test_a_report_is_shown_and_written_and_sent_only_when_asked(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = FileSender(tmp_path / "sent.jsonl")
    monkeypatch.setattr(making, "channels", lambda: sender)
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
    assert code == 1 and "slack #reporting: unknown timed out; not sent again" in said
    assert "no channel 'fax'" in signalroom(*asked, "--channel", "fax")[1]
    assert "no report 'weekly' (there are: daily_ccw)" in signalroom("report", "weekly", "--client", "713")[1]


def test_doctor_creates_the_tables_that_reports_are_kept_in(project: Project) -> None:
    project.add_client("713")
    assert signalroom("doctor", "--create")[0] == 0
    assert ask("SELECT count(*) FROM reports.reports") == ask("SELECT count(*) FROM reports.deliveries") == [(0,)]


def test_a_setting_that_is_wrong_is_named(project: Project) -> None:
    assert report_settings().send and report_settings().wait_minutes == 60
    project.set(REPORTS__WAIT_MINUTES="an hour")
    with pytest.raises(ConfigurationError, match="REPORTS__WAIT_MINUTES"):
        report_settings()
