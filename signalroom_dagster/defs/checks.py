"""Checks that run with a load, on that run's files or days only: nothing lost, every row tagged,
every key once; and whether the data are as new as they should be.

https://docs.dagster.io/guides/test/asset-checks
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import dagster as dg

from signalroom_dagster.defs.assets.analysis import build_analysis_checks
from signalroom_dagster.defs.assets.reference import build_reference_checks
from signalroom_dagster.defs.partitions import all_clients, client_partitions
from signalroom_dagster.freshness import ages
from signalroom_dagster.loading import file_checks, native_checks, slice_checks
from signalroom_dagster.modeling.checks import checks_of, run_checks
from signalroom_dagster.modeling.sql import TableName, models
from signalroom_dagster.platform.attempts import client_of, first_run_id
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.finding import Finding

Look: TypeAlias = Callable[[access.Query, str, str, str, str], Finding]

CHECKS: Mapping[str, Mapping[str, Look]] = {
    "files": {
        "row_balance": file_checks.row_balance,
        "all_rows_read": file_checks.all_rows_read,
        "client_tagged": file_checks.client_tagged,
        "key_unique": file_checks.key_unique,
        "fresh": ages.fresh,
    },
    "native": {
        "key_unique": native_checks.key_unique,
        "types_agree": native_checks.types_agree,
        "fresh": ages.fresh,
    },
    "slices": {
        "reconciled": slice_checks.reconciled,
        "all_cells_read": slice_checks.all_cells_read,
        "key_unique": slice_checks.key_unique,
        "not_capped": slice_checks.not_capped,
        "fresh": ages.fresh,
    },
}
"""By the kind of load; the description of a check is its function's docstring."""
CHECKS_OF_SOURCE: Mapping[str, Mapping[str, Look]] = {
    "google_sheets": {"no_totals": slice_checks.no_totals}
}
"""Beside those of the load: what only tables can have that people keep by hand."""
WARNINGS = {"all_rows_read", "all_cells_read", "not_capped", "fresh", "no_totals", "types_agree"}


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Every check of every source and model, and of the results of events."""
    return [
        *(check for source in catalog.dlt_sources() for check in build_load_checks(source)),
        *(
            check
            for source in catalog.reference_sources()
            for check in build_reference_checks(source)
        ),
        *build_model_checks(),
        *build_analysis_checks(),
    ]


def build_load_checks(source: str) -> list[dg.AssetChecksDefinition]:
    """All checks of each loaded table of a source, one step a table: a client without the table
    skips its step.
    """
    return [
        _checks_of(source, table, {**looks, **CHECKS_OF_SOURCE.get(source, {})})
        for load, looks in CHECKS.items()
        for table in catalog.tables_loaded_by(source, load)
    ]


def build_model_checks() -> list[dg.AssetChecksDefinition]:
    """The checks beside the SQL models, one step a model."""
    return [_checks_of_model(name) for name in models() if checks_of(name)]


def _checks_of_model(model: TableName) -> dg.AssetChecksDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.PreviewWarning
        )  # partitioned checks: pinned by the lock, worth it
        specs = [
            dg.AssetCheckSpec(
                check.name, asset=[*model], description=check.holds, partitions_def=all_clients()
            )
            for check in checks_of(model).values()
        ]

    @dg.multi_asset_check(name=f"check_{'_'.join(model)}", specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        keys = {key.name: key for key in context.selected_asset_check_keys}
        with access.exclusive():
            found = run_checks(model, client_of(context.op_execution_context).id, sorted(keys))
        for name, finding in found.items():
            yield _result(keys[name], finding, warns=checks_of(model)[name].severity == "warn")

    return check


def _checks_of(source: str, table: str, looks: Mapping[str, Look]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"check_{source}_{table}", specs=_specs(source, table, looks), can_subset=True
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        step = context.op_execution_context
        run, client = first_run_id(context.instance, step.run), client_of(step).id
        with access.exclusive(), access.connected() as query:
            for key in sorted(context.selected_asset_check_keys):
                found = looks[key.name](query, source, table, client, run)
                yield _result(key, found, warns=key.name in WARNINGS)

    return check


def _result(key: dg.AssetCheckKey, found: Finding, *, warns: bool) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=found.passed,
        severity=severity,
        description=found.said,
        metadata=dict(found.figures),
    )


def _specs(source: str, table: str, looks: Mapping[str, Look]) -> Sequence[dg.AssetCheckSpec]:
    partitions = client_partitions(source)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.PreviewWarning
        )  # partitioned checks: pinned by the lock, worth it
        return [
            dg.AssetCheckSpec(
                name, asset=[source, table], description=look.__doc__, partitions_def=partitions
            )
            for name, look in looks.items()
        ]
