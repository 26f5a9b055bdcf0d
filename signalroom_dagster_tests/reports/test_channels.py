"""A report through the real channels, against the providers' stand-ins."""

from datetime import timedelta
from typing import Any

import pytest

from signalroom_dagster.notifications.message import Channel, RetryableDeliveryError
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports import outbox
from signalroom_dagster.reports.dispatch import channels, delivery_states, send_report
from signalroom_dagster.reports.report import Report, make_report
from signalroom_dagster.reports.subscriptions import report_day
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers
from signalroom_dagster_tests.reports.morning import DAY, create_tables, earned, read, subscribe


@pytest.fixture(autouse=True)
def providers_show_at_once_what_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SHOWN_AFTER", timedelta(0))


@pytest.fixture
def report(project: Project) -> Report:
    subscribe(project)
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    return make_report(report_day(get_client("713"), "daily_ccw", DAY))


def test_a_report_reaches_every_channel_with_its_chart_and_once(
    report: Report, providers: Providers
) -> None:
    for run in ("run-1", "run-2"):
        assert {item.status for item in send_report(report, run, channels())} == {"sent"}
    sent = {item.channel: item for item in providers.outbox.sent}
    assert len(providers.outbox.sent) == len(sent) == 3
    assert sent["slack"].text == report.rendered.slack
    assert sent["sms"].text == report.rendered.sms
    assert sent["email"].text == report.rendered.text
    assert list(providers.outbox.files.values()) == [report.rendered.chart]
    assert sent["email"].fields["attachments"][0]["content_id"] == "chart.png"


def test_slack_is_asked_before_a_message_whose_answer_was_lost_is_sent_again(
    report: Report, providers: Providers, project: Project
) -> None:
    project.set(NOTIFICATIONS__SLACK__TIMEOUT_SECONDS="1")
    providers.fail("chat.postMessage", late=3.0)
    providers.fail("conversations.list", status=503)
    for _ in range(2):  # the answer is lost; Slack cannot be asked
        with pytest.raises(RetryableDeliveryError):
            send_report(report, "run-1", channels(), channel="slack")
    again = send_report(report, "run-1", channels(), channel="slack")
    assert [item.status for item in again] == ["sent"]
    assert len(providers.outbox.sent) == 1
    assert (again[0].provider_id or "").endswith(providers.outbox.sent[0].id)
    assert len(providers.outbox.shown) == 1  # its chart


@pytest.mark.parametrize(
    ("channel", "path", "fault"),
    [
        (
            "slack",
            "chat.postMessage",
            {"status": 200, "body": '{"ok": false, "error": "internal_error"}'},
        ),
        ("slack", "chat.postMessage", {"status": 200, "cut": True, "body": '{"ok": tr'}),
        ("sms", "Messages.json", {"status": 503}),
        ("sms", "Messages.json", {"status": 200, "cut": True, "body": '{"sid": '}),
    ],
)
def test_what_a_provider_certainly_did_not_take_is_sent(
    channel: Channel, path: str, fault: dict[str, Any], report: Report, providers: Providers
) -> None:
    providers.fail(path, **fault)
    with pytest.raises(RetryableDeliveryError):
        send_report(report, "run-1", channels(), channel=channel)
    assert [item.status for item in send_report(report, "run-1", channels(), channel=channel)] == [
        "sent"
    ]
    assert len(providers.outbox.sent) == 1


def test_a_text_message_that_is_sent_again_is_not_taken_for_the_first_one(
    report: Report, providers: Providers
) -> None:
    first = send_report(report, "run-1", channels(), channel="sms")[0]
    providers.fail("Messages.json", status=200, cut=True, body='{"sid": ')
    with pytest.raises(RetryableDeliveryError):
        send_report(report, "run-2", channels(), channel="sms", resend=True)
    again = send_report(report, "run-2", channels(), channel="sms", resend=True)[0]
    assert (again.number, again.status) == (2, "sent")
    assert [sent.id for sent in providers.outbox.sent] == [first.provider_id, again.provider_id]


def test_a_picture_that_does_not_go_up_leaves_no_intent(
    report: Report, providers: Providers
) -> None:
    providers.fail("getUploadURLExternal", status=503)
    with pytest.raises(RetryableDeliveryError):
        send_report(report, "run-1", channels(), channel="slack")
    assert [item.status for item in delivery_states(report)] == ["failed"]
    assert [item.status for item in send_report(report, "run-2", channels(), channel="slack")] == [
        "sent"
    ]
