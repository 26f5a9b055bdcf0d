"""A sensor for lost runs that Dagster has marked to be started again, and then overlooked.

Dagster writes a run's failure first and its status and tags after it. When the daemon looks between
the two, it takes the run for one that is not to be retried and never looks at it again, while
everybody else believes the tag. Reported once more, the failure is seen with status and tags in
place.

https://docs.dagster.io/deployment/execution/run-retries
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from signalroom_dagster.defs import initial_status
from signalroom_dagster.platform.tags import REPORTED_AGAIN_TAG, RETRIED_BY_TAG, WILL_RETRY_TAG

TICK_SECONDS = 30
OVERLOOKED_AFTER = timedelta(minutes=1)
NOT_AFTER = timedelta(days=1)


def build_lost_runs_sensor() -> dg.SensorDefinition:
    """Reports each overlooked run once more; running from the start in production only."""

    @dg.sensor(
        name="retry_overlooked_runs",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=initial_status.of_sensors(),
        description=(
            "Have lost runs started again that Dagster was to start again and has overlooked."
        ),
    )
    def retry_overlooked_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        found = list(_overlooked(context.instance, datetime.now(UTC)))
        for run in found:
            context.instance.add_run_tags(run.run_id, {REPORTED_AGAIN_TAG: run.run_id})
            context.instance.report_run_failed(
                run, "Reported once more: it was to be started again and was not."
            )
        return dg.SkipReason(
            f"reported once more: {', '.join(run.run_id for run in found) or 'nothing'}"
        )

    return retry_overlooked_runs


def _overlooked(instance: dg.DagsterInstance, now: datetime) -> Iterator[dg.DagsterRun]:
    """Lost runs that should have a successor by now; tags are copied to successors, so whose they
    are is looked at.
    """
    wanted = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE],
        tags={WILL_RETRY_TAG: "true"},
        updated_after=now - NOT_AFTER,
        updated_before=now - OVERLOOKED_AFTER,
    )
    for run in instance.get_runs(wanted):
        is_retried = RETRIED_BY_TAG in run.tags or run.tags.get(REPORTED_AGAIN_TAG) == run.run_id
        if run.remote_job_origin and not is_retried:
            yield run
