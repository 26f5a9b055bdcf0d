"""Removing what is older than it is kept, every night: rows of the warehouse, and Dagster's own
runs and events.

Dagster keeps runs and their events for ever. A run that made the newest of an asset's partition
stays, however old it is: what is missing, and what is up to date, is read from its events.
"""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import dagster as dg

from signalroom_dagster.defs import initial_status
from signalroom_dagster.loading.retention import purge_warehouse, retention_settings

CRON = "40 3 * * *"
AT_ONCE = 200
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION

Newest: TypeAlias = dict[tuple[dg.AssetKey, str | None], str]
"""The run that made an asset's partition last."""


@dg.op(
    description=(
        "Remove rows of the warehouse, and runs with their events, that are older than they are"
        " kept."
    )
)
def remove_what_is_old(context: dg.OpExecutionContext) -> None:
    """Rows of the warehouse, then runs: nothing that is still the newest of its kind."""
    context.log.info("%d rows of the warehouse removed", purge_warehouse())
    if days := retention_settings().runs_days:
        context.log.info(
            "%d runs removed",
            purge_runs(context.instance, datetime.now(UTC) - timedelta(days=days)),
        )


@dg.job(name="purge", description="Remove what is older than `[retention]` keeps it.")
def purge() -> None:
    """The one op above."""
    remove_what_is_old()


def build_purge_schedule() -> dg.ScheduleDefinition:
    """The job once a night; running from the start in production only."""
    return dg.ScheduleDefinition(
        name="purge_nightly",
        job=purge,
        cron_schedule=CRON,
        execution_timezone="UTC",
        default_status=initial_status.of_schedules(),
    )


def purge_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Remove runs that ended before a moment, with their events and logs, but for those that are
    still the newest of something; how many.
    """
    old: list[str] = []
    while page := instance.get_run_ids(_ended(before), old[-1] if old else None, AT_ONCE):
        old += page
    newest: Newest = {}
    gone = [run_id for run_id in old if not _is_newest(instance, run_id, newest)]
    for run_id in gone:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    return len(gone)


def _ended(before: datetime) -> dg.RunsFilter:
    return dg.RunsFilter(statuses=ENDED, updated_before=before)


def _is_newest(instance: dg.DagsterInstance, run_id: str, newest: Newest) -> bool:
    """Whether some asset's partition was made by this run and by no later one."""
    for entry in instance.all_logs(run_id, of_type=MATERIALIZED):
        event = entry.dagster_event
        key = event.asset_key if event else None
        if event is None or key is None:
            continue
        made = (key, event.partition)
        if made not in newest:
            which = dg.AssetRecordsFilter(key, asset_partitions=[made[1]] if made[1] else None)
            newest[made] = instance.fetch_materializations(which, limit=1).records[0].run_id
        if newest[made] == run_id:
            return True
    return False
