"""One message per incident, a summary of what repeats, and the recovery: also through storms,
crashes and no Slack.
"""

import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure, Incidents
from signalroom_dagster.config import state_dir
from signalroom_dagster.declarations import set_aside
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers

MINUTE = 60.0
DOWN = Failure(
    kind="source",
    subject="everflow",
    client="713",
    error="VendorError",
    run="run-1",
    attempts=5,
    said="client 713, source everflow: POST /v1/x answered 503: <unavailable>",
)


class Clock:
    """The time that incidents see."""

    def __init__(self) -> None:
        self.now = 1_772_700_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, project: Project) -> Clock:
    made = Clock()
    monkeypatch.setattr(
        telling, "incidents", lambda: Incidents(state_dir() / "incidents.sqlite", made)
    )
    monkeypatch.setattr(telling, "_unbooked", {})
    project.add_client("713")
    project.add_client("cti")
    return made


def texts(providers: Providers) -> list[str]:
    return [sent.text for sent in providers.outbox.of("slack")]


def report_to(project: Project, client: str, name: str) -> None:
    path = project.root / "data" / "clients" / client / "client.toml"
    path.write_text(
        path.read_text() + f'\n[[reports]]\nname = "{name}"\ntemplate = "daily_performance"\n'
    )


def test_an_alert_says_what_broke_whom_it_touches_where_to_look_and_what_to_run(
    providers: Providers, project: Project
) -> None:
    report_to(project, "713", "daily_ccw")
    project.set(SIGNALROOM_UI_URL="https://signalroom.example.test/")
    run = "0b1c2d3e-0000-4000-8000-000000000001"
    telling.failed(replace(DOWN, run=run))
    assert texts(providers) == [
        "🔴 everflow does not load (client 713)\nVendorError after 5 attempts: client 713, source"
        " everflow: POST /v1/x answered 503: &lt;unavailable&gt;\nAt 05 Mar 03:40 EST.\nReports"
        f" that may be incomplete: daily_ccw.\n<https://signalroom.example.test/runs/{run}|Open the"
        " run>\nNext: `signalroom run everflow --client 713`"
    ]
    assert providers.outbox.sent[0].recipient == "#alerts"


def test_a_storm_of_500_failures_is_one_message_then_one_summary_then_one_recovery(
    providers: Providers, clock: Clock
) -> None:
    for number in range(500):
        telling.failed(replace(DOWN, run=f"run-{number}"))
        clock.now += 2
    assert len(texts(providers)) == 1
    clock.now += 30 * MINUTE
    assert [telling.tell(), telling.tell()] == [1, 0]
    assert "🟠" in texts(providers)[1]
    assert "Seen 499 more times, 500 in all since" in texts(providers)[1]
    telling.recovered("source", "everflow", "713")
    telling.recovered("source", "everflow", "713")
    assert len(texts(providers)) == 3
    assert texts(providers)[2].startswith(
        "🟢 everflow loads again (client 713)\nVendorError, seen 500 times from"
    )
    clock.now += 48 * 60 * MINUTE
    assert telling.tell() == 0


def test_a_storm_from_many_processes_at_once_is_still_one_message(providers: Providers) -> None:
    def fail(first: int) -> None:
        for number in range(first, first + 25):
            telling.failed(replace(DOWN, run=f"run-{number}"))

    threads = [threading.Thread(target=fail, args=(first,)) for first in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(texts(providers)) == 1
    assert [incident.failures for incident in telling.incidents().open()] == [200]


def test_summaries_come_after_pauses_that_double_up_to_a_day(
    providers: Providers, clock: Clock
) -> None:
    began = clock.now
    told_at: list[float] = []
    for number in range(2 * 24 * 4):
        before = len(texts(providers))
        telling.failed(replace(DOWN, run=f"run-{number}"))
        told_at += [(clock.now - began) / 3_600] if len(texts(providers)) > before else []
        clock.now += 30 * MINUTE
    assert told_at == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 55.5, 79.5]


def test_a_recovery_before_the_summary_says_how_often_it_failed(
    providers: Providers, clock: Clock
) -> None:
    for number in range(3):
        telling.failed(replace(DOWN, run=f"run-{number}"))
    clock.now += 5 * MINUTE
    telling.recovered("source", "everflow", "713")
    assert len(texts(providers)) == 2
    assert "seen 3 times" in texts(providers)[1]


