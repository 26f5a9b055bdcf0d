"""Checks that run with a load, on that run's files only: nothing lost, every row tagged, every key once.

https://docs.dagster.io/guides/test/asset-checks
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import dagster as dg

from signalroom_dagster.defs.partitions import client_partitions
from signalroom_dagster.loading import file_checks, warehouse
from signalroom_dagster.loading.catalog import file_tables
from signalroom_dagster.loading.file_checks import Finding

Look: TypeAlias = Callable[[warehouse.Query, str, str, str, str], Finding]

CHECKS: Mapping[str, Look] = {
    "row_balance": file_checks.row_balance,
    "all_rows_read": file_checks.all_rows_read,
    "client_tagged": file_checks.client_tagged,
    "key_unique": file_checks.key_unique,
}
WARNINGS = {"all_rows_read"}


def build_file_checks(source: str) -> list[dg.AssetChecksDefinition]:
    """All checks of each file table of a source, one step a table: a client without the table skips its step."""
    return [_checks_of(source, table) for table in file_tables(source)]


def _checks_of(source: str, table: str) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=f"check_{source}_{table}", specs=_specs(source, table), can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        run, client = context.op_execution_context.run_id, context.op_execution_context.partition_key
        with warehouse.exclusive(), warehouse.connected() as query:
            for key in sorted(context.selected_asset_check_keys):
                yield _result(key, CHECKS[key.name](query, source, table, client, run))

    return check


def _result(key: dg.AssetCheckKey, found: Finding) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if key.name in WARNINGS else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=found.passed,
        severity=severity,
        description=found.said,
        metadata=dict(found.figures),
    )


def _specs(source: str, table: str) -> Sequence[dg.AssetCheckSpec]:
    partitions = client_partitions(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # partitioned checks: pinned by the lock, worth it
        return [
            dg.AssetCheckSpec(name, asset=[source, table], description=look.__doc__, partitions_def=partitions)
            for name, look in CHECKS.items()
        ]
