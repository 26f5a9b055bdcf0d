"""Reports that are due: each is asked for once its inputs cover its day, or its wait is over.
Waiting takes no run.

A report is due from its schedule's tick on until its client's day ends. The tick asks for it at
once where it can; else a sensor looks every minute. A warehouse that does not answer is `not yet`:
the time that it is away is no part of the wait, and a run that was lost to it is asked for again.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.defs import initial_status
from signalroom_dagster.defs.jobs import build_report_job
from signalroom_dagster.defs.resources import Warehouse
from signalroom_dagster.naming import report_job, report_step
from signalroom_dagster.platform.attempts import CONCERNS
from signalroom_dagster.platform.in_flight import UNFINISHED, in_flight
from signalroom_dagster.platform.tags import DUE_TAG, WILL_RETRY_TAG
from signalroom_dagster.platform.ticks import last_ticks
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.reports.inputs import stale_sources
from signalroom_dagster.reports.settings import report_settings
from signalroom_dagster.reports.subscriptions import report_day, subscribers
from signalroom_dagster.warehouse.errors import DestinationUnreachableError, WarehouseBusyError

TICK_SECONDS = 60
LOCK_SECONDS = 5.0
LATE = timedelta(hours=1)
"""How long after its wait a report of the late evening is still asked for."""
CANNOT_BE_ASKED = (DestinationUnreachableError, WarehouseBusyError)


@dataclass(frozen=True, slots=True)
class Due:
    """One client's report, from a tick of its schedule on."""

    client: Client
    name: str
    moment: datetime

    @property
    def day(self) -> date:
        """The reported day: the one before the tick, where the client is."""
        return self.moment.astimezone(self.client.zone).date() - timedelta(days=1)

    @property
    def key(self) -> str:
        """Which tick's report it is; its runs carry it as a tag."""
        return f"{self.client.id}:{self.name}:{self.moment.astimezone(UTC).isoformat()}"

    def is_over(self, now: datetime) -> bool:
        """Whether the client's day has ended meanwhile, and the wait with it."""
        ends = self.moment + timedelta(minutes=report_settings().wait_minutes) + LATE
        return (
            now >= ends and now.astimezone(self.client.zone).date() - timedelta(days=1) > self.day
        )

    def not_yet(self, instance: dg.DagsterInstance, waited: float) -> str:
        """Why it is not asked for after so many seconds; nothing when it is.

        Raises DestinationUnreachableError and WarehouseBusyError when the warehouse cannot be
        asked.
        """
        work = {(f"reports/{self.name}", self.client.id), (report_job(self.name), self.client.id)}
        if work & in_flight(instance):
            return f"reports/{self.name} is being worked on for {self.client.id}"
        stale = stale_sources(report_day(self.client, self.name, self.day), LOCK_SECONDS)
        if not stale or waited >= report_settings().wait_minutes * 60:
            return ""
        waits_for = ", ".join(item.title for item in stale)
        return f"{self.name} of {self.client.id} waits for {waits_for} to cover {self.day}"

    def request(self, number: int = 1) -> dg.RunRequest:
        """The run that makes it; what it waited for is done with."""
        config = {"date": str(self.day), "wait_minutes": 0}
        return dg.RunRequest(
            run_key=f"{self.key}:{number}",
            job_name=report_job(self.name),
            partition_key=self.client.id,
            run_config={"ops": {report_step(self.name): {"config": config}}},
            tags={DUE_TAG: self.key},
        )


@dataclass(slots=True)
class Watch:
    """What the sensor keeps from tick to tick: when it last could look, the seconds of each wait in
    which it could not, and what is asked for and done.
    """

    looked_at: float = 0.0
    lost: dict[str, float] = field(default_factory=dict[str, float])
    done: list[str] = field(default_factory=list[str])

    def keep(self, due: Sequence[Due]) -> None:
        """Forget what is no longer due."""
        keys = {item.key for item in due}
        self.lost = {key: seconds for key, seconds in self.lost.items() if key in keys}
        self.done = [key for key in self.done if key in keys]

    def looked(self, due: Sequence[Due], now: float) -> None:
        """The warehouse answers: what passed since it last did was no waiting, but for the usual
        pause.
        """
        if self.looked_at and now - self.looked_at > 2 * TICK_SECONDS:
            for item in due:
                away = now - max(self.looked_at + TICK_SECONDS, item.moment.timestamp())
                self.lost[item.key] = self.lost.get(item.key, 0.0) + max(0.0, away)
        self.looked_at = now


