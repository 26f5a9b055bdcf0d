"""`daily_sync`: all sources of one client in sequence, each in a run of its own.

A job of assets cannot do it: Dagster takes only assets of the same partitions into one, and each
source is partitioned by the clients that use it. So the job is the wish, and a sensor fulfils it:
it puts one run per source into the queue, which starts a client's runs one after the other (the
limit of `signalroom/daily_sync` in dagster.yaml). A run that fails stops none of the others.

https://docs.dagster.io/guides/automate/run-status-sensors
"""

from collections.abc import Iterator

import dagster as dg

from signalroom_dagster.defs.jobs import build_source_job
from signalroom_dagster.defs.partitions import all_clients
from signalroom_dagster.platform.attempts import client_of
from signalroom_dagster.platform.in_flight import in_flight
from signalroom_dagster.platform.tags import SYNC_TAG
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import get_client

TICK_SECONDS = 10


def build_daily_sync() -> dg.JobDefinition:
    """`daily_sync`: ask for all sources of one client."""

    @dg.op(description="Look the client up. The sensor daily_sync_runs then queues its loads.")
    def ask_for_sources(context: dg.OpExecutionContext) -> None:
        client = client_of(context)
        context.log.info(
            "The sensor daily_sync_runs queues a run of each source of client %s: %s",
            client.id,
            ", ".join(client.sources),
        )

    @dg.job(
        name="daily_sync",
        partitions_def=all_clients(),
        description="Load all sources of one client, one after the other, each in its own run.",
    )
    def daily_sync() -> None:
        ask_for_sources()

    return daily_sync


def build_daily_sync_sensor(job: dg.JobDefinition) -> dg.SensorDefinition:
    """Queues the runs that a `daily_sync` asks for; always on, because a person asks."""

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="daily_sync_runs",
        monitored_jobs=[job],
        request_jobs=[build_source_job(source) for source in catalog.source_names()],
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Queue a run of each source of the client that daily_sync was started for.",
    )
    def daily_sync_runs(
        context: dg.RunStatusSensorContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        client = get_client(context.partition_key or "")
        busy = in_flight(context.instance)
        idle = [source for source in client.sources if (source, client.id) not in busy]
        for source in idle:
            yield dg.RunRequest(
                run_key=f"{context.dagster_run.run_id}:{source}",
                job_name=source,
                partition_key=client.id,
                tags={SYNC_TAG: client.id},
            )
        if not idle:
            yield dg.SkipReason(f"every source of client {client.id} is being loaded already")

    return daily_sync_runs
