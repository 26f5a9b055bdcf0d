"""Sensors that look at what no step can tell of itself: lost runs, failing ticks, stale sources,
what is set aside.

https://docs.dagster.io/guides/automate/run-status-sensors
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure, Incident, Kind
from signalroom_dagster.alerts.wording import REPORT
from signalroom_dagster.defs.alerts import Subjects, failure_of
from signalroom_dagster.defs.assets.declared import events_of, everything_set_aside, tell_of
from signalroom_dagster.defs.assets.status import FRESHNESS, freshness_metadata
from signalroom_dagster.defs.lost_runs import build_lost_runs_sensor
from signalroom_dagster.defs.sensors import initial_status
from signalroom_dagster.freshness.status import Standing, standing
from signalroom_dagster.naming import load_step, report_step
from signalroom_dagster.platform.tags import (
    REASON_TAG,
    RETRY_NUMBER_TAG,
    SUPERVISED_TAG,
    WILL_RETRY_TAG,
)
from signalroom_dagster.registry.clients import load_clients, unreadable_clients
from signalroom_dagster.warehouse.errors import DestinationUnreachableError, WarehouseBusyError

if TYPE_CHECKING:
    from dagster._core.scheduler.instigation import InstigatorState

WATCH_SECONDS = 60
FRESHNESS_SECONDS = 3_600
DEFINITIONS_SECONDS = 300
LOCK_SECONDS = 10.0
TICKS_LOOKED_AT = 3
REPORTS_OPEN_SECONDS = 7 * 24 * 3_600.0


def build_alert_sensors() -> list[dg.SensorDefinition]:
    """All of them; running from the start in production only."""
    return [_run_failures(), _watch(), _freshness(), _definitions(), build_lost_runs_sensor()]


def _run_failures() -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="alert_on_run_failure",
        minimum_interval_seconds=30,
        default_status=initial_status(),
        description="Alert when a run failed or was lost and is not started again.",
    )
    def alert_on_run_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        if SUPERVISED_TAG in run.tags:
            return
        if run.tags.get(WILL_RETRY_TAG) == "true" and run.remote_job_origin:
            return
        subjects = Subjects(context.instance, run)
        events = context.get_step_failure_events()
        for failure in [failure_of(event, subjects) for event in events] or [
            _lost(context, subjects)
        ]:
            if failure.concerns != "request":
                telling.failed(failure)

    return alert_on_run_failure


def _lost(context: dg.RunFailureSensorContext, subjects: Subjects) -> Failure:
    """A run that ended without a step's saying why: by the step it was at, else by what it was to
    load.
    """
    run = context.dagster_run
    at = [
        step.step_key
        for step in context.instance.get_run_step_stats(run.run_id)
        if step.end_time is None
    ]
    wanted = sorted(_step_of(key) for key in run.asset_selection or ())
    kind, subject = subjects.of_step([*at, *wanted, load_step(run.job_name)][0])
    if kind == "step":
        subject = run.job_name
    tries = int(run.tags.get(RETRY_NUMBER_TAG) or 0) + 1
    reason = run.tags.get(REASON_TAG, "RUN_EXCEPTION")
    return Failure(
        kind=kind,
        subject=subject,
        client=subjects.client,
        error=f"Run lost ({reason})",
        run=run.run_id,
        attempts=tries,
    )


def _step_of(key: dg.AssetKey) -> str:
    schema, *name = key.path
    return report_step(name[0]) if schema == "reports" and name else load_step(schema)


def _watch() -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_watch",
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=initial_status(),
        description=(
            "Alert when a sensor or schedule cannot tick; send the summaries and alerts that are"
            " due."
        ),
    )
    def alert_watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        for state in context.instance.all_instigator_state():
            _look_at_ticks(context.instance, state)
        active = {client.id for client in load_clients().values() if client.status == "active"}
        for incident in telling.open_incidents():
            is_ended_elsewhere = incident.kind == "definition" or incident.client in active | {
                *unreadable_clients()
            }
            if (incident.client and not is_ended_elsewhere) or _is_past(
                incident
            ):  # nothing runs that could end it
                telling.recovered(incident.kind, incident.subject, incident.client, announce=False)
        return dg.SkipReason(
            f"messages sent: {telling.tell()}; open incidents: {len(telling.open_incidents())}"
        )

    return alert_watch


def _is_past(incident: Incident) -> bool:
    """Whether it is about one day's report that nobody has sent for a week."""
    is_of_a_day = incident.kind == "report" or incident.subject.startswith(REPORT)
    return is_of_a_day and time.time() - incident.last_at > REPORTS_OPEN_SECONDS


