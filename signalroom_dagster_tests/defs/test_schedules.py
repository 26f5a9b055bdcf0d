"""Schedules: from configuration, at the client's own hours on every day of the year, and never
twice at once.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import dagster as dg
import pytest
from dagster._utils.schedules import is_valid_cron_string, schedule_execution_time_iterator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.assets.reports import build_report_assets
from signalroom_dagster.defs.jobs import build_jobs, build_report_job
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.schedules import (
    build_schedules,
    build_source_schedule,
    refused_schedules,
    zone_name,
)
from signalroom_dagster.registry.cadences import Cadence, cadences, refused_cadences
from signalroom_dagster_tests.projects import Project

NEW_YORK = ZoneInfo("America/New_York")
SCHEDULES = """
[sources.everflow.schedules]
hourly = "15 7-23 * * *"
nightly = { cron = "30 4 * * 1-6", lookback_days = 35 }
weekly = { cron = "30 4 * * 0", lookback_days = 95 }
"""
REPORT = """
[[reports]]
name = "morning"
template = "test_sync"
schedule = "0 7 * * *"
slack = "#reporting"
"""
CRON_FIELDS = (
    "*",
    "*/2",
    "*/0",
    "0",
    "7",
    "7-25",
    "25",
    "60",
    "59",
    "5-2",
    "1,2",
    "mon",
    "WED",
    "thu",
    "MON-FRI",
    "L",
    "5#1",
    "?",
    "jan",
    "mar",
    "12",
    "13",
    "30",
    "31",
    "32",
    "24",
    "23-5",
    "7-23/2",
    "*/70",
    "-1",
    "1-",
    "L5",
    "H",
    "R",
    "5#6",
    "h(1-5)",
    "07",
    "1W",
    "LW",
    "0-7",
    "8",
    "1,,2",
    "1.5",
    "\N{ARABIC-INDIC DIGIT THREE}",
)
SPRING_FORWARD, FALL_BACK = date(2026, 3, 8), date(2026, 11, 1)  # Sundays


@pytest.fixture
def agency(project: Project) -> Project:
    """Two active clients in two zones and a planned one; everflow for all, a report for one."""
    for client_id in ("713", "rome", "cti"):
        project.add_api_client(client_id, "everflow")
    folder = project.root / "data" / "clients"
    rome, planned, first = (folder / name / "client.toml" for name in ("rome", "cti", "713"))
    rome.write_text(rome.read_text().replace("America/New_York", "Europe/Rome"))
    planned.write_text(planned.read_text().replace('"active"', '"planned"') + REPORT)
    first.write_text(first.read_text() + REPORT)
    config = project.root / ".dlt" / "config.toml"
    config.write_text(config.read_text() + SCHEDULES)
    return project


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def ticks_on(schedule: dg.ScheduleDefinition, first: date, days: int) -> Sequence[datetime]:
    """When Dagster lets a schedule tick, in its own zone; the clock is simulated from midnight
    on.
    """
    zone = ZoneInfo(schedule.execution_timezone or "")
    midnight = datetime(first.year, first.month, first.day, tzinfo=zone)
    end = midnight + timedelta(days=days)
    found: list[datetime] = []
    cron = str(schedule.cron_schedule)
    for tick in schedule_execution_time_iterator(
        midnight.timestamp(), cron, schedule.execution_timezone
    ):
        if tick >= end:
            return [moment.astimezone(zone) for moment in found]
        found.append(tick)
    raise AssertionError("a schedule has no end")


def evaluate(
    schedule: dg.ScheduleDefinition, at: datetime, instance: dg.DagsterInstance
) -> Sequence[dg.RunRequest | str | None]:
    """What a tick asks for; the reason when it asks for nothing."""
    definitions = dg.Definitions(
        assets=[build_ingest_assets("everflow")], jobs=build_jobs()[1:2], resources=RESOURCES
    )
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=at,
        repository_def=definitions.get_repository_def(),
    )
    found = schedule.evaluate_tick(context)
    return [*(found.run_requests or ())] or [found.skip_message]


@pytest.mark.parametrize("day", [SPRING_FORWARD, FALL_BACK])
def test_on_the_days_when_clocks_change_every_tick_comes_once_at_its_local_hour(
    agency: Project, day: date
) -> None:
    schedules = {schedule.name: schedule for schedule in build_schedules()}
    before = day - timedelta(days=1)
    hourly = ticks_on(schedules["everflow_hourly_america_new_york"], before, 3)
    expected = [(before + timedelta(days=n), hour) for n in range(3) for hour in range(7, 24)]
    assert [(tick.date(), tick.hour) for tick in hourly] == expected
    assert {tick.minute for tick in hourly} == {15}
    deep = sorted(
        (tick.date(), tick.hour, tick.minute)
        for name in ("nightly", "weekly")
        for tick in ticks_on(schedules[f"everflow_{name}_america_new_york"], before, 3)
    )
    assert deep == [(before + timedelta(days=n), 4, 30) for n in range(3)]
    assert [
        tick.date() for tick in ticks_on(schedules["everflow_weekly_america_new_york"], before, 3)
    ] == [day]
    morning = ticks_on(schedules["morning_report_713"], before, 3)
    assert [(tick.date(), tick.hour) for tick in morning] == [
        (before + timedelta(days=n), 7) for n in range(3)
    ]


def test_each_zone_has_its_schedule_and_planned_clients_have_none(agency: Project) -> None:
    names = {schedule.name for schedule in build_schedules()}
    assert names == {
        *(
            f"everflow_{name}_{zone}"
            for name in ("hourly", "nightly", "weekly")
            for zone in ("america_new_york", "europe_rome")
        ),
        "morning_report_713",
        "purge_nightly",
    }


def test_a_tick_asks_for_the_active_clients_of_its_zone_with_its_lookback(
    agency: Project, instance: dg.DagsterInstance
) -> None:
    nightly = build_source_schedule(
        "everflow", "nightly", Cadence(cron="30 4 * * *", lookback_days=35), "Europe/Rome"
    )
    at = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
    [request] = evaluate(nightly, at, instance)
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("rome", f"rome:{at.isoformat()}")
    assert request.run_config == {"ops": {"load_everflow": {"config": {"lookback_days": 35}}}}


def test_a_client_whose_load_is_not_finished_is_left_out(
    agency: Project, instance: dg.DagsterInstance
) -> None:
    hourly = build_source_schedule(
        "everflow", "hourly", Cadence(cron="15 7-23 * * *"), "America/New_York"
    )
    at = datetime(2026, 3, 10, 11, 15, tzinfo=UTC)
    running = instance.create_run_for_job(
        dg.job(name="everflow")(lambda: None),
        tags={"dagster/partition": "713"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert evaluate(hourly, at, instance) == ["everflow is being loaded for 713"]
    instance.report_run_failed(running)
    assert len(evaluate(hourly, at, instance)) == 1


def test_a_report_is_left_out_while_it_is_being_made_but_not_while_its_client_is_loaded(
    agency: Project, instance: dg.DagsterInstance
) -> None:
    agency.set(REPORTS__WAIT_MINUTES="0")
    [schedule] = [each for each in build_schedules() if each.name == "morning_report_713"]
    at = datetime(2026, 3, 10, 11, tzinfo=UTC)
    definitions = dg.Definitions(
        assets=build_report_assets(), jobs=[build_report_job("morning")], resources=RESOURCES
    )
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=at,
        repository_def=definitions.get_repository_def(),
    )
    loading = dg.DagsterRun(
        job_name="everflow", tags={"dagster/partition": "713"}, status=dg.DagsterRunStatus.STARTED
    )
    instance.add_run(loading)
    assert len(schedule.evaluate_tick(context).run_requests or ()) == 1
    made = dg.DagsterRun(
        job_name="__ASSET_JOB",
        tags={"dagster/partition": "713"},
        asset_selection=frozenset({dg.AssetKey(["reports", "morning"])}),
        status=dg.DagsterRunStatus.STARTED,
    )
    instance.add_run(made)
    skipped = schedule.evaluate_tick(context).skip_message or ""
    assert skipped.startswith("reports/morning is being worked on for 713")


def test_a_report_is_asked_for_the_day_before_in_the_clients_zone(
    agency: Project, instance: dg.DagsterInstance
) -> None:
    agency.set(REPORTS__WAIT_MINUTES="0")
    [schedule] = [each for each in build_schedules() if each.name == "morning_report_713"]
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=datetime(2026, 11, 2, 12, tzinfo=UTC)
    )
    request: Any = schedule(context)
    assert request.run_config == {
        "ops": {"report_morning": {"config": {"date": "2026-11-01", "wait_minutes": 0}}}
    }


def test_a_time_that_cannot_be_read_is_told_and_the_others_stay(agency: Project) -> None:
    agency.set(
        SOURCES__EVERFLOW__SCHEDULES=(
            '{"hourly": {"cron": "every hour"}, "nightly": {"cron": "30 4 * * *", "lookback": '
            '5}, "Weekly": "30 4 * * 0", "late": "15 7-25 * * *", "daily": "0 6 * * *", "never": 6}'
        )
    )
    assert list(cadences("everflow")) == ["daily"]
    problems = refused_cadences("everflow")
    assert list(problems) == ["hourly", "nightly", "Weekly", "late", "never"]
    assert problems["hourly"].startswith(
        "[sources.everflow.schedules.hourly] cron is not valid (not a cron line of "
    )
    assert "lookback is not valid" in problems["nightly"]
    assert "a name is lower case" in problems["Weekly"]
    assert {schedule.name for schedule in build_schedules()} == {
        "everflow_daily_america_new_york",
        "everflow_daily_europe_rome",
        "morning_report_713",
        "purge_nightly",
    }
    agency.set(SOURCES__EVERFLOW__SCHEDULES="0 6 * * *")
    assert "is text, but no table of names" in refused_cadences("everflow")["schedules"]


@given(st.lists(st.sampled_from(CRON_FIELDS), min_size=5, max_size=5))
def test_dagster_takes_every_cron_line_that_a_setting_takes(fields: list[str]) -> None:
    line = " ".join(fields)
    with contextlib.suppress(ValidationError):
        assert is_valid_cron_string(Cadence(cron=line).cron)


@pytest.mark.parametrize(
    "line", ["0 0 31 4 *", "0 0 30,31 2 *", "*/70 * * * *", "R 7 * * *", "0 7 1W * *"]
)
def test_a_time_that_never_comes_or_comes_otherwise_than_it_says_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        Cadence(cron=line)


def test_every_time_zone_has_schedules_of_its_own_name() -> None:
    zones = available_timezones()
    assert len({zone_name(zone) for zone in zones}) == len(zones)
    assert zone_name("America/New_York") == "america_new_york"
    assert zone_name("America/Port-au-Prince") == "america_port_au_prince"
    assert [zone_name("Etc/GMT+5"), zone_name("Etc/GMT-5")] == ["etc_gmt_plus_5", "etc_gmt_minus_5"]


def test_two_reports_whose_schedules_would_have_one_name_leave_one(agency: Project) -> None:
    agency.add_api_client("report_rome", "everflow", api_key="key")
    for client, name in (("report_rome", "late"), ("rome", "late_report")):
        with (agency.root / "data/clients" / client / "client.toml").open("a") as file:
            file.write(REPORT.replace("morning", name))
    names = [schedule.name for schedule in build_schedules()]
    assert names.count("late_report_report_rome") == 1
    [aside] = refused_schedules()
    assert (aside.client, aside.subject) == ("rome", "schedule of report late_report")


def test_a_client_that_came_after_the_definitions_waits_for_their_reload(
    agency: Project, instance: dg.DagsterInstance
) -> None:
    hourly = build_source_schedule(
        "everflow", "hourly", Cadence(cron="15 7-23 * * *"), "America/New_York"
    )
    agency.add_api_client("acme", "everflow", api_key="key")
    found = evaluate(hourly, datetime(2026, 3, 10, 11, 15, tzinfo=UTC), instance)
    assert [request.partition_key for request in found if isinstance(request, dg.RunRequest)] == [
        "713"
    ]


def test_schedules_run_from_the_start_in_production_only(agency: Project) -> None:
    assert {schedule.default_status for schedule in build_schedules()} == {
        dg.DefaultScheduleStatus.STOPPED
    }
    agency.set(SIGNALROOM_ENV="production")
    assert {schedule.default_status for schedule in build_schedules()} == {
        dg.DefaultScheduleStatus.RUNNING
    }
