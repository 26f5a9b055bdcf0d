"""What all assets have in common, and what all checks have: one factory for each.

https://docs.dagster.io/guides/build/assets/asset-factories
"""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import dagster as dg

from signalroom_dagster.config import destination_name
from signalroom_dagster.defs.resources import EventStore, Warehouse
from signalroom_dagster.platform.attempts import attempt, client_of, first_run_id
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.warehouse.finding import Finding


def spec_of(key: Sequence[str], kind: str, **more: Any) -> dg.AssetSpec:
    """An asset's spec: `kind` is what it is made with (dlt, sql, csv ...), the warehouse's engine
    is added.
    """
    return dg.AssetSpec(key=key, kinds={kind, destination_name()}, owners=["team:data"], **more)


@contextmanager
def client_step(
    context: dg.AssetExecutionContext, warehouse: Warehouse, subject: str
) -> Generator[Client]:
    """The client of the step's partition, once the warehouse answers; what the block raises becomes
    a retry or a failure that names client and subject.
    """
    client = client_of(context)
    with attempt(context, f"client {client.id}, {subject}"):
        warehouse.wait(context.log.warning)
        yield client


@dataclass(frozen=True, slots=True)
class Check:
    """What holds when a check passes, and whether a failure of it is only a warning."""

    about: str | None
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Which checks are to be made, for which client, after which run; `run_id` is that of the run
    that the load began in.
    """

    names: Sequence[str]
    client: Client
    run_id: str
    warehouse: Warehouse
    event_store: EventStore


Look: TypeAlias = Callable[[Question], Mapping[str, Finding]]


def client_checks(
    name: str,
    asset: Sequence[str],
    checks: Mapping[str, Check],
    partitions: dg.PartitionsDefinition[str],
    look: Look,
) -> dg.AssetChecksDefinition:
    """The checks of one asset for one client, in one step: `look` says what each of them finds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # partitioned checks: the lock pins them
        specs = [
            dg.AssetCheckSpec(
                each, asset=[*asset], description=_one_line(check.about), partitions_def=partitions
            )
            for each, check in checks.items()
        ]

    @dg.multi_asset_check(name=name, specs=specs, can_subset=True)
    def run_checks(
        context: dg.AssetCheckExecutionContext, warehouse: Warehouse, event_store: EventStore
    ) -> Iterator[dg.AssetCheckResult]:
        step = context.op_execution_context
        keys = {key.name: key for key in sorted(context.selected_asset_check_keys)}
        run_id = first_run_id(context.instance, step.run)
        question = Question([*keys], client_of(step), run_id, warehouse, event_store)
        for each, finding in look(question).items():
            severity = dg.AssetCheckSeverity.ERROR
            if checks[each].warns:
                severity = dg.AssetCheckSeverity.WARN
            yield dg.AssetCheckResult(
                asset_key=keys[each].asset_key,
                check_name=each,
                passed=finding.passed,
                severity=severity,
                description=finding.said,
                metadata=dict(finding.figures),
            )

    return run_checks


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
