"""The run queue: Dagster's own, which also says of each run what `dagster.yaml` limits and orders runs by.

Runs come from schedules, sensors, backfills, the UI and GraphQL; here all of them pass, so a limit holds for all. Named
in `dagster.yaml` as the run coordinator.

https://docs.dagster.io/deployment/execution/customizing-run-queue-priority
"""

import functools
from collections.abc import Mapping, Set
from datetime import date
from typing import Any

import dagster as dg
from typing_extensions import override

from signalroom_dagster.clients import load_clients
from signalroom_dagster.config import ConfigurationError, ingest_settings
from signalroom_dagster.defs.jobs import DAILY_SYNC
from signalroom_dagster.defs.tags import (
    ACCOUNT_TAG,
    BACKFILL_TAG,
    MAX_RUNTIME_TAG,
    PARTITION_TAG,
    PRIORITY_TAG,
    QUEUE_TAG,
)
from signalroom_dagster.loading import catalog
from signalroom_dagster.reports.subscriptions import reports_reading

REPORTS, FOR_REPORTS, BACKFILLS = "20", "10", "-10"
"""Priorities; what has none counts as 0."""


class SignalRoomRunCoordinator(dg.QueuedRunCoordinator):
    """Queues runs; tells each one's vendor account, queue, priority and longest time by its tags."""

    @override
    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Add the tags that nobody has set, then queue the run."""
        run = context.dagster_run
        missing = {name: value for name, value in tags_of(run).items() if name not in run.tags}
        if missing:
            self._instance.add_run_tags(run.run_id, missing)
        return super().submit_run(context)


def tags_of(run: dg.DagsterRun) -> Mapping[str, str]:
    """What a run is, for the limits: `api` and `files` load one source each; reports wait, so they wait by themselves.

    A load may take `ingest.max_minutes`, one of many days that long for every week of them: what is ended then goes on
    where it stopped. Runs of several sources belong to no account; the limiter in `limits` still keeps their pace.
    """
    groups = {key.path[0] for key in run.asset_selection or ()} or {run.job_name}
    backfill = {PRIORITY_TAG: BACKFILLS} if BACKFILL_TAG in run.tags else {}
    if groups == {"reports"} or run.job_name.endswith("_report"):
        return {QUEUE_TAG: "reports", PRIORITY_TAG: REPORTS, **backfill}
    sources = groups & {*catalog.source_names(), DAILY_SYNC}
    if not sources:
        return backfill
    tags = {
        QUEUE_TAG: "files" if sources <= {*catalog.file_sources()} else "api",
        MAX_RUNTIME_TAG: _longest(run, sources),
    }
    if len(sources) == 1 and (client := run.tags.get(PARTITION_TAG)):
        tags[ACCOUNT_TAG] = f"{min(sources)}:{client}"
    return {**tags, **({PRIORITY_TAG: FOR_REPORTS} if sources & _feeding_reports() else {}), **backfill}


def _longest(run: dg.DagsterRun, sources: Set[str]) -> str:
    """Seconds; for every source of the run, and every week that was asked for, as long as one load may take."""
    weeks = 1
    config: Any = run.run_config or {}
    for step in config.get("ops", {}).values():
        asked = step.get("config", {})
        days = asked.get("lookback_days") or _days(asked.get("since"), asked.get("until"))
        weeks = max(weeks, -(-days // 7))
    count = len(catalog.source_names()) if DAILY_SYNC in sources else len(sources)
    return str(round(ingest_settings().max_minutes * 60) * weeks * count)


def _days(since: str | None, until: str | None) -> int:
    """How many days a run was asked for, roughly: zones do not matter here."""
    try:
        return ((date.fromisoformat(until) if until else date.today()) - date.fromisoformat(since or "")).days + 1
    except ValueError:
        return 1  # the load says what is wrong with it, if anything


@functools.cache
def _feeding_reports() -> Set[str]:
    """The sources that the clients' reports read, through models or directly."""
    try:
        return frozenset(
            source for client in load_clients().values() for source in client.sources if reports_reading(client, source)
        )
    except ConfigurationError:
        return frozenset()  # the definitions say what is wrong with it
