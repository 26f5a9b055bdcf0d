"""From Dagster's events to incidents: a hook on every asset and check, which works in a plain
command-line run, too.

What is told, and how often, stands in `signalroom_dagster.alerts`. A hook that fails is noted in
the run's log and changes nothing about the run. https://docs.dagster.io/guides/build/ops/op-hooks
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import dagster as dg
from dagster._core.definitions.decorators.hook_decorator import event_list_hook
from dagster._core.definitions.events import HookExecutionResult

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure, Kind
from signalroom_dagster.alerts.wording import REPORT, delivery_subject, report_subject
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.defs.assets.declared import DEFINITIONS
from signalroom_dagster.defs.assets.reports import reported_day
from signalroom_dagster.modeling.sql import models
from signalroom_dagster.naming import load_step, model_step, report_step
from signalroom_dagster.platform.attempts import (
    ATTEMPTS_MADE,
    CONCERNS,
    ERROR,
    REFUSED_BY_DAGSTER,
    SAID,
)
from signalroom_dagster.platform.tags import PARTITION_TAG
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import get_client

Assets = TypeVar("Assets", bound=dg.AssetsDefinition)


def with_alerts(definitions: Iterable[Assets]) -> list[Any]:
    """The same assets or checks, each step of which tells what came of it."""
    return [definition.with_hooks({alert}) for definition in definitions]


@event_list_hook(name="alert")
def alert(context: dg.HookContext, event_list: Sequence[dg.DagsterEvent]) -> HookExecutionResult:
    """Open, count or close incidents by what happened in a step."""
    if run := context.instance.get_run_by_id(context.run_id):
        look(event_list, Subjects(context.instance, run))
    return HookExecutionResult(hook_name="alert", is_skipped=False)


@dataclass(frozen=True, slots=True)
class Subjects:
    """What the steps and checks of a run are about: its client's sources, tables, and reports of a
    day.
    """

    instance: dg.DagsterInstance
    run: dg.DagsterRun

    @property
    def client(self) -> str:
        """The client of the run, or nothing."""
        return self.run.tags.get(PARTITION_TAG, "")

    def of_step(self, step: str) -> tuple[Kind, str]:
        """What a step works on, by its name: a source, a table that a model makes, a report, or
        just the step.
        """
        sources = {load_step(name): name for name in catalog.source_names()}
        tables = {model_step(*name): "/".join(name) for name in models()}
        if step in sources:
            return "source", sources[step]
        if step in tables:
            return "table", tables[step]
        report = step.removeprefix(report_step(""))
        if report != step and (day := self._day(report)):
            return "report", report_subject(report, day)
        return "step", step

    def of_check(self, asset: dg.AssetKey, check: str) -> str:
        """What a check is about: its table, or one day's report."""
        schema, *name = asset.path
        day = self._day(name[0]) if schema == "reports" and name else None
        return delivery_subject(name[0], day) if day else f"{asset.to_user_string()}: {check}"

    def _day(self, report: str) -> date | None:
        """The day that a report is about; None when that cannot be told of a client that is no
        more.
        """
        config: Any = self.run.run_config or {}
        asked = ((config.get("ops") or {}).get(report_step(report)) or {}).get("config") or {}
        try:
            return reported_day(self.instance, self.run, get_client(self.client), asked.get("date"))
        except ConfigurationError:
            return None


def look(events: Iterable[dg.DagsterEvent], subjects: Subjects) -> None:
    """Tell of every failure, every recovery and every load among the events of one step."""
    rows, client, run = 0, subjects.client, subjects.run.run_id
    for event in events:
        if event.is_step_failure:
            if (failure := failure_of(event, subjects)).concerns != "request":
                telling.failed(failure)
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            _look_at_check(event.asset_check_evaluation_data, subjects)
        elif event.is_step_materialization:
            loaded = event.step_materialization_data.materialization.metadata.get("rows_loaded")
            rows += int(str(loaded.value)) if loaded else 0
        elif event.is_step_success:
            kind, subject = subjects.of_step(event.step_key or "")
            telling.recovered(kind, subject, client)
            if kind == "source" and client:
                telling.loaded(subject, client, rows, run)


def failure_of(event: dg.DagsterEvent, subjects: Subjects) -> Failure:
    """What a step's failure is: an attempt's own words where there are any, else the class of the
    error.
    """
    kind, subject = subjects.of_step(event.step_key or "")
    data = event.step_failure_data
    metadata = data.user_failure_data.metadata if data.user_failure_data else {}
    told = {name: value.value for name, value in metadata.items()}
    error = data.error.cause or data.error if data.error else None
    name = str(told.get(ERROR) or (error.cls_name if error else None) or "unknown error")
    refused = "request" if name in REFUSED_BY_DAGSTER else ""
    return Failure(
        kind=kind,
        subject=subject,
        client=subjects.client,
        error=name,
        concerns=str(told.get(CONCERNS) or refused),
        run=subjects.run.run_id,
        said=str(told.get(SAID) or ""),
        attempts=int(str(told.get(ATTEMPTS_MADE) or 0)),
    )


def _look_at_check(check: Any, subjects: Subjects) -> None:
    if check.asset_key == DEFINITIONS:
        return  # what it finds has incidents of its own
    subject, client = subjects.of_check(check.asset_key, check.check_name), subjects.client
    if check.passed:
        telling.recovered("check", subject, client)
    elif check.severity == dg.AssetCheckSeverity.ERROR:
        error = "The data are not as they must be"
        if subject.startswith(REPORT):
            error = "It is not known whether the report arrived"
        telling.failed(
            Failure(
                kind="check", subject=subject, client=client, error=error, run=subjects.run.run_id
            )
        )
