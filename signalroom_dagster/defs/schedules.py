"""Schedules, all from configuration: when each source is read, and when each client gets its reports.

A source's times stand under `[sources.<source>.schedules]`, as cron lines in the clients' time zones; there is one
schedule for each of them and each zone, which asks for a run of every active client there. A report's time stands with
the client's subscription. Cron lines are resolved by Dagster in the zone, so that 07:15 is 07:15 on the days when the
clocks change, too. https://docs.dagster.io/guides/automate/schedules
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from signalroom_dagster.clients import Client, clients_of, load_clients
from signalroom_dagster.config import Cadence, environment, schedule_settings
from signalroom_dagster.defs.in_flight import in_flight
from signalroom_dagster.defs.jobs import DAILY_SYNC, report_job
from signalroom_dagster.loading import catalog
from signalroom_dagster.naming import snake_case
from signalroom_dagster.reports.subscriptions import Subscription, subscribers


def build_schedules() -> list[dg.ScheduleDefinition]:
    """Every schedule of every source and report; running from the start in production only."""
    return [*_of_sources(), *_of_reports()]


def _of_sources() -> Iterator[dg.ScheduleDefinition]:
    for source in catalog.source_names():
        zones = sorted({client.timezone for client in clients_of(source) if client.status == "active"})
        for name, cadence in schedule_settings(source).items():
            yield from (build_source_schedule(source, name, cadence, zone) for zone in zones)


def _of_reports() -> Iterator[dg.ScheduleDefinition]:
    clients = load_clients()
    for name, subscribed in subscribers().items():
        for client_id, item in subscribed.items():
            if item.schedule and clients[client_id].status == "active":
                yield build_report_schedule(name, clients[client_id], item)


def build_source_schedule(source: str, name: str, cadence: Cadence, zone: str) -> dg.ScheduleDefinition:
    """Loads a source of every active client in a time zone at the cadence's times, unless it is being loaded."""

    @dg.schedule(
        name=f"{source}_{name}_{snake_case(zone)}",
        job_name=source,
        cron_schedule=cadence.cron,
        execution_timezone=zone,
        default_status=_initial_status(),
        description=f"Load {source} of every active client in {zone}: {cadence.cron}"
        + (f", reading {cadence.lookback_days} days again." if cadence.lookback_days else "."),
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        asked = {"lookback_days": cadence.lookback_days} if cadence.lookback_days else {}
        config = {"ops": {f"load_{source}": {"config": asked}}} if asked else {}
        clients = [client for client in clients_of(source) if client.timezone == zone and client.status == "active"]
        yield from _requests(context, (source, DAILY_SYNC), clients, config)

    return tick


def build_report_schedule(name: str, client: Client, item: Subscription) -> dg.ScheduleDefinition:
    """Makes a client's report of the day before the tick, at the time of its subscription."""

    @dg.schedule(
        name=f"{report_job(name)}_{client.id}",
        job_name=report_job(name),
        cron_schedule=item.schedule or "",
        execution_timezone=client.timezone,
        default_status=_initial_status(),
        description=f"Make the report {name} of client {client.id} and send it: {item.schedule} in {client.timezone}.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        day = context.scheduled_execution_time.astimezone(client.zone).date() - timedelta(days=1)
        config = {"ops": {f"report_{name}": {"config": {"date": str(day)}}}}
        yield from _requests(context, (f"reports/{name}", report_job(name)), [client], config)

    return tick


def _requests(
    context: dg.ScheduleEvaluationContext, work: Sequence[str], clients: Sequence[Client], config: Mapping[str, Any]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for each client, but for those whose earlier run is not finished; `work` is what such a run is on."""
    busy, subject = in_flight(context.instance), work[0]
    waiting = [client for client in clients if not {(name, client.id) for name in work} & busy]
    moment = context.scheduled_execution_time.isoformat()
    for client in waiting:
        yield dg.RunRequest(run_key=f"{client.id}:{moment}", partition_key=client.id, run_config=config)
    if left := ", ".join(client.id for client in clients if client not in waiting):
        context.log.info("%s is being worked on for %s: left out", subject, left)
    if not waiting:
        yield dg.SkipReason(f"{subject} is being worked on for {left}" if left else "no active client here")


def _initial_status() -> dg.DefaultScheduleStatus:
    running = environment() == "production"
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