def test_a_run_counts_once_whoever_notices_it(providers: Providers) -> None:
    telling.failed(DOWN)
    telling.failed(replace(DOWN, error="Run lost (RUN_EXCEPTION)"))
    assert len(texts(providers)) == 1
    assert [incident.failures for incident in telling.incidents().open()] == [1]


def test_another_client_source_or_error_is_another_incident_and_recovers_on_its_own(
    providers: Providers,
) -> None:
    telling.failed(DOWN)
    telling.failed(replace(DOWN, client="cti", run="run-2"))
    telling.failed(replace(DOWN, subject="redtrack", run="run-3"))
    telling.failed(replace(DOWN, error="VendorDataError", run="run-4"))
    assert len(texts(providers)) == 4
    telling.recovered("source", "everflow", "713")
    assert len(texts(providers)) == 6
    assert [(each.subject, each.client) for each in telling.incidents().open()] == [
        ("everflow", "cti"),
        ("redtrack", "713"),
    ]


def test_what_breaks_again_after_a_recovery_is_a_new_incident(providers: Providers) -> None:
    telling.failed(DOWN)
    telling.recovered("source", "everflow", "713")
    telling.failed(replace(DOWN, run="run-2"))
    assert [text[0] for text in texts(providers)] == ["🔴", "🟢", "🔴"]


def test_nothing_is_said_of_a_success_when_nothing_was_broken(providers: Providers) -> None:
    telling.recovered("source", "everflow", "713")
    assert texts(providers) == []
    assert not (state_dir() / "incidents.sqlite").exists()


def test_a_warehouse_that_is_down_is_one_incident_for_all_that_need_it(
    providers: Providers, clock: Clock
) -> None:
    for client in ("713", "cti"):
        for source in ("everflow", "s3_exports"):
            lost = replace(
                DOWN,
                client=client,
                subject=source,
                error="DestinationLostError",
                concerns="warehouse",
                run=f"{client}-{source}",
            )
            telling.failed(lost)
    assert len(texts(providers)) == 1
    assert texts(providers)[0].startswith("🔴 The warehouse cannot be used\n")
    assert texts(providers)[0].endswith("Next: `signalroom doctor`")
    clock.now += 30 * MINUTE
    telling.tell()
    assert (
        "Touches: 713 everflow, 713 s3_exports, cti everflow, cti s3_exports."
        in texts(providers)[1]
    )
    telling.recovered("table", "public/orders", "cti")
    assert texts(providers)[2].startswith("🟢 The warehouse works again\n")


def test_a_setting_that_is_wrong_is_answered_with_the_doctor(providers: Providers) -> None:
    telling.failed(replace(DOWN, concerns="settings", said="api_key is missing"))
    assert texts(providers)[0].endswith("Next: `signalroom doctor --client 713`")


@pytest.mark.parametrize(
    ("kind", "subject", "touched"),
    [
        ("source", "everflow", "daily_ccw"),
        ("stale", "affiliate_mapping", "daily_ccw"),
        ("check", "redtrack/daily_spend: reconciled", "daily_ccw"),
        ("table", "public/daily_performance", "daily_ccw"),
        ("table", "public/orders", ""),
        ("check", "redtrack/campaigns: key_unique", ""),
        ("source", "mautic", ""),
        ("report", "weekly of 2026-03-02", "weekly"),
        ("check", "reports/weekly of 2026-03-02: delivered", "weekly"),
        ("step", "something_new", "daily_ccw"),
    ],
)
def test_an_alert_names_the_reports_that_are_made_from_what_broke(
    kind: Any, subject: str, touched: str, providers: Providers, project: Project
) -> None:
    for source in ("everflow", "redtrack", "affiliate_mapping"):
        project.add_api_client("713", source)
    report_to(project, "713", "daily_ccw")
    telling.failed(replace(DOWN, kind=kind, subject=subject))
    said = texts(providers)[0]
    assert (
        (f"Reports that may be incomplete: {touched}.\n" in said)
        if touched
        else ("Reports" not in said)
    )


