"""The run queue: Dagster's own, which also says of each run what `dagster.yaml` limits and orders
runs by.

Runs come from schedules, sensors, backfills, the UI and GraphQL; here all of them pass, so a limit
holds for all. Named in `dagster.yaml` as the run coordinator.

https://docs.dagster.io/deployment/execution/customizing-run-queue-priority
"""

import functools
from collections.abc import Mapping, Sequence, Set
from datetime import date
from typing import Any

import dagster as dg
from typing_extensions import override

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.modeling.sql import models
from signalroom_dagster.naming import report_job
from signalroom_dagster.platform.tags import (
    ACCOUNT_TAG,
    BACKFILL_TAG,
    MAX_RUNTIME_TAG,
    PARTITION_TAG,
    PRIORITY_TAG,
    QUEUE_TAG,
    REPORT_TAG,
    SOURCE_TAG,
    account,
)
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import load_clients, registry_state
from signalroom_dagster.reports.settings import report_settings
from signalroom_dagster.reports.subscriptions import reports_reading
from signalroom_dagster.sections import ingest_settings

REPORTS, MODELS, FOR_REPORTS, BACKFILLS = "20", "15", "10", "-10"
"""Priorities; what has none counts as 0. Models are short, and what was loaded is seen by nobody
without them.
"""
SENDING_MINUTES = 60
"""How long a report may take beside waiting for its inputs: the warehouse and the channels may be
away for a while.
"""


class SignalRoomRunCoordinator(dg.QueuedRunCoordinator):
    """Queues runs; tells each one's vendor account, queue, priority and longest time by its
    tags.
    """

    @override
    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Add the tags that nobody has set, then queue the run."""
        run = context.dagster_run
        missing = {name: value for name, value in tags_of(run).items() if name not in run.tags}
        if missing:
            self._instance.add_run_tags(run.run_id, missing)
        return super().submit_run(context)


def tags_of(run: dg.DagsterRun) -> Mapping[str, str]:
    """The tags of a run, by what it works on; a backfill's runs come last."""
    keys = run.asset_selection or ()
    groups = {key.path[0] for key in keys} or {run.job_name}
    reports = sorted(key.path[-1] for key in keys if key.path[0] == "reports")
    is_reporting = bool(reports) or run.job_name.endswith(report_job(""))
    sources = groups & {*catalog.source_names()}
    minutes = _minutes_of_a_report(run) if is_reporting else 0.0
    if sources:
        tags = _tags_of_loads(run, sources, minutes)
    elif is_reporting:
        tags = {QUEUE_TAG: "reports", MAX_RUNTIME_TAG: _seconds(minutes), PRIORITY_TAG: REPORTS}
    else:
        is_of_models = groups <= {schema for schema, _ in models()}
        tags = {PRIORITY_TAG: MODELS} if is_of_models else {}
    if reports:
        tags[REPORT_TAG] = reports[0]
    if BACKFILL_TAG in run.tags:
        tags[PRIORITY_TAG] = BACKFILLS
    return tags


def _tags_of_loads(run: dg.DagsterRun, sources: Set[str], more_minutes: float) -> dict[str, str]:
    """`api` and `files` load one source each, a run of several belongs to no account: the limiter
    in `limits` still keeps their pace.

    A load may take `ingest.max_minutes`, one of many days that long for every week of them: what is
    ended then goes on where it stopped.
    """
    tags = {
        SOURCE_TAG: min(sources),
        QUEUE_TAG: "files" if sources <= {*catalog.file_sources()} else "api",
        MAX_RUNTIME_TAG: _seconds(_minutes_of_loads(run, sources) + more_minutes),
    }
    if len(sources) == 1 and (client := run.tags.get(PARTITION_TAG)):
        tags[ACCOUNT_TAG] = account(min(sources), client)
    if sources & _feeding_reports(registry_state()):
        tags[PRIORITY_TAG] = FOR_REPORTS
    return tags


def _step_configs(run: dg.DagsterRun) -> Sequence[Mapping[str, Any]]:
    """The configuration of each of the run's steps."""
    config: Any = run.run_config or {}
    return [step.get("config", {}) for step in config.get("ops", {}).values()]


def _seconds(minutes: float) -> str:
    return str(round(minutes * 60))


def _minutes_of_loads(run: dg.DagsterRun, sources: Set[str]) -> float:
    """For every source of the run, and every week that was asked for, as long as one load may
    take.
    """
    days = [
        step.get("lookback_days") or _days(step.get("since"), step.get("until"))
        for step in _step_configs(run)
    ]
    weeks = -(-max([1, *days]) // 7)
    return ingest_settings().max_minutes * weeks * len(sources)


def _minutes_of_a_report(run: dg.DagsterRun) -> float:
    waits = [step.get("wait_minutes") for step in _step_configs(run)]
    minutes = [wait for wait in waits if wait is not None]
    return max(minutes, default=report_settings().wait_minutes) + SENDING_MINUTES


def _days(since: str | None, until: str | None) -> int:
    """How many days a run was asked for, roughly: zones do not matter here."""
    try:
        return (
            (date.fromisoformat(until) if until else date.today()) - date.fromisoformat(since or "")
        ).days + 1
    except ValueError:
        return 1  # the load says what is wrong with it, if anything


@functools.lru_cache(maxsize=1)
def _feeding_reports(state: int) -> Set[str]:
    """The sources that the clients' reports read, through models or directly; found out once as
    long as no client's file changes.
    """
    try:
        return frozenset(
            source
            for client in load_clients().values()
            for source in client.sources
            if reports_reading(client, source)
        )
    except ConfigurationError:
        return frozenset()  # the definitions say what is wrong with it
