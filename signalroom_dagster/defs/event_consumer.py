"""The sensor that keeps one consumer of events running, and tells what is wrong with them.

Shortly before a resident run ends, its successor is started, which waits for the lease. A run whose
lease has run out is dead, whatever its status says. What decides stands in `consumer_watch`.

https://docs.dagster.io/guides/automate/sensors
"""

import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
import msgspec

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure
from signalroom_dagster.defs import initial_status
from signalroom_dagster.defs.assets.analysis import evaluation, tenants
from signalroom_dagster.defs.consumer_watch import TICK_SECONDS, ResidentRun, Step, Watch, next_step
from signalroom_dagster.defs.resident_run import JOB, TAGS
from signalroom_dagster.defs.resources import EventStore
from signalroom_dagster.platform.in_flight import UNFINISHED
from signalroom_dagster.registry.clients import load_clients

if TYPE_CHECKING:
    from signalroom_dagster.events.stores.store import Store
    from signalroom_dagster.warehouse.finding import Finding

LOOK_SECONDS = 60.0
RECORD_SECONDS = 3600.0


def pause(seconds: float) -> None:
    """Within a tick."""
    threading.Event().wait(seconds)


def build_supervisors() -> list[dg.SensorDefinition]:
    """`event_consumer`: keeps one consumer running, and tells of lag, dead letters and incomplete
    jobs.
    """

    @dg.sensor(
        name="event_consumer",
        job_name=JOB,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=initial_status.of_sensors(),
        description=(
            "Keep one consumer of events running; look at lag, dead letters and incomplete jobs."
        ),
    )
    def event_consumer(
        context: dg.SensorEvaluationContext, event_store: EventStore
    ) -> dg.SensorResult:
        from signalroom_dagster.analysis.consumer import LEASE

        watch = msgspec.json.decode(context.cursor or "{}", type=Watch)
        store, now = event_store.open(), time.time()
        step = next_step(watch, store.leased(LEASE), _unfinished(context.instance), now)
        if step.look_again:
            pause(step.look_again)
            now += step.look_again
            step = next_step(watch, store.leased(LEASE), _unfinished(context.instance), now)
        _bury(context.instance, step)
        _tell(context.instance, watch, step, now)
        _look(context.instance, store, watch, now)
        requests = [dg.RunRequest(tags=TAGS)] if step.what == "start" else []
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(step.why),
            cursor=msgspec.json.encode(asdict(watch)).decode(),
        )

    return [event_consumer] if tenants() else []


def _unfinished(instance: dg.DagsterInstance) -> list[ResidentRun]:
    records = instance.get_run_records(dg.RunsFilter(job_name=JOB, statuses=[*UNFINISHED]))
    return [ResidentRun(record.dagster_run.run_id, _began(record)) for record in records]


def _began(record: dg.RunRecord) -> float | None:
    if record.start_time is None and record.dagster_run.status == dg.DagsterRunStatus.STARTED:
        return record.create_timestamp.timestamp()
    return record.start_time


def _bury(instance: dg.DagsterInstance, step: Step) -> None:
    """Call the runs failed whose worker is gone: else they stay STARTED until run monitoring
    notices.
    """
    for run_id in step.dead:
        if run := instance.get_run_by_id(run_id):
            instance.report_run_failed(run, "its lease ran out: its worker is gone")


def _tell(instance: dg.DagsterInstance, watch: Watch, step: Step, now: float) -> None:
    """One incident while runs do not help, over as soon as one has lasted."""
    if not watch.is_lost(now):
        if step.what == "works" and not watch.started:
            telling.recovered("consumer", "event consumer", "")
        return
    run = _last_run(instance)
    said = f"complete jobs wait; {watch.started} runs were started since the last one that lasted"
    run = run or f"look {now:.0f}"
    failure = Failure(
        kind="consumer",
        subject="event consumer",
        client="",
        error="No consumer",
        run=run,
        said=said,
    )
    telling.failed(failure)


def _last_run(instance: dg.DagsterInstance) -> str | None:
    last = instance.get_runs(dg.RunsFilter(job_name=JOB), limit=1)
    return last[0].run_id if last else None


def _look(instance: dg.DagsterInstance, store: "Store", watch: Watch, now: float) -> None:
    """Tell what the checks find of active clients, once a minute; what has changed, and hourly what
    has not, is also recorded on the asset, as found by the latest run: Dagster takes one evaluation
    for each check, partition and run, also for no run.
    """
    from signalroom_dagster.analysis.health import examine

    if now - watch.looked_at < LOOK_SECONDS:
        return
    watch.looked_at = now
    run = _last_run(instance)
    active = [
        client.id
        for client in load_clients().values()
        if client.status == "active" and client.id in tenants()
    ]
    for client, findings in examine(store, active).items():
        for check, found in findings.items():
            _tell_of_check(client, check, found, now)
            passed, at = watch.recorded.get(f"{client}/{check}", (None, 0.0))
            if run and (passed != found.passed or now - at > RECORD_SECONDS):
                watch.recorded[f"{client}/{check}"] = (found.passed, now)
                _record(instance, run, evaluation(client, check, found))


def _record(instance: dg.DagsterInstance, run: str, found: dg.AssetCheckEvaluation) -> None:
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION.value
    instance.report_dagster_event(dg.DagsterEvent(kind, JOB, event_specific_data=found), run)


def _tell_of_check(client: str, check: str, found: "Finding", now: float) -> None:
    """The same incident as that of the check's own run. What stays as it is counts once an hour."""
    subject = f"analysis/results: {check}"
    if found.passed:
        telling.recovered("check", subject, client)
        return
    run = f"look {datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H}"
    failure = Failure(
        kind="check",
        subject=subject,
        client=client,
        error="The data are not as they must be",
        said=found.said,
        run=run,
    )
    telling.failed(failure)