@pytest.mark.parametrize(
    ("kind", "subject", "expected"),
    [
        (
            "check",
            "reports/daily_ccw of 2026-03-02: delivered",
            "signalroom report daily_ccw --client 713 --date 2026-03-02 --send --resend",
        ),
        ("table", "public/orders", "--select public/orders --partition 713"),
        (
            "check",
            "everflow/daily_stats: reconciled",
            "--select everflow/daily_stats --partition 713",
        ),
        (
            "report",
            "daily_ccw of 2026-03-02",
            "signalroom report daily_ccw --client 713 --date 2026-03-02 --send",
        ),
        ("stale", "everflow", "signalroom run everflow --client 713"),
        ("tick", "sensor s3_exports_new_files", "signalroom doctor"),
    ],
)
def test_each_kind_of_incident_names_the_command_that_helps(
    kind: Any, subject: str, expected: str, providers: Providers
) -> None:
    telling.failed(replace(DOWN, kind=kind, subject=subject))
    assert f"{expected}`" in texts(providers)[0]


def test_a_persons_data_in_the_words_of_an_error_is_masked(providers: Providers) -> None:
    telling.failed(
        replace(
            DOWN,
            said="pat@example.test, +15550100001, card 4111111111111111, day 2026-03-05, 1,523",
        )
    )
    assert (
        "VendorError after 5 attempts: ***, ***, card ***, day 2026-03-05, 1,523\n"
        in texts(providers)[0]
    )


def test_without_slack_incidents_are_counted_and_told_once_there_is_one(
    project: Project, clock: Clock, caplog: pytest.LogCaptureFixture, providers: Providers
) -> None:
    project.set(NOTIFICATIONS__SLACK__CHANNEL="")
    telling.failed(DOWN)
    telling.failed(replace(DOWN, run="run-2"))
    assert texts(providers) == []
    assert "NOTIFICATIONS__SLACK__CHANNEL" in caplog.text
    project.set(NOTIFICATIONS__SLACK__CHANNEL="#alerts")
    clock.now += 15 * MINUTE
    assert telling.tell() == 1
    assert "Seen 2 times since" in texts(providers)[0]


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (
            {
                "status": 429,
                "headers": {"Retry-After": "90"},
                "body": '{"ok": false, "error": "ratelimited"}',
            },
            90,
        ),
        ({"status": 200, "body": '{"ok": false, "error": "channel_not_found"}'}, 900),
        ({"status": 503}, 60),
    ],
)
def test_an_alert_that_slack_did_not_take_is_sent_later(
    fault: dict[str, Any], wait: float, providers: Providers, clock: Clock
) -> None:
    providers.fail("chat.postMessage", **fault)
    telling.failed(DOWN)
    assert texts(providers) == []
    clock.now += wait - 1
    assert telling.tell() == 0
    clock.now += 2
    assert telling.tell() == 1
    assert len(texts(providers)) == 1


def test_an_alert_whose_outcome_is_unknown_is_looked_up_and_not_repeated(
    providers: Providers, clock: Clock, project: Project
) -> None:
    project.set(NOTIFICATIONS__SLACK__TIMEOUT_SECONDS="1")
    providers.fail("chat.postMessage", late=2.0)
    telling.failed(DOWN)
    clock.now += 2 * MINUTE
    telling.failed(replace(DOWN, run="run-2"))
    assert len(texts(providers)) == 1
    clock.now += 30 * MINUTE
    telling.recovered("source", "everflow", "713")
    assert [text[0] for text in texts(providers)] == ["🔴", "🟢"]


def test_an_alert_that_cannot_be_looked_up_is_rather_sent_twice_than_never(
    providers: Providers, clock: Clock
) -> None:
    providers.fail("chat.postMessage", status=503)
    providers.fail("conversations.list", status=200, body='{"ok": false, "error": "missing_scope"}')
    telling.failed(DOWN)
    clock.now += 2 * MINUTE
    assert telling.tell() == 1
    assert len(texts(providers)) == 1


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("sent", [False, True], ids=["before the message", "after the message"])
def test_a_process_that_is_killed_while_it_tells_loses_and_repeats_nothing(
    sent: bool, providers: Providers, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., str] = telling.send

    def die(message: Any) -> str:
        if sent:
            real(message)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(telling, "send", die)
        with pytest.raises(Killed):
            telling.failed(DOWN)
    assert len(texts(providers)) == int(sent)
    telling.failed(replace(DOWN, run="run-2"))
    assert len(texts(providers)) == int(sent)  # the claim of the dead still holds
    clock.now += 5 * MINUTE
    telling.tell()
    assert len(texts(providers)) == 1
    clock.now += 30 * MINUTE
    telling.recovered("source", "everflow", "713")
    assert [text[0] for text in texts(providers)] == ["🔴", "🟢"]


