"""From Dagster's events to incidents: a hook on every asset and check, which works in a plain
command-line run, too.

What is told, and how often, stands in `signalroom_dagster.alerts`. A hook that fails is noted in
the run's log and changes nothing about the run. https://docs.dagster.io/guides/build/ops/op-hooks
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import dagster as dg

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure, Kind
from signalroom_dagster.alerts.wording import REPORT, delivery_subject, report_subject
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.defs.assets.declared import DEFINITIONS
from signalroom_dagster.defs.assets.reports import reported_day
from signalroom_dagster.naming import report_step
from signalroom_dagster.platform.attempts import (
    ATTEMPTS_MADE,
    CONCERNS,
    ERROR,
    REFUSED_BY_DAGSTER,
    SAID,
)
from signalroom_dagster.platform.tags import MODEL_TAG, PARTITION_TAG, REPORT_TAG, SOURCE_TAG
from signalroom_dagster.registry.clients import get_client

Assets = TypeVar("Assets", bound=dg.AssetsDefinition)

KINDS: Mapping[str, Kind] = {SOURCE_TAG: "source", MODEL_TAG: "table", REPORT_TAG: "report"}
"""The tags of an op that say what it works on."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run, with the tags of its op: what a failure or a check in it is about."""

    instance: dg.DagsterInstance
    run: dg.DagsterRun
    name: str
    tags: Mapping[str, str]

    @property
    def client(self) -> str:
        """The client of the run, or nothing."""
        return self.run.tags.get(PARTITION_TAG, "")

    @property
    def subject(self) -> tuple[Kind, str]:
        """What the step works on: a source, a model's table, one day's report, or just the step."""
        for tag, kind in KINDS.items():
            if name := self.tags.get(tag):
                day = self._day(name) if kind == "report" else None
                return kind, report_subject(name, day) if day else name
        return "step", self.name

    def of_check(self, asset: dg.AssetKey, check: str) -> str:
        """What a check in it is about: its table, or one day's report."""
        schema, *name = asset.path
        day = self._day(name[0]) if schema == "reports" and name else None
        return delivery_subject(name[0], day) if day else f"{asset.to_user_string()}: {check}"

    def _day(self, report: str) -> date | None:
        """The day that a report is about; None for a client that is no longer there."""
        config: Any = self.run.run_config or {}
        asked = ((config.get("ops") or {}).get(report_step(report)) or {}).get("config") or {}
        try:
            return reported_day(self.instance, self.run, get_client(self.client), asked.get("date"))
        except ConfigurationError:
            return None


def _look_at_step(
    context: dg.HookContext, events: Sequence[dg.DagsterEvent]
) -> dg.HookExecutionResult:
    if run := context.instance.get_run_by_id(context.run_id):
        look(events, Step(context.instance, run, context.step_key, context.op.tags))
    return dg.HookExecutionResult(ALERT.name, is_skipped=False)


ALERT = dg.HookDefinition(name="alert", hook_fn=_look_at_step)


def with_alerts(definitions: Iterable[Assets]) -> list[Any]:
    """The same assets or checks, each step of which opens, counts and closes incidents."""
    return [definition.with_hooks({ALERT}) for definition in definitions]


def look(events: Iterable[dg.DagsterEvent], step: Step) -> None:
    """Tell of every failure, every recovery and every load among the events of one step."""
    rows = 0
    for event in events:
        if event.is_step_failure:
            if (failure := failure_of(event, step)).concerns != "request":
                telling.failed(failure)
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            _look_at_check(event.asset_check_evaluation_data, step)
        elif event.is_step_materialization:
            loaded = event.step_materialization_data.materialization.metadata.get("rows_loaded")
            rows += int(str(loaded.value)) if loaded else 0
        elif event.is_step_success:
            kind, subject = step.subject
            telling.recovered(kind, subject, step.client)
            if kind == "source" and step.client:
                telling.loaded(subject, step.client, rows, step.run.run_id)


def failure_of(event: dg.DagsterEvent, step: Step) -> Failure:
    """What a step's failure is: an attempt's own words where there are any, else the class of the
    error.
    """
    kind, subject = step.subject
    data = event.step_failure_data
    metadata = data.user_failure_data.metadata if data.user_failure_data else {}
    told = {name: value.value for name, value in metadata.items()}
    error = data.error.cause or data.error if data.error else None
    name = str(told.get(ERROR) or (error.cls_name if error else None) or "unknown error")
    refused = "request" if name in REFUSED_BY_DAGSTER else ""
    return Failure(
        kind=kind,
        subject=subject,
        client=step.client,
        error=name,
        concerns=str(told.get(CONCERNS) or refused),
        run=step.run.run_id,
        said=str(told.get(SAID) or ""),
        attempts=int(str(told.get(ATTEMPTS_MADE) or 0)),
    )


def _look_at_check(check: Any, step: Step) -> None:
    if check.asset_key == DEFINITIONS:
        return  # what it finds has incidents of its own
    subject = step.of_check(check.asset_key, check.check_name)
    if check.passed:
        telling.recovered("check", subject, step.client)
    elif check.severity == dg.AssetCheckSeverity.ERROR:
        error = "The data are not as they must be"
        if subject.startswith(REPORT):
            error = "It is not known whether the report arrived"
        telling.failed(
            Failure(
                kind="check", subject=subject, client=step.client, error=error, run=step.run.run_id
            )
        )
