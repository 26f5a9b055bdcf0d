"""Due reports: each is asked for once its inputs are whole or its wait is over, and none waits in a
run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from signalroom_dagster.defs import due_reports
from signalroom_dagster.defs.due_reports import build_due_reports_sensor
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.defs.schedules import build_schedules
from signalroom_dagster.platform.attempts import CONCERNS
from signalroom_dagster.reports import inputs
from signalroom_dagster.warehouse.errors import DestinationUnreachableError
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import DAY, READ_AT, create_tables, read, subscribe

SEVEN = datetime(2026, 3, 3, 12, tzinfo=UTC)  # in New York
LOCATION = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), "x")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time that the sensor sees; a test sets its one element."""
    now = [SEVEN]
    monkeypatch.setattr(due_reports, "time", SimpleNamespace(time=lambda: now[0].timestamp()))
    return now


@pytest.fixture
def morning(any_warehouse: Project) -> Project:
    """Two clients with a report at seven; nothing of the day is read yet."""
    for client in ("713", "cti"):
        subscribe(any_warehouse, client)
    create_tables()
    return any_warehouse


def tick(instance: dg.DagsterInstance, client: str, at: datetime = SEVEN) -> dg.RunRequest | None:
    """Let the schedule of a client's report tick, as the daemon does it; the run that it asks
    for.
    """
    [schedule] = [each for each in build_schedules() if each.name == f"daily_ccw_report_{client}"]
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(LOCATION, "__repository__"), schedule.name
    )
    data = ScheduleInstigatorData(str(schedule.cron_schedule))
    state = InstigatorState(
        origin, InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE, data
    )
    if not instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.add_instigator_state(state)
    given = TickData(
        state.instigator_origin_id,
        schedule.name,
        InstigatorType.SCHEDULE,
        TickStatus.STARTED,
        at.timestamp(),
        selector_id=state.selector_id,
    )
    begun = instance.create_tick(given)
    found: Any = schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))
    asked = isinstance(found, dg.RunRequest)
    instance.update_tick(begun.with_status(TickStatus.SUCCESS if asked else TickStatus.SKIPPED))
    return found if asked else None


class Daemon:
    """Evaluates the sensor from minute to minute."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.why = ""

    def look(self, warehouse: object = None) -> list[dg.RunRequest]:
        """What is asked for."""
        [sensor] = build_due_reports_sensor()
        resources = {"warehouse": warehouse or RESOURCES["warehouse"]}
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources
        )
        found: Any = sensor(context)
        self.why = (
            getattr(found, "skip_reason", found)
            and getattr(found, "skip_reason", found).skip_message
        )
        if isinstance(found, dg.SkipReason):
            return []
        self.cursor = found.cursor
        return list(found.run_requests)


def clients(requests: list[dg.RunRequest]) -> list[str | None]:
    return [request.partition_key for request in requests]


def run(instance: dg.DagsterInstance, request: dg.RunRequest, concerns: str | None = None) -> None:
    """The run that was asked for; it fails for a reason of that kind, or does not."""

    @dg.op
    def report() -> None:
        if concerns is not None:
            raise dg.Failure("told", metadata={CONCERNS: concerns}, allow_retries=False)

    @dg.job(name="daily_ccw_report")
    def job() -> None:
        report()

    job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False)


def load(client: str) -> None:
    for source in ("everflow", "redtrack"):
        read(source, DAY, DAY, READ_AT, client)


def test_a_report_waits_in_no_run_and_keeps_no_other_waiting(
    morning: Project, instance: dg.DagsterInstance, clock: list[datetime]
) -> None:
    load("cti")
    [asked] = [request for client in ("713", "cti") if (request := tick(instance, client))]
    assert asked.partition_key == "cti"
    run(instance, asked)
    daemon = Daemon(instance)
    clock[0] = SEVEN + timedelta(minutes=1)
    assert (
        daemon.look() == []
        and daemon.why == "daily_ccw of 713 waits for Everflow, RedTrack to cover 2026-03-02"
    )
    load("713")
    clock[0] = SEVEN + timedelta(minutes=2)
    [late] = daemon.look()
    assert late.partition_key == "713"
    run(instance, late)
    for _ in range(2):
        assert daemon.look() == [] and daemon.why == "no report is due"


def test_a_report_whose_wait_is_over_is_asked_for_all_the_same_and_waits_no_more(
    morning: Project, instance: dg.DagsterInstance, clock: list[datetime]
) -> None:
    assert tick(instance, "713") is None
    daemon = Daemon(instance)
    for minute in range(0, 61, 2):
        clock[0] = SEVEN + timedelta(minutes=minute)
        assert clients(daemon.look()) == (["713"] if minute == 60 else [])
    morning.set(REPORTS__WAIT_MINUTES="0")
    request = tick(instance, "cti")
    assert request and request.run_config == {
        "ops": {"report_daily_ccw": {"config": {"date": "2026-03-02", "wait_minutes": 0}}}
    }


def test_a_warehouse_that_is_away_is_not_yet_and_its_absence_is_no_waiting(
    morning: Project,
    instance: dg.DagsterInstance,
    clock: list[datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon(instance)
    assert daemon.look() == [] and daemon.why == "no report is due"
    with monkeypatch.context() as down:
        down.setattr(inputs, "connected", refuse)
        assert tick(instance, "713") is None
    for hour in (1, 2, 3):
        clock[0] = SEVEN + timedelta(hours=hour)
        assert daemon.look(WarehouseThatIsAway()) == []
        assert daemon.why == "not yet: the warehouse cannot be asked (no answer)"
    for minute in range(0, 61, 2):
        clock[0] = SEVEN + timedelta(hours=3, minutes=minute)
        assert clients(daemon.look()) == (["713"] if minute == 60 else [])


def refuse() -> None:
    raise DestinationUnreachableError("no answer")


class WarehouseThatIsAway:
    @contextmanager
    def asked(self, wait_seconds: float) -> Iterator[None]:
        refuse()
        yield


def test_a_run_that_was_lost_to_an_outage_is_asked_for_again_and_no_other(
    morning: Project, instance: dg.DagsterInstance, clock: list[datetime]
) -> None:
    load("713")
    first = tick(instance, "713")
    assert first
    run(instance, first, "warehouse")
    daemon = Daemon(instance)
    [again] = daemon.look()
    assert again.run_key != first.run_key and again.run_config == first.run_config
    run(instance, again, "")
    assert daemon.look() == []


def test_a_report_is_due_until_its_clients_day_is_over_and_while_its_schedule_is_on(
    morning: Project, instance: dg.DagsterInstance, clock: list[datetime]
) -> None:
    assert tick(instance, "713") is None
    load("713")
    midnight = datetime(2026, 3, 4, 5, tzinfo=UTC)
    for moment, asked in ((midnight, []), (midnight - timedelta(minutes=1), ["713"])):
        clock[0] = moment
        assert clients(Daemon(instance).look()) == asked
    (state,) = instance.all_instigator_state()
    instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    assert Daemon(instance).look() == []
