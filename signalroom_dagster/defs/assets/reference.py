"""Reference data as assets: one per table of schema `public`, filled from CSV files, one partition
per client.

No dlt here, as its tables would stand beside the user's own; what is loaded stands in
`loading.reference`.

https://docs.dagster.io/guides/build/assets/defining-assets
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from signalroom_dagster.defs.factories import Check, Question, client_checks, client_step, spec_of
from signalroom_dagster.defs.partitions import client_partitions
from signalroom_dagster.defs.resources import Warehouse
from signalroom_dagster.naming import load_step
from signalroom_dagster.platform.tags import SOURCE_TAG
from signalroom_dagster.reference.checks import key_unique, single_values
from signalroom_dagster.reference.load import declared_tables, load_table, open_reference
from signalroom_dagster.reference.tables import SCHEMA
from signalroom_dagster.reference_data import Difference, ReferenceSchema, described
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse.engine import writers_pool
from signalroom_dagster.warehouse.finding import Finding

SHOWN_ROWS = 100
CHECKS = {"key_unique": key_unique, "single_values": single_values}
WARNINGS = {"single_values"}


def build_reference_assets(source: str) -> dg.AssetsDefinition:
    """Every table of a source of reference data, partitioned by the clients that use it."""

    @dg.multi_asset(
        name=load_step(source),
        specs=[_spec(source, schema) for schema in declared_tables(source).values()],
        partitions_def=client_partitions(source),
        can_subset=True,
        pool=writers_pool(),
        op_tags={SOURCE_TAG: source},
    )
    def load(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with client_step(context, warehouse, f"source {source}") as client, warehouse.exclusive():
            for table in open_reference(source, client):
                key = _key(table.schema.name)
                if key in context.selected_asset_keys:
                    metadata = _metadata(load_table(client.id, table), table.file)
                    yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return load


def build_reference_checks(source: str) -> list[dg.AssetChecksDefinition]:
    """The checks of each table, one step a table."""
    return [_checks_of(source, schema) for schema in declared_tables(source).values()]


def _checks_of(source: str, schema: ReferenceSchema) -> dg.AssetChecksDefinition:
    def look(asked: Question) -> Mapping[str, Finding]:
        with asked.warehouse.asked() as query:
            return {name: CHECKS[name](query, schema, asked.client.id) for name in asked.names}

    checks = {
        name: Check(look.__doc__, name in WARNINGS)
        for name, look in CHECKS.items()
        if name != "single_values" or schema.single
    }
    name, key = f"check_{source}_{schema.name}", [SCHEMA, schema.name]
    return client_checks(name, key, checks, client_partitions(source), look)


def _key(table: str) -> dg.AssetKey:
    return dg.AssetKey([SCHEMA, table])


def _spec(source: str, schema: ReferenceSchema) -> dg.AssetSpec:
    about = inspect.getdoc(catalog.source_module(source)) or ""
    columns = [dg.TableColumn(name, kind) for name, kind in schema.columns.items()]
    return spec_of(
        [SCHEMA, schema.name],
        "csv",
        group_name=source,
        description=f"{schema.about}\n\n{about}".strip(),
        metadata={
            "dagster/table_name": f"{SCHEMA}.{schema.name}",
            "dagster/column_schema": dg.TableSchema(columns),
        },
    )


def _metadata(difference: Difference, file: str | None) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {
        "file": file or "none",
        "rows_added": len(difference.added),
        "rows_changed": len(difference.changed),
        "rows_removed": len(difference.removed),
        "dagster/partition_row_count": difference.rows,
    }
    if lines := list(described(difference)):
        metadata["difference"] = dg.MetadataValue.md(_markdown(lines))
    return metadata


def _markdown(lines: Sequence[tuple[str, str, str]]) -> str:
    """A list, because the UI does not wrap a table's cells, and a row has many columns."""
    rows = [f"- `{sign} {key}` {' '.join(told.split())}" for sign, key, told in lines[:SHOWN_ROWS]]
    more = [f"- and {len(lines) - SHOWN_ROWS} more"] if len(lines) > SHOWN_ROWS else []
    return "\n".join([*rows, *more])