def report_schedule(name: str, client_id: str) -> str:
    """The name of the schedule of a client's report."""
    return f"{report_job(name)}_{client_id}"


def build_due_reports_sensor() -> Sequence[dg.SensorDefinition]:
    """The sensor that asks for reports which had to wait; none where no client has a report."""
    jobs = [build_report_job(name) for name in subscribers()]
    if not jobs:
        return []

    @dg.sensor(
        name="due_reports",
        jobs=jobs,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=initial_status.of_sensors(),
        description=(
            "Ask for each report that is due as soon as its inputs are whole, or its wait is over."
        ),
    )
    def due_reports(
        context: dg.SensorEvaluationContext, warehouse: Warehouse
    ) -> dg.SensorResult | dg.SkipReason:
        watch, now = Watch(**json.loads(context.cursor or "{}")), time.time()
        due = list(_due(context.instance, datetime.fromtimestamp(now, UTC)))
        watch.keep(due)
        pending = list(_pending(context.instance, due, watch))
        try:
            if pending:
                with warehouse.asked(LOCK_SECONDS):
                    pass
            watch.looked(due, now)
            asked = [
                (item, number, _why_not(context, item, watch, now)) for item, number in pending
            ]
        except CANNOT_BE_ASKED as error:
            return dg.SkipReason(f"not yet: the warehouse cannot be asked ({error})")
        waiting = "; ".join(why for _, _, why in asked if why)
        requests = [item.request(number) for item, number, why in asked if not why]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else waiting or "no report is due",
            cursor=json.dumps(asdict(watch)),
        )

    return [due_reports]


def _why_not(context: dg.SensorEvaluationContext, item: Due, watch: Watch, now: float) -> str:
    """Why a report is not asked for; one whose settings are wrong keeps no other from it."""
    try:
        return item.not_yet(
            context.instance, now - item.moment.timestamp() - watch.lost.get(item.key, 0.0)
        )
    except ConfigurationError as error:
        context.log.error("report %s of client %s: %s", item.name, item.client.id, error)
        return f"{item.name} of {item.client.id} cannot be made"


def _due(instance: dg.DagsterInstance, now: datetime) -> Iterator[Due]:
    """The reports whose schedule is on and has ticked, and whose client's day is not over."""
    clients = load_clients()
    subscribed = {
        report_schedule(name, client): (clients[client], name)
        for name, by_client in subscribers().items()
        for client in by_client
    }
    for tick in last_ticks(instance, subscribed):
        client, name = subscribed[tick.name]
        if client.status != "active" or tick.is_off or tick.moment is None:
            continue
        item = Due(client, name, datetime.fromtimestamp(tick.moment, UTC))
        if not item.is_over(now):
            yield item


def _pending(
    instance: dg.DagsterInstance, due: Sequence[Due], watch: Watch
) -> Iterator[tuple[Due, int]]:
    """What is to be asked for, and for the how manieth time: nothing yet, or lost to a warehouse
    that was away.
    """
    open_items = [item for item in due if item.key not in watch.done]
    if not open_items:
        return
    runs: dict[str, list[dg.DagsterRun]] = {}
    for run in instance.get_runs(
        dg.RunsFilter(tags={DUE_TAG: [item.key for item in open_items]})
    ):  # newest first
        runs.setdefault(run.tags[DUE_TAG], []).append(run)
    for item in open_items:
        asked = runs.get(item.key, [])
        if not asked or _is_lost_to_an_outage(instance, asked[0]):
            yield item, len(asked) + 1
        elif asked[0].status not in UNFINISHED and asked[0].tags.get(WILL_RETRY_TAG) != "true":
            watch.done.append(item.key)


def _is_lost_to_an_outage(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if run.status != dg.DagsterRunStatus.FAILURE:
        return False
    failures = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    ).records
    data = [
        record.event_log_entry.dagster_event.step_failure_data.user_failure_data
        for record in failures
        if record.event_log_entry.dagster_event
    ]
    concerns = [each.metadata.get(CONCERNS) for each in data if each]
    return any(concern and concern.value == "warehouse" for concern in concerns)