def test_what_is_long_over_is_forgotten(tmp_path: Path, clock: Clock) -> None:
    kept = Incidents(tmp_path / "incidents.sqlite", clock)
    assert [kept.note(DOWN), kept.note(DOWN)] == [True, False]
    kept.recovered("source", "everflow", "713")
    clock.now += 91 * 24 * 60 * MINUTE
    assert kept.note(DOWN)
    assert [incident.failures for incident in kept.open()] == [1]
    assert kept.claim() is not None
    assert kept.claim() is None


def test_a_broken_client_registry_does_not_keep_an_alert_from_being_sent(
    providers: Providers, project: Project
) -> None:
    (project.root / "data" / "clients" / "713" / "client.toml").write_text("name = ")
    telling.failed(DOWN)
    assert "Next: `signalroom run everflow --client 713`" in texts(providers)[0]


def test_a_success_is_told_where_the_client_asks_for_it(
    providers: Providers, project: Project
) -> None:
    path = project.root / "data" / "clients" / "713" / "client.toml"
    path.write_text('notify_on_success = ["s3_exports"]\n' + path.read_text())
    telling.loaded("s3_exports", "713", 1_523, "run-1")
    telling.loaded("s3_exports", "713", 0, "run-2")
    telling.loaded("everflow", "713", 5, "run-3")
    telling.loaded("s3_exports", "cti", 5, "run-4")
    assert texts(providers) == ["s3_exports 713: 1,523 rows"]


def test_asking_to_hear_of_a_source_that_the_client_does_not_use_is_told(project: Project) -> None:
    path = project.root / "data" / "clients" / "713" / "client.toml"
    path.write_text('notify_on_success = ["s3_export"]\n' + path.read_text())
    [aside] = set_aside()
    assert (
        aside.problem
        == "data/clients/713/client.toml: notify_on_success: 's3_export' is not in `sources`"
    )


def test_a_notice_that_cannot_be_sent_is_a_warning(
    providers: Providers, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    path = project.root / "data" / "clients" / "713" / "client.toml"
    path.write_text('notify_on_success = ["s3_exports"]\n' + path.read_text())
    providers.fail(
        "chat.postMessage", status=200, body=json.dumps({"ok": False, "error": "not_in_channel"})
    )
    telling.loaded("s3_exports", "713", 1_523, "run-1")
    assert "not_in_channel" in caplog.text


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "no database":
        path.write_bytes(b"no space left" * 100)
    else:  # the first pages are whole, those of the tables are not
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


@pytest.mark.parametrize("how", ["no database", "broken pages"])
def test_a_damaged_file_of_incidents_is_set_aside_and_begun_anew(
    how: str, providers: Providers
) -> None:
    telling.failed(replace(DOWN, run="run-0"))
    spoil(state_dir() / "incidents.sqlite", how)
    telling.failed(DOWN)
    telling.failed(replace(DOWN, run="run-2"))
    assert len(texts(providers)) == 2  # the second file knows nothing of the first one's message
    assert [incident.failures for incident in telling.open_incidents()] == [2]
    assert len([*state_dir().glob("incidents.sqlite.damaged-*")]) == 1
    telling.recovered("source", "everflow", "713")
    assert texts(providers)[2].startswith("🟢")


def full(*_: Any, **__: Any) -> Any:
    raise sqlite3.OperationalError("database or disk is full")


def test_an_alert_that_cannot_be_booked_is_sent_and_says_so(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", full)
        for number in range(3):
            telling.failed(replace(DOWN, run=f"run-{number}"))
        telling.failed(replace(DOWN, client="cti"))
        telling.recovered("source", "everflow", "cti")
        assert [telling.tell(), telling.open_incidents()] == [0, []]
    assert [text.splitlines()[0] for text in texts(providers)] == [
        "🔴 everflow does not load (client 713)",
        "🔴 everflow does not load (client cti)",
    ]
    assert all(text.endswith(telling.UNBOOKED) for text in texts(providers))
    telling.failed(DOWN)
    assert telling.UNBOOKED not in texts(providers)[2]


def test_a_state_folder_that_cannot_be_written_silences_nothing(
    providers: Providers, project: Project
) -> None:
    (project.root / "full").write_text("a file where a folder should be")
    project.set(SIGNALROOM_STATE_DIR=str(project.root / "full" / "state"))
    telling.failed(DOWN)
    assert texts(providers)[0].endswith(telling.UNBOOKED)
