"""Reports as assets: one per subscription, what they depend on, what a materialization shows, and
when it sends.
"""

import time
from base64 import b64decode
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from signalroom_dagster.defs.assets.reports import build_report_assets, minutes_left, reported_day
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.notifications.message import (
    PermanentDeliveryError,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports import inputs, outbox
from signalroom_dagster.reports.templates import get_template
from signalroom_dagster.warehouse.errors import DestinationUnreachableError
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import (
    DAY,
    READ_AT,
    FileSender,
    create_tables,
    earned,
    read,
    subscribe,
)

REPORT = dg.AssetKey(["reports", "daily_ccw"])


@pytest.fixture
def sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSender:
    found = FileSender(tmp_path / "sent.jsonl")
    monkeypatch.setattr(outbox, "SHOWN_AFTER", timedelta(0))
    return found


@pytest.fixture
def morning(project: Project) -> Project:
    """Two clients with a report of the same name, of which one has another report too."""
    subscribe(project)
    subscribe(project, "cti")
    with (project.root / "data" / "clients" / "cti" / "client.toml").open("a") as file:
        file.write('[[reports]]\nname = "places"\ntemplate = "affiliate_leaderboard"\n')
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    project.set(SIGNALROOM_REPORTS_DIR=str(project.root / "written"), REPORTS__WAIT_MINUTES="0")
    return project


@dataclass(frozen=True)
class Handed:
    """The channels of a test: one sender for all of them."""

    only: FileSender

    def sender(self) -> FileSender:
        return self.only


def materialize(
    instance: dg.DagsterInstance, sender: FileSender, **config: Any
) -> dg.ExecuteInProcessResult:
    assets = {asset.key: asset for asset in build_report_assets()}
    job = dg.Definitions(
        assets=[assets[REPORT]],
        resources={**RESOURCES, "channels": Handed(sender)},
        executor=dg.in_process_executor,
    ).resolve_implicit_global_asset_job_def()
    ops = {"report_daily_ccw": {"config": {"date": str(DAY), **config}}}
    return job.execute_in_process(
        instance=instance, partition_key="713", run_config={"ops": ops}, raise_on_error=False
    )


def told(instance: dg.DagsterInstance) -> dict[str, Any]:
    record = instance.get_latest_materialization_event(REPORT)
    assert record and record.asset_materialization
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


@pytest.mark.usefixtures("morning")
def test_a_report_is_one_asset_of_those_that_get_it_and_depends_on_what_its_queries_name() -> None:
    specs = {spec.key.path[-1]: spec for asset in build_report_assets() for spec in asset.specs}
    assert {
        name: spec.partitions_def.get_partition_keys()
        for name, spec in specs.items()
        if spec.partitions_def
    } == {"daily_ccw": ["713", "cti"], "places": ["cti"]}
    for name, template in (("daily_ccw", "daily_performance"), ("places", "affiliate_leaderboard")):
        assert {tuple(dep.asset_key.path) for dep in specs[name].deps} == {
            *get_template(template).reads
        }
        assert specs[name].group_name == "reports" and specs[name].owners == ["team:data"]


@pytest.mark.usefixtures("morning")
def test_a_materialization_sends_once_and_shows_what_it_sent(
    instance: dg.DagsterInstance, sender: FileSender, morning: Project
) -> None:
    assert materialize(instance, sender).success
    assert sorted(item["channel"] for item in sender.sent) == ["email", "slack", "sms"]
    found = told(instance)
    assert found["date"] == str(DAY) and found["stale_sources"] == "none"
    assert (
        "**713: daily performance**" in found["preview"]
        and "data:image/png;base64," in found["preview"]
    )
    chart = b64decode(found["preview"].partition("data:image/png;base64,")[2].rstrip(")\n"))
    assert (
        int.from_bytes(chart[16:20]) == 600
    )  # as wide as the UI shows it: it does not scale pictures
    assert found["deliveries"].count("| sent |") == 3
    assert (
        "| email | o…@example.com |" in found["deliveries"]
        and "| sms | …0001 |" in found["deliveries"]
    )
    assert not any(person in str(found) for person in ("ops@example.com", "+15550100001"))
    assert (morning.root / "written" / "713" / f"daily_ccw-{DAY}.html").is_file()
    assert materialize(instance, sender).success
    assert len(sender.sent) == 3
    assert materialize(instance, sender, resend=True).success
    assert len(sender.sent) == 3  # nothing is unknown
    assert materialize(instance, sender, resend=True, channel="sms").success
    assert [item["channel"] for item in sender.sent[3:]] == ["sms"]


@pytest.mark.usefixtures("morning")
def test_sending_can_be_switched_off_for_all_reports_and_on_for_one_run(
    instance: dg.DagsterInstance, sender: FileSender, morning: Project
) -> None:
    morning.set(REPORTS__SEND="false")
    assert materialize(instance, sender).success
    assert sender.sent == [] and "reports.send is false" in told(instance)["deliveries"]
    assert ask("SELECT count(*) FROM reports.reports") == [(1,)]
    assert materialize(instance, sender, send=True).success
    assert len(sender.sent) == 3


@pytest.mark.usefixtures("morning")
def test_what_may_be_tried_again_is_and_what_was_sent_is_not_repeated(
    instance: dg.DagsterInstance, sender: FileSender
) -> None:
    sender.errors = [RetryableDeliveryError("busy")]
    result = materialize(instance, sender)
    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    assert sorted(item["channel"] for item in sender.sent) == ["email", "slack", "sms"]


@pytest.mark.usefixtures("morning")
def test_a_report_that_is_sent_again_goes_out_once_more_however_often_that_is_tried(
    instance: dg.DagsterInstance, sender: FileSender
) -> None:
    assert materialize(instance, sender).success
    sender.errors = [RetryableDeliveryError("busy")]
    assert materialize(instance, sender, resend=True, channel="slack").success
    assert sorted(item["channel"] for item in sender.sent) == ["email", "slack", "slack", "sms"]


@pytest.mark.usefixtures("morning")
def test_a_delivery_whose_outcome_is_unknown_fails_a_check_until_it_is_known(
    instance: dg.DagsterInstance, sender: FileSender
) -> None:
    sender.errors = [UnknownOutcomeError("timed out")]
    checks = [
        materialize(instance, sender).get_asset_check_evaluations(),
        materialize(instance, sender, resend=True).get_asset_check_evaluations(),
    ]
    assert [[(check.check_name, check.passed) for check in each] for each in checks] == [
        [("delivered", False)],
        [("delivered", True)],
    ]
    assert checks[0][0].severity == dg.AssetCheckSeverity.ERROR


@pytest.mark.usefixtures("morning")
def test_a_refused_message_fails_the_report_at_once(
    instance: dg.DagsterInstance, sender: FileSender
) -> None:
    sender.errors = [PermanentDeliveryError("channel_not_found")]
    result = materialize(instance, sender)
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert (
        "client 713, report daily_ccw: PermanentDeliveryError"
        in failure.step_failure_data.error_display_string
    )
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert len(sender.sent) == 2


@pytest.mark.usefixtures("morning")
def test_inputs_that_do_not_come_are_waited_for_and_then_named(
    instance: dg.DagsterInstance, sender: FileSender, morning: Project
) -> None:
    morning.set(REPORTS__CHECK_SECONDS="0.1")
    later = str(DAY + timedelta(days=1))
    assert materialize(instance, sender, date=later, wait_minutes=0.01).success
    assert told(instance)["stale_sources"] == "Everflow, RedTrack"
    assert "No complete figures for 3 Mar" in told(instance)["preview"]


def test_what_a_report_stood_in_the_queue_counts_as_waiting(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = instance.create_run_for_job(dg.job(name="daily_ccw_report")(lambda: None))
    asked = time.time()
    for passed, left in ((0, 60), (45, 15), (90, 0)):
        monkeypatch.setattr(time, "time", lambda passed=passed: asked + passed * 60)
        assert minutes_left(instance, run, 60) == pytest.approx(left, abs=0.5)


@pytest.mark.usefixtures("morning")
def test_a_report_made_by_hand_before_its_inputs_are_whole_is_shown_and_sent_only_when_asked(
    instance: dg.DagsterInstance, sender: FileSender, morning: Project
) -> None:
    morning.set(REPORTS__WAIT_MINUTES="60")
    later = str(DAY + timedelta(days=1))
    began = time.monotonic()
    assert materialize(instance, sender, date=later).success
    assert time.monotonic() - began < 60
    assert (
        sender.sent == []
        and f"Everflow, RedTrack: {later} is not whole yet" in told(instance)["deliveries"]
    )
    assert materialize(instance, sender, date=later, send=True).success
    assert len(sender.sent) == 3


@pytest.mark.usefixtures("morning")
def test_an_attempt_after_a_short_outage_goes_on_waiting(
    instance: dg.DagsterInstance,
    sender: FileSender,
    morning: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    morning.set(REPORTS__CHECK_SECONDS="0.1")
    real, later, outages = inputs.stale_sources, DAY + timedelta(days=1), [1, 2]

    def restarted(*arguments: Any) -> Any:
        if outages:
            outages.pop()
            raise DestinationUnreachableError("restarting")
        for source in ("everflow", "redtrack"):
            read(source, later, later, READ_AT + timedelta(days=1))
        return real(*arguments)

    monkeypatch.setattr(inputs, "stale_sources", restarted)
    result = materialize(instance, sender, date=str(later), wait_minutes=5)
    assert result.success and told(instance)["stale_sources"] == "none"
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_a_report_without_a_date_is_about_the_day_before_it_was_asked_for_whenever_it_is_made(
    instance: dg.DagsterInstance, project: Project
) -> None:
    project.add_client("713")
    run = instance.create_run_for_job(dg.job(name="daily_ccw_report")(lambda: None))
    record = instance.get_run_record_by_id(run.run_id)
    assert record
    client = get_client("713")
    day = record.create_timestamp.astimezone(client.zone).date() - timedelta(days=1)
    assert reported_day(instance, run, client, None) == day
    assert reported_day(instance, run, client, "2026-03-02") == DAY


@pytest.mark.usefixtures("morning")
def test_a_date_that_is_none_fails_at_once(
    instance: dg.DagsterInstance, sender: FileSender
) -> None:
    result = materialize(instance, sender, date="yesterday")
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "write it as YYYY-MM-DD" in failure.step_failure_data.error_display_string
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
