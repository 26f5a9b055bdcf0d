"""From Dagster's events to incidents: a hook on every asset and check, which works in a plain command-line run, too.

What is told, and how often, stands in `signalroom_dagster.alerts`. A hook that fails is noted in the run's log and
changes nothing about the run. https://docs.dagster.io/guides/build/ops/op-hooks
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import dagster as dg
from dagster._core.definitions.decorators.hook_decorator import event_list_hook
from dagster._core.definitions.events import HookExecutionResult

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure, Kind
from signalroom_dagster.defs.assets.declared import DEFINITIONS
from signalroom_dagster.defs.attempts import ATTEMPTS_MADE, ERROR, SAID
from signalroom_dagster.defs.tags import PARTITION_TAG
from signalroom_dagster.loading import catalog
from signalroom_dagster.loading.sql_models import models

REPORT_STEP = "report_"

Assets = TypeVar("Assets", bound=dg.AssetsDefinition)


def with_alerts(definitions: Iterable[Assets]) -> list[Any]:
    """The same assets or checks, each step of which tells what came of it."""
    return [definition.with_hooks({alert}) for definition in definitions]


@event_list_hook(name="alert")
def alert(context: dg.HookContext, event_list: Sequence[dg.DagsterEvent]) -> HookExecutionResult:
    """Open, count or close incidents by what happened in a step."""
    run = context.instance.get_run_by_id(context.run_id)
    client = run.tags.get(PARTITION_TAG, "") if run else ""
    look(event_list, context.run_id, client)
    return HookExecutionResult(hook_name="alert", is_skipped=False)


def look(events: Iterable[dg.DagsterEvent], run: str, client: str) -> None:
    """Tell of every failure, every recovery and every load among the events of one step."""
    rows = 0
    for event in events:
        if event.is_step_failure:
            telling.failed(failure_of(event, run, client))
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            _look_at_check(event.asset_check_evaluation_data, run, client)
        elif event.is_step_materialization:
            loaded = event.step_materialization_data.materialization.metadata.get("rows_loaded")
            rows += int(str(loaded.value)) if loaded else 0
        elif event.is_step_success:
            kind, subject = subject_of(event.step_key or "")
            telling.recovered(kind, subject, client)
            if kind == "source" and client:
                telling.loaded(subject, client, rows, run)


def failure_of(event: dg.DagsterEvent, run: str, client: str) -> Failure:
    """What a step's failure is: an attempt's own words where there are any, else the class of the error."""
    kind, subject = subject_of(event.step_key or "")
    data = event.step_failure_data
    metadata = data.user_failure_data.metadata if data.user_failure_data else {}
    told = {name: value.value for name, value in metadata.items()}
    error = data.error.cause or data.error if data.error else None
    return Failure(
        kind=kind,
        subject=subject,
        client=client,
        error=str(told.get(ERROR) or (error.cls_name if error else None) or "unknown error"),
        run=run,
        said=str(told.get(SAID) or ""),
        attempts=int(str(told.get(ATTEMPTS_MADE) or 0)),
    )


def subject_of(step: str) -> tuple[Kind, str]:
    """What a step works on, by its name: a source, a table that a model makes, a report, or just the step."""
    sources = {f"load_{name}": name for name in catalog.source_names()}
    if step in sources:
        return "source", sources[step]
    made = {f"model_{'_'.join(name)}": "/".join(name) for name in models()}
    if step in made:
        return "table", made[step]
    return ("report", step.removeprefix(REPORT_STEP)) if step.startswith(REPORT_STEP) else ("step", step)


def _look_at_check(check: Any, run: str, client: str) -> None:
    if check.asset_key == DEFINITIONS:
        return  # what it finds has incidents of its own
    subject = f"{check.asset_key.to_user_string()}: {check.check_name}"
    if check.passed:
        telling.recovered("check", subject, client)
    elif check.severity == dg.AssetCheckSeverity.ERROR:
        telling.failed(
            Failure(kind="check", subject=subject, client=client, error="The data are not as they must be", run=run)
        )
