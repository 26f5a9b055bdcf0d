"""A report through the real channels, against the providers' stand-ins."""

from datetime import timedelta

import pytest

from signalroom_dagster.clients import get_client
from signalroom_dagster.reports.making import Report, channels, make_report, send_report
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers
from signalroom_dagster_tests.reports.morning import DAY, create_tables, earned, read, subscribe


@pytest.fixture
def report(project: Project) -> Report:
    subscribe(project)
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    return make_report(get_client("713"), "daily_ccw", DAY)


def test_a_report_reaches_every_channel_with_its_chart_and_once(report: Report, providers: Providers) -> None:
    for run in ("run-1", "run-2"):
        assert {item.status for item in send_report(report, run, channels())} == {"sent"}
    sent = {item.channel: item for item in providers.outbox.sent}
    assert len(providers.outbox.sent) == len(sent) == 3
    assert sent["slack"].text == report.rendered.slack
    assert sent["sms"].text == report.rendered.sms
    assert sent["email"].text == report.rendered.text
    assert list(providers.outbox.files.values()) == [report.rendered.chart]
    assert sent["email"].fields["attachments"][0]["content_id"] == "chart.png"


def test_slack_is_asked_before_a_message_whose_answer_was_lost_is_called_unknown(
    report: Report, providers: Providers, project: Project
) -> None:
    project.set(NOTIFICATIONS__SLACK__TIMEOUT_SECONDS="1")
    providers.fail("chat.postMessage", late=3.0)
    providers.fail("conversations.list", status=503)
    first = send_report(report, "run-1", channels(), channel="slack")
    again = send_report(report, "run-2", channels(), channel="slack")
    assert [item.status for item in (*first, *again)] == ["unknown", "sent"]
    assert len(providers.outbox.sent) == 1
    assert (again[0].provider_id or "").endswith(providers.outbox.sent[0].id)
