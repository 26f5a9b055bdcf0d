"""Checks that run with a load, on that run's files or days only: nothing lost, every row tagged,
every key once; and whether the data are as new as they should be.

https://docs.dagster.io/guides/test/asset-checks
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import dagster as dg

from signalroom_dagster.defs.assets.analysis import build_analysis_checks
from signalroom_dagster.defs.assets.reference import build_reference_checks
from signalroom_dagster.defs.factories import Check, Question, client_checks
from signalroom_dagster.defs.partitions import all_clients, client_partitions
from signalroom_dagster.freshness import ages
from signalroom_dagster.loading import file_checks, native_checks, slice_checks
from signalroom_dagster.modeling.checks import checks_of, run_checks
from signalroom_dagster.modeling.sql import TableName, models
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.finding import Finding

Look: TypeAlias = Callable[[Query, str, str, str, str], Finding]

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
    loads = [build_load_checks(source) for source in catalog.dlt_sources()]
    references = [build_reference_checks(source) for source in catalog.reference_sources()]
    return [
        *(check for checks in [*loads, *references] for check in checks),
        *build_model_checks(),
        *build_analysis_checks(),
    ]


def build_load_checks(source: str) -> list[dg.AssetChecksDefinition]:
    """All checks of each loaded table of a source, one step a table: a client without the table
    skips its step.
    """
    return [
        _checks_of_table(source, table, {**looks, **CHECKS_OF_SOURCE.get(source, {})})
        for load, looks in CHECKS.items()
        for table in catalog.tables_loaded_by(source, load)
    ]


def build_model_checks() -> list[dg.AssetChecksDefinition]:
    """The checks beside the SQL models, one step a model."""
    return [_checks_of_model(name) for name in models() if checks_of(name)]


def _checks_of_table(
    source: str, table: str, looks: Mapping[str, Look]
) -> dg.AssetChecksDefinition:
    def look(asked: Question) -> Mapping[str, Finding]:
        with asked.warehouse.asked() as query:
            return {
                name: looks[name](query, source, table, asked.client.id, asked.run_id)
                for name in asked.names
            }

    checks = {name: Check(look.__doc__, name in WARNINGS) for name, look in looks.items()}
    name = f"check_{source}_{table}"
    return client_checks(name, [source, table], checks, client_partitions(source), look)


def _checks_of_model(model: TableName) -> dg.AssetChecksDefinition:
    def look(asked: Question) -> Mapping[str, Finding]:
        with asked.warehouse.exclusive():
            return run_checks(model, asked.client.id, asked.names)

    checks = {
        check.name: Check(check.holds, check.severity == "warn")
        for check in checks_of(model).values()
    }
    return client_checks(f"check_{'_'.join(model)}", model, checks, all_clients(), look)