def _look_at_ticks(instance: dg.DagsterInstance, state: "InstigatorState") -> None:
    """By the last finished tick. Of what a person has switched off, nobody is told any more."""
    subject = f"{state.instigator_type.value.lower().replace('_', ' ')} {state.instigator_name}"
    kind: Kind = "tick"
    if state.status.value == "STOPPED":
        telling.recovered(kind, subject, "", announce=False)
        return
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=TICKS_LOOKED_AT)
    last = next((tick for tick in ticks if tick.status.value != "STARTED"), None)
    if last is None:
        return
    if last.status.value != "FAILURE":
        telling.recovered(kind, subject, "")
        return
    error = last.error.cause or last.error if last.error else None
    said = (error.cls_name if error else None) or "unknown error"
    telling.failed(
        Failure(kind=kind, subject=subject, client="", error=said, run=f"tick {last.tick_id}")
    )


def _freshness() -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_on_stale_sources",
        minimum_interval_seconds=FRESHNESS_SECONDS,
        default_status=initial_status(),
        description=(
            "Alert when a client's source has no data as new as it should have; fill in"
            " status/freshness."
        ),
    )
    def alert_on_stale_sources(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            found = standing(LOCK_SECONDS)
        except WarehouseBusyError:
            return dg.SkipReason("the warehouse is in use by another writer: looked at next time")
        except DestinationUnreachableError as error:
            failure = Failure(
                kind="warehouse",
                subject="warehouse",
                client="",
                error=type(error).__name__,
                said=str(error),
                run=f"look {now:%Y-%m-%dT%H}",
            )
            telling.failed(failure)
            return dg.SkipReason("the warehouse cannot be asked")
        telling.recovered("warehouse", "warehouse", "")
        return dg.SensorResult(
            skip_reason=dg.SkipReason(f"stale: {', '.join(_stale(found, now)) or 'nothing'}"),
            asset_events=[
                dg.AssetMaterialization(FRESHNESS, metadata=freshness_metadata(found, now))
            ],
        )

    return alert_on_stale_sources


def _definitions() -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_on_definitions",
        minimum_interval_seconds=DEFINITIONS_SECONDS,
        default_status=initial_status(),
        description=(
            "Alert when a client, report, source, time or model cannot be read; fill in"
            " status/definitions."
        ),
    )
    def alert_on_definitions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        found, now = everything_set_aside(), datetime.now(UTC)
        tell_of(found, now)
        state = hashlib.sha256(
            repr(found).encode()
        ).hexdigest()  # only what has changed is recorded again
        return dg.SensorResult(
            skip_reason=dg.SkipReason(
                f"set aside: {', '.join(item.subject for item in found) or 'nothing'}"
            ),
            asset_events=[] if context.cursor == state else events_of(found),
            cursor=state,
        )

    return alert_on_definitions


def _stale(found: Sequence[Standing], now: datetime) -> Iterator[str]:
    """Tell of every source that is stale, or fresh again; those that are stale."""
    for age in [item.age for item in found if item.age]:
        if not age.is_stale(now):
            telling.recovered("stale", age.source, age.client.id)
            continue
        failure = Failure(
            kind="stale",
            subject=age.source,
            client=age.client.id,
            error="Stale",
            said=age.said,
            run=f"look {now:%Y-%m-%dT%H}",
        )
        telling.failed(failure)
        yield f"{age.source} of client {age.client.id}"
