"""The resident run: turns complete jobs into results within a second, for some minutes, under the
store's lease.

It has neither retries nor failure alerts: its supervisor, the sensor of `event_consumer`, starts
the next one, and tells when that does not help.

https://docs.dagster.io/guides/build/jobs/op-jobs
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from signalroom_dagster.defs import consumer_watch
from signalroom_dagster.defs.assets.analysis import materialization, tenants
from signalroom_dagster.defs.resources import EventStore
from signalroom_dagster.platform.tags import MAX_RETRIES_TAG, PRIORITY_TAG, SUPERVISED_TAG

if TYPE_CHECKING:
    from signalroom_dagster.analysis.drain import Counts

JOB = "analysis_consumer"
FIRST = "30"
TAGS = {SUPERVISED_TAG: "true", MAX_RETRIES_TAG: "0", PRIORITY_TAG: FIRST}
WAIT_SECONDS = 180.0


def build_consumer_jobs() -> list[dg.JobDefinition]:
    """`analysis_consumer`, the resident run; none where no client has a contract for events."""

    @dg.op(
        description=(
            "Analyse complete jobs as they come, and report what came of them every ten seconds."
        )
    )
    def consume_events(context: dg.OpExecutionContext, event_store: EventStore) -> None:
        from signalroom_dagster.analysis.consumer import Consumer

        def report(counts: Mapping[str, "Counts"]) -> None:
            for client, found in counts.items():
                context.log_event(materialization(client, found))

        consumer = Consumer(event_store.ready(), context.run_id, report)
        if not consumer.wait_for_lease(WAIT_SECONDS):
            context.log.info("another consumer holds the lease: nothing to do")
            return
        context.log.info("ended: %s", consumer.run(consumer_watch.RUN_SECONDS, resident=True))

    @dg.job(
        name=JOB,
        description="Turn complete jobs of events into analysis/results, for some minutes.",
        tags=TAGS,
    )
    def analysis_consumer() -> None:
        consume_events()

    return [analysis_consumer] if tenants() else []
