"""Schedules, all from configuration: when each source is read, and when each client gets its
reports.

A source's times stand under `[sources.<source>.schedules]`, as cron lines in the clients' time
zones; there is one schedule for each of them and each zone, which asks for a run of every active
client there. A report's time stands with the client's subscription. Cron lines are resolved by
Dagster in the zone, so that 07:15 is 07:15 on the days when the clocks change, too.
https://docs.dagster.io/guides/automate/schedules
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import dagster as dg

from signalroom_dagster.defs import initial_status
from signalroom_dagster.defs.due_reports import CANNOT_BE_ASKED, Due, report_schedule
from signalroom_dagster.defs.purge import build_purge_schedule
from signalroom_dagster.naming import load_step, report_job, snake_case
from signalroom_dagster.platform.in_flight import in_flight
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.cadences import Cadence, cadences
from signalroom_dagster.registry.clients import Client, clients_of, load_clients
from signalroom_dagster.reports.subscriptions import Subscription, subscribers
from signalroom_dagster.set_aside import SetAside

Attempt: TypeAlias = tuple[str, str, Callable[[], dg.ScheduleDefinition]]
"""A schedule to be made: what it is, whose (empty: no one client's), and its making."""


def build_schedules() -> list[dg.ScheduleDefinition]:
    """Every schedule of every source and report; running from the start in production only."""
    configured = [made for made in _attempts() if isinstance(made, dg.ScheduleDefinition)]
    return [*configured, build_purge_schedule()]


def refused_schedules() -> list[SetAside]:
    """What Dagster does not take for a schedule although its settings are well-formed."""
    return [made for made in _attempts() if isinstance(made, SetAside)]


def _attempts() -> Iterator[dg.ScheduleDefinition | SetAside]:
    names: set[str] = set()
    for subject, client, build in (*_of_sources(), *_of_reports()):
        try:
            schedule = build()
        except dg.DagsterInvalidDefinitionError as error:
            yield SetAside(subject, str(error), client)
            continue
        if schedule.name in names:
            yield SetAside(
                subject, f"there is another schedule {schedule.name}: give it another name", client
            )
        else:
            names.add(schedule.name)
            yield schedule


def _of_sources() -> Iterator[Attempt]:
    for source in catalog.source_names():
        zones = sorted(
            {client.timezone for client in clients_of(source) if client.status == "active"}
        )
        for name, cadence in cadences(source).items():
            for zone in zones:
                build = partial(build_source_schedule, source, name, cadence, zone)
                yield f"schedule {source} {name} {zone}", "", build


def _of_reports() -> Iterator[Attempt]:
    clients = load_clients()
    for name, subscribed in subscribers().items():
        for client_id, item in subscribed.items():
            if item.schedule and clients[client_id].status == "active":
                build = partial(build_report_schedule, name, clients[client_id], item)
                yield f"schedule of report {name}", client_id, build


def zone_name(zone: str) -> str:
    """A time zone as a part of a schedule's name: america_new_york; etc_gmt_plus_5 is not
    etc_gmt_minus_5.
    """
    return snake_case(
        re.sub(r"[+-](?=\d)", lambda sign: " plus " if sign[0] == "+" else " minus ", zone)
    )


def build_source_schedule(
    source: str, name: str, cadence: Cadence, zone: str
) -> dg.ScheduleDefinition:
    """Loads a source of every active client in a time zone at the cadence's times, unless it is
    being loaded.
    """
    known = {
        client.id for client in clients_of(source)
    }  # a client that came since has no partition before a reload

    @dg.schedule(
        name=f"{source}_{name}_{zone_name(zone)}",
        job_name=source,
        cron_schedule=cadence.cron,
        execution_timezone=zone,
        default_status=initial_status.of_schedules(),
        description=f"Load {source} of every active client in {zone}: {cadence.cron}"
        + (f", reading {cadence.lookback_days} days again." if cadence.lookback_days else "."),
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        asked = {"lookback_days": cadence.lookback_days} if cadence.lookback_days else {}
        config = {"ops": {load_step(source): {"config": asked}}} if asked else {}
        active = [
            client
            for client in clients_of(source)
            if client.status == "active" and client.id in known
        ]
        clients = [client for client in active if client.timezone == zone]
        yield from _requests(context, source, clients, config)

    return tick


def build_report_schedule(name: str, client: Client, item: Subscription) -> dg.ScheduleDefinition:
    """Makes a client's report of the day before the tick: at the time of its subscription, or once
    its inputs are whole or its wait is over, which the sensor `due_reports` notices.
    """

    @dg.schedule(
        name=report_schedule(name, client.id),
        job_name=report_job(name),
        cron_schedule=item.schedule or "",
        execution_timezone=client.timezone,
        default_status=initial_status.of_schedules(),
        description=(
            f"Make the report {name} of client {client.id} and send it: {item.schedule} in"
            f" {client.timezone}."
        ),
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        due = Due(client, name, context.scheduled_execution_time)
        try:
            why = due.not_yet(context.instance, waited=0)
        except CANNOT_BE_ASKED as error:
            why = f"the warehouse cannot be asked ({error})"
        return (
            dg.SkipReason(f"{why}: the sensor due_reports asks for it later")
            if why
            else due.request()
        )

    return tick


def _requests(
    context: dg.ScheduleEvaluationContext,
    source: str,
    clients: Sequence[Client],
    config: Mapping[str, Any],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for each client, but for those whose earlier run is not finished."""
    busy = in_flight(context.instance)
    waiting = [client for client in clients if (source, client.id) not in busy]
    moment = context.scheduled_execution_time.isoformat()
    for client in waiting:
        yield dg.RunRequest(
            run_key=f"{client.id}:{moment}", partition_key=client.id, run_config=config
        )
    if left := ", ".join(client.id for client in clients if client not in waiting):
        context.log.info("%s is being loaded for %s: left out", source, left)
    if not waiting:
        yield dg.SkipReason(
            f"{source} is being loaded for {left}" if left else "no active client here"
        )
