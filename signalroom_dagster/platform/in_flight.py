"""Which loads and reports are queued or going on, so that nobody asks for the same twice."""

from collections.abc import Iterator, Set

import dagster as dg

from signalroom_dagster.platform.tags import PARTITION_TAG

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def in_flight(instance: dg.DagsterInstance) -> Set[tuple[str, str]]:
    """What unfinished runs work on: each job by its name and client, each asset group and asset by
    its key's parts.

    A run of the job `everflow` gives ("everflow", "713"); one that was started from assets the
    schema of each asset, and of a report its asset, as `reports/<name>`.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=[*UNFINISHED]))
    return {
        (subject, run.tags.get(PARTITION_TAG, "")) for run in runs for subject in _subjects(run)
    }


def _subjects(run: dg.DagsterRun) -> Iterator[str]:
    yield run.job_name
    for key in run.asset_selection or ():
        yield "/".join(key.path) if key.path[0] == "reports" else key.path[0]
