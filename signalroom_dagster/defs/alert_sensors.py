"""Sensors that look at what no step can tell of itself: lost runs, failing ticks, stale sources,
what is set aside.

https://docs.dagster.io/guides/automate/run-status-sensors
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure, Incident, Kind
from signalroom_dagster.alerts.wording import REPORT
from signalroom_dagster.defs import initial_status
from signalroom_dagster.defs.alerts import KINDS, Step, failure_of
from signalroom_dagster.defs.assets.declared import events_of, everything_set_aside, tell_of
from signalroom_dagster.defs.assets.status import FRESHNESS, freshness_metadata
from signalroom_dagster.defs.lost_runs import build_lost_runs_sensor
from signalroom_dagster.freshness.status import Standing, files_left_out, standing
from signalroom_dagster.platform.tags import (
    REASON_TAG,
    RETRY_NUMBER_TAG,
    SUPERVISED_TAG,
    WILL_RETRY_TAG,
)
from signalroom_dagster.platform.ticks import LastTick, last_ticks
from signalroom_dagster.registry.clients import load_clients, unreadable_clients
from signalroom_dagster.warehouse.errors import DestinationUnreachableError, WarehouseBusyError
from signalroom_dagster.warehouse.ledger import LeftOutFiles

WATCH_SECONDS = 60
FRESHNESS_SECONDS = 3_600
DEFINITIONS_SECONDS = 300
LOCK_SECONDS = 10.0
REPORTS_OPEN_SECONDS = 7 * 24 * 3_600.0


def build_alert_sensors() -> list[dg.SensorDefinition]:
    """All of them; running from the start in production only."""
    return [_run_failures(), _watch(), _freshness(), _definitions(), build_lost_runs_sensor()]


def _run_failures() -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="alert_on_run_failure",
        minimum_interval_seconds=30,
        default_status=initial_status.of_sensors(),
        description="Alert when a run failed or was lost and is not started again.",
    )
    def alert_on_run_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        if SUPERVISED_TAG in run.tags:
            return
        if run.tags.get(WILL_RETRY_TAG) == "true" and run.remote_job_origin:
            return
        tags = _op_tags(context)
        failures: list[Failure] = []
        for event in context.get_step_failure_events():
            name = event.step_key or ""
            step = Step(context.instance, run, name, tags.get(name, {}))
            failures.append(failure_of(event, step))
        for failure in failures or [_lost(context, tags)]:
            if failure.concerns != "request":
                telling.failed(failure)

    return alert_on_run_failure


def _op_tags(context: dg.RunFailureSensorContext) -> Mapping[str, Mapping[str, str]]:
    """The tags of the ops of the failed run's job, by the names of their steps."""
    job, repository = context.dagster_run.job_name, context.repository_def
    if repository is None or not repository.has_job(job):
        return {}
    return {node.name: node.tags for node in repository.get_job(job).nodes}


def _lost(context: dg.RunFailureSensorContext, tags: Mapping[str, Mapping[str, str]]) -> Failure:
    """A run that ended without a step saying why: about the step it was at, else about what it was
    to load or make.
    """
    run = context.dagster_run
    stats = context.instance.get_run_step_stats(run.run_id)
    running = [tags.get(step.step_key, {}) for step in stats if step.end_time is None]
    about = next((each for each in running if KINDS.keys() & each.keys()), run.tags)
    step = Step(context.instance, run, run.job_name, about)
    kind, subject = step.subject
    reason = run.tags.get(REASON_TAG, "RUN_EXCEPTION")
    return Failure(
        kind=kind,
        subject=subject,
        client=step.client,
        error=f"Run lost ({reason})",
        run=run.run_id,
        attempts=int(run.tags.get(RETRY_NUMBER_TAG) or 0) + 1,
    )


def _watch() -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_watch",
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=initial_status.of_sensors(),
        description=(
            "Alert when a sensor or schedule cannot tick; send the summaries and alerts that are"
            " due."
        ),
    )
    def alert_watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        for tick in last_ticks(context.instance):
            _look_at_tick(tick)
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


def _look_at_tick(tick: LastTick) -> None:
    """What a person has switched off is no incident any more."""
    kind: Kind = "tick"
    subject = f"{tick.kind} {tick.name}"
    if tick.is_off:
        telling.recovered(kind, subject, "", announce=False)
    elif tick.error:
        run = f"tick {tick.id}"
        telling.failed(Failure(kind=kind, subject=subject, client="", error=tick.error, run=run))
    elif tick.moment is not None:
        telling.recovered(kind, subject, "")


def _freshness() -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_on_stale_sources",
        minimum_interval_seconds=FRESHNESS_SECONDS,
        default_status=initial_status.of_sensors(),
        description=(
            "Alert when a client's source has no data as new as it should have, or a file that"
            " cannot be loaded; fill in status/freshness."
        ),
    )
    def alert_on_stale_sources(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            found = standing(LOCK_SECONDS)
            left_out = files_left_out(wait_seconds=LOCK_SECONDS)
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
        _tell_of_files(left_out, now)
        return dg.SensorResult(
            skip_reason=dg.SkipReason(f"stale: {', '.join(_stale(found, now)) or 'nothing'}"),
            asset_events=[
                dg.AssetMaterialization(FRESHNESS, metadata=freshness_metadata(found, now))
            ],
        )

    return alert_on_stale_sources


def _tell_of_files(left_out: Sequence[LeftOutFiles], now: datetime) -> None:
    """One incident for each client's source with a file that is not in the warehouse, over once no
    such file is left. What stays counts once a day.
    """
    active = {client.id for client in load_clients().values() if client.status == "active"}
    lacking = [each for each in left_out if each.quarantined or each.unreadable]
    lacking = [each for each in lacking if each.client in active]
    for each in lacking:
        telling.failed(
            Failure(
                kind="files",
                subject=each.source,
                client=each.client,
                error="Files left out",
                said=f"{each.quarantined} quarantined, {each.unreadable} unreadable: none of their"
                " rows are in the warehouse. Have the files exported again; each load looks",
                run=f"look {now:%Y-%m-%d}",
            )
        )
    left = {(each.source, each.client) for each in lacking}
    for incident in telling.open_incidents():
        if incident.kind == "files" and (incident.subject, incident.client) not in left:
            telling.recovered("files", incident.subject, incident.client)


def _definitions() -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_on_definitions",
        minimum_interval_seconds=DEFINITIONS_SECONDS,
        default_status=initial_status.of_sensors(),
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
