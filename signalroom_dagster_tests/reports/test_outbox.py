"""Sent once: whoever runs, and whatever is killed between sending and noting it."""

import multiprocessing
import os
import signal
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.notifications.message import (
    BeforeCall,
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports import outbox
from signalroom_dagster.reports.dispatch import send_report
from signalroom_dagster.reports.report import Report, make_report
from signalroom_dagster.reports.subscriptions import report_day
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import (
    DAY,
    FileSender,
    create_tables,
    earned,
    read,
    subscribe,
)

ALL = ["email", "slack", "sms"]


@pytest.fixture
def sender(tmp_path: Path) -> FileSender:
    return FileSender(tmp_path / "sent.jsonl")


@pytest.fixture(autouse=True)
def providers_show_at_once_what_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SHOWN_AFTER", timedelta(0))


@pytest.fixture
def report(any_warehouse: Project) -> Report:
    return prepare(any_warehouse)


@pytest.fixture
def on_duckdb(project: Project) -> Report:
    return prepare(project)


def prepare(project: Project) -> Report:
    subscribe(project)
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    return make_report(report_day(get_client("713"), "daily_ccw", DAY))


def told() -> list[tuple[Any, ...]]:
    """What the outbox holds."""
    return ask(
        "SELECT channel, number, status, provider_id FROM reports.deliveries ORDER BY channel,"
        " number"
    )


def age(by: timedelta) -> None:
    """Let time pass since whatever stands in the outbox."""
    with access.exclusive(), access.transaction("test") as query:
        query("UPDATE reports.deliveries SET intent_at = %s", datetime.now(UTC) - by)
        query(
            "UPDATE reports.deliveries SET settled_at = %s WHERE settled_at IS NOT NULL",
            datetime.now(UTC) - by,
        )


def test_a_report_is_sent_once_to_everybody_and_again_only_when_asked(
    report: Report, sender: FileSender
) -> None:
    assert {item.status for item in send_report(report, "run-1", sender)} == {"sent"}
    send_report(report, "run-2", sender)
    assert sorted(item["channel"] for item in sender.sent) == ALL
    assert [item["pictures"] for item in sender.sent if item["channel"] != "sms"] == [1, 1]
    assert told() == [
        ("email", 1, "sent", "id-2"),
        ("slack", 1, "sent", "id-1"),
        ("sms", 1, "sent", "id-3"),
    ]
    send_report(report, "run-3", sender, resend=True, channel="slack")
    assert told()[1:3] == [("slack", 1, "sent", "id-1"), ("slack", 2, "sent", "id-4")]
    assert len({item["key"] for item in sender.sent}) == 4
    assert "ops@example.com" not in str([item["key"] for item in sender.sent])


def test_what_was_made_is_kept_with_its_inputs_and_a_new_version_is_made_of_other_words(
    report: Report,
) -> None:
    send_report(report, "run-1", None)
    send_report(report, "run-2", None)
    kept = ask("SELECT version, slack, html, hash, run_id, inputs FROM reports.reports")
    assert [row[:5] for row in kept] == [
        (1, report.rendered.slack, report.rendered.html, report.rendered.hash, "run-1")
    ]
    assert "400.1000" in str(kept[0][5])
    earned(DAY, "Lakeside", 1, "10", "1")
    send_report(make_report(report_day(get_client("713"), "daily_ccw", DAY)), "run-3", None)
    assert ask("SELECT version, run_id FROM reports.reports ORDER BY 1") == [
        (1, "run-1"),
        (2, "run-3"),
    ]


def test_in_shadow_everything_is_done_but_the_sending(
    on_duckdb: Report, sender: FileSender
) -> None:
    send_report(on_duckdb, "run-1", None)
    assert [row[2] for row in told()] == ["skipped"] * 3
    assert ask("SELECT DISTINCT error FROM reports.deliveries") == [("reports.send is false",)]
    send_report(on_duckdb, "run-2", sender)
    assert [row[:3] for row in told()] == [(channel, 1, "sent") for channel in ALL]


def test_of_an_outcome_that_nobody_can_tell_only_email_is_sent_again(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.errors = [UnknownOutcomeError(f"timed out {number}") for number in range(3)]
    with pytest.raises(RetryableDeliveryError, match="timed out"):
        send_report(on_duckdb, "run-1", sender)
    assert [row[2] for row in told()] == ["unknown"] * 3
    done = {item.channel: item.status for item in send_report(on_duckdb, "run-2", sender)}
    assert done == {"slack": "unknown", "email": "sent", "sms": "unknown"}
    assert [item["channel"] for item in sender.sent] == ["email"]
    assert ask(
        "SELECT channel, error, run_id FROM reports.deliveries WHERE status = 'unknown' ORDER BY 1"
    ) == [("slack", "timed out 0", "run-1"), ("sms", "timed out 2", "run-1")]


def test_what_is_unknown_alone_is_sent_again_when_asked_and_once_in_a_run(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.errors = [UnknownOutcomeError("timed out")]
    with pytest.raises(RetryableDeliveryError):
        send_report(on_duckdb, "run-1", sender)
    assert sorted(item["channel"] for item in sender.sent) == ["email", "sms"]
    for _ in range(2):
        assert {item.status for item in send_report(on_duckdb, "run-2", sender, resend=True)} == {
            "sent"
        }
    assert sorted(item["channel"] for item in sender.sent) == ALL
    assert told()[1:3] == [("slack", 1, "unknown", None), ("slack", 2, "sent", "id-3")]
    send_report(on_duckdb, "run-3", sender, resend=True)
    assert len(sender.sent) == 3


def test_a_message_that_is_certainly_not_there_is_sent_and_its_sending_again_is_looked_up_too(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.looks_up, sender.errors = True, [UnknownOutcomeError("internal_error")] * 2
    for _ in range(2):
        with pytest.raises(RetryableDeliveryError, match="internal_error"):
            send_report(on_duckdb, "run-1", sender, channel="slack")
    assert send_report(on_duckdb, "run-1", sender, channel="slack")[0].status == "sent"
    assert told() == [("slack", 1, "sent", "id-1")] and len(sender.sent) == 1


def test_what_a_provider_does_not_show_at_once_may_still_come(
    on_duckdb: Report, sender: FileSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SHOWN_AFTER", timedelta(seconds=600))
    sender.looks_up, sender.errors = True, [UnknownOutcomeError("dropped")]
    for _ in range(2):
        with pytest.raises(RetryableDeliveryError, match="dropped") as caught:
            send_report(on_duckdb, "run-1", sender, channel="sms")
        assert 0 < (caught.value.retry_after or 0) <= 600
    age(timedelta(seconds=601))
    assert send_report(on_duckdb, "run-1", sender, channel="sms")[0].status == "sent"


def test_a_look_up_that_fails_for_now_is_tried_again_and_changes_nothing(
    on_duckdb: Report, sender: FileSender
) -> None:
    class Down(FileSender):
        def look_up(self, message: Message, since: datetime, others: Collection[str]) -> str | None:
            raise UnknownOutcomeError("503", passing=True)

    down = Down(sender.file)
    down.errors = [UnknownOutcomeError("timed out")]
    for _ in range(2):
        with pytest.raises(RetryableDeliveryError, match="timed out"):
            send_report(on_duckdb, "run-1", down, channel="slack")
    sender.looks_up = True
    assert send_report(on_duckdb, "run-1", sender, channel="slack")[0].status == "sent"


def test_an_email_that_may_have_arrived_is_tried_again_with_its_own_words(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.errors = [
        RetryableDeliveryError("timed out", in_doubt=True),
        RetryableDeliveryError("busy"),
    ]
    for _ in range(2):  # that it is refused for now does not tell what became of the first one
        with pytest.raises(RetryableDeliveryError):
            send_report(on_duckdb, "run-1", sender, channel="email")
        assert told() == [("email", 1, "unknown", None)]
    earned(DAY, "Lakeside", 1, "10", "1")
    changed = make_report(report_day(get_client("713"), "daily_ccw", DAY))
    assert [item.status for item in send_report(changed, "run-1", sender, channel="email")] == [
        "sent"
    ]
    assert (
        [item["text"] for item in sender.sent]
        == [on_duckdb.rendered.text]
        != [changed.rendered.text]
    )


def test_a_message_that_was_taken_without_an_answer_is_found(
    on_duckdb: Report, sender: FileSender
) -> None:
    class TakenWithoutAnAnswer(FileSender):
        def send(self, message: Message, before: BeforeCall = lambda: None) -> str:
            super().send(message, before)
            raise UnknownOutcomeError("timed out")

    taken = TakenWithoutAnAnswer(sender.file)
    taken.looks_up = True
    with pytest.raises(RetryableDeliveryError):
        send_report(on_duckdb, "run-1", taken, channel="sms")
    assert [item.status for item in send_report(on_duckdb, "run-1", taken, channel="sms")] == [
        "sent"
    ]
    assert told() == [("sms", 1, "sent", "id-1")]


def test_an_email_is_not_sent_again_once_its_provider_has_forgotten_the_key(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.errors = [UnknownOutcomeError("timed out")]
    with pytest.raises(RetryableDeliveryError):
        send_report(on_duckdb, "run-1", sender, channel="email")
    age(timedelta(hours=25))
    assert [item.status for item in send_report(on_duckdb, "run-2", sender, channel="email")] == [
        "unknown"
    ]
    assert sender.sent == []


def test_a_refused_message_and_one_to_try_again_stop_no_other(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.errors = [PermanentDeliveryError("no such channel"), RetryableDeliveryError("busy", 3)]
    with pytest.raises(RetryableDeliveryError, match="busy"):
        send_report(on_duckdb, "run-1", sender)
    assert [row[:3] for row in told()] == [
        ("email", 1, "failed"),
        ("slack", 1, "refused"),
        ("sms", 1, "sent"),
    ]
    send_report(on_duckdb, "run-2", sender)
    assert [row[:3] for row in told()] == [(channel, 1, "sent") for channel in ALL]
    assert len(sender.sent) == 3


def test_a_refusal_is_remembered_while_other_channels_are_tried_again(
    on_duckdb: Report, sender: FileSender
) -> None:
    busy = RetryableDeliveryError("busy")
    sender.errors = [busy, PermanentDeliveryError("daily_quota_exceeded"), busy, busy, busy]
    for tried in (
        RetryableDeliveryError,
        RetryableDeliveryError,
        PermanentDeliveryError,
        PermanentDeliveryError,
    ):
        with pytest.raises(tried):
            send_report(on_duckdb, "run-1", sender)
    assert [row[2] for row in told()] == ["refused", "sent", "sent"]
    assert ask("SELECT error FROM reports.deliveries WHERE channel = 'email'") == [
        ("daily_quota_exceeded",)
    ]


def test_a_channel_without_settings_is_skipped_and_taken_up_when_it_has_them(
    on_duckdb: Report, sender: FileSender
) -> None:
    sender.errors = [NotConfiguredError("NOTIFICATIONS__SLACK__TOKEN is not set")]
    assert [item.status for item in send_report(on_duckdb, "run-1", sender, channel="slack")] == [
        "skipped"
    ]
    assert [item.status for item in send_report(on_duckdb, "run-2", sender, channel="slack")] == [
        "sent"
    ]


@pytest.mark.slow_on("postgres")
@pytest.mark.parametrize(
    ("moment", "looks_up"),
    [
        ("before", True),
        pytest.param("before", False, marks=pytest.mark.slow),
        pytest.param("after", True, marks=pytest.mark.slow),
        pytest.param("after", False, marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_between_its_intent_and_noting_it_sends_nothing_twice_and_what_is_not_there(
    any_warehouse: Project, sender: FileSender, moment: str, looks_up: bool
) -> None:
    first = prepare(any_warehouse)
    assert run_killed(any_warehouse.environment, sender.file, moment) == -signal.SIGKILL
    assert [(row[0], row[2]) for row in told()] == [("slack", "intended")]
    earned(
        DAY, "Lakeside", 1, "10", "1"
    )  # the words are others by now; the key goes with the old ones
    second = make_report(report_day(get_client("713"), "daily_ccw", DAY))
    assert second.rendered.hash != first.rendered.hash
    sender.looks_up = looks_up
    age(timedelta(minutes=1))
    send_report(second, "run-2", sender)
    is_there = looks_up or moment == "after"
    assert sorted(item["channel"] for item in sender.sent) == (
        ALL if is_there else ["email", "sms"]
    )
    status = dict((row[0], row[2]) for row in told())
    assert status == {"email": "sent", "sms": "sent", "slack": "sent" if looks_up else "unknown"}


@pytest.mark.slow
def test_an_email_whose_run_was_killed_arrives_once_with_the_words_of_the_intent(
    project: Project, sender: FileSender
) -> None:
    first = prepare(project)
    assert run_killed(project.environment, sender.file, "before", "email") == -signal.SIGKILL
    earned(DAY, "Lakeside", 1, "10", "1")
    assert run_killed(project.environment, sender.file, "after", "email") == -signal.SIGKILL
    assert [item["text"] for item in sender.sent] == [first.rendered.text]
    send_report(
        make_report(report_day(get_client("713"), "daily_ccw", DAY)),
        "run-2",
        sender,
        channel="email",
    )
    assert len(sender.sent) == 1 and told() == [("email", 1, "sent", "id-1")]


@pytest.mark.parametrize("looks_up", [False, True])
def test_a_run_that_meets_the_intent_of_a_living_one_waits_and_reports_nothing_unknown(
    on_duckdb: Report, sender: FileSender, looks_up: bool
) -> None:
    class Slow(FileSender):
        def send(self, message: Message, before: BeforeCall = lambda: None) -> str:
            before()
            other = FileSender(self.file)
            other.looks_up = looks_up
            with pytest.raises(
                RetryableDeliveryError, match="another process is sending it"
            ) as caught:
                send_report(on_duckdb, "run-2", other, channel="slack")
            assert 0 < (caught.value.retry_after or 0) <= 45
            assert told()[0][2] == "intended" and other.sent == []
            return super().send(message)

    assert [
        item.status for item in send_report(on_duckdb, "run-1", Slow(sender.file), channel="slack")
    ] == ["sent"]
    send_report(on_duckdb, "run-3", sender, channel="slack")
    assert len(sender.sent) == 1 and told() == [("slack", 1, "sent", "id-1")]


def test_of_two_that_prepare_the_same_message_one_sends_it(
    on_duckdb: Report, sender: FileSender
) -> None:
    class Overtaken(FileSender):
        def send(self, message: Message, before: BeforeCall = lambda: None) -> str:
            send_report(
                on_duckdb, "run-2", FileSender(self.file), channel="slack"
            )  # while pictures go up
            return super().send(message, before)

    with pytest.raises(RetryableDeliveryError, match="another process"):
        send_report(on_duckdb, "run-1", Overtaken(sender.file), channel="slack")
    assert send_report(on_duckdb, "run-1", sender, channel="slack")[0].status == "sent"
    assert len(sender.sent) == 1


def test_a_message_whose_preparing_fails_or_is_killed_leaves_no_intent(
    on_duckdb: Report, sender: FileSender
) -> None:
    class Killed(BaseException):
        """Stands for kill -9."""

    class Unprepared(FileSender):
        def send(self, message: Message, before: BeforeCall = lambda: None) -> str:
            raise Killed

    with pytest.raises(Killed):
        send_report(on_duckdb, "run-1", Unprepared(sender.file), channel="slack")
    assert told() == []
    assert send_report(on_duckdb, "run-2", sender, channel="slack")[0].status == "sent"


def test_that_it_was_sent_stands_whatever_another_run_makes_of_it(
    on_duckdb: Report, sender: FileSender
) -> None:
    class AskedWhileSent(FileSender):
        def look_up(self, message: Message, since: datetime, others: Collection[str]) -> str | None:
            with access.exclusive(), access.transaction("test") as query:
                query("UPDATE reports.deliveries SET status = 'sent', provider_id = 'id-9'")
            return None

    sender.errors = [UnknownOutcomeError("timed out")]
    with pytest.raises(RetryableDeliveryError):
        send_report(on_duckdb, "run-1", sender, channel="slack")
    with pytest.raises(RetryableDeliveryError, match="another process"):
        send_report(on_duckdb, "run-2", AskedWhileSent(sender.file), channel="slack")
    assert told() == [("slack", 1, "sent", "id-9")] and sender.sent == []


def run_killed(
    environment: Mapping[str, str], file: Path, moment: str, channel: str | None = None
) -> int | None:
    """Send in a process that kills itself before or after its first message has gone out; its exit
    code.
    """
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_send_and_die, args=(dict(environment), file, moment, channel))
    process.start()
    process.join(60)
    return process.exitcode


def _send_and_die(environment: Mapping[str, str], file: Path, moment: str, channel: Any) -> None:
    os.environ.update(environment)

    class Deadly(FileSender):
        def send(self, message: Message, before: BeforeCall = lambda: None) -> str:
            if moment == "after":
                super().send(message, before)
            else:
                before()
            os.kill(os.getpid(), signal.SIGKILL)
            return ""

    send_report(
        make_report(report_day(get_client("713"), "daily_ccw", DAY)),
        "run-1",
        Deadly(file),
        channel=channel,
    )
