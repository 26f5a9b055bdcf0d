"""Reference data as assets: one per table of schema `public`, filled from CSV files, one partition
per client.

No dlt here, as its tables would stand beside the user's own; what is loaded stands in
`loading.reference`.

https://docs.dagster.io/guides/build/assets/defining-assets
"""

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from signalroom_dagster.config import destination_name
from signalroom_dagster.defs.assets.ingest import OWNER
from signalroom_dagster.defs.partitions import client_partitions
from signalroom_dagster.naming import load_step
from signalroom_dagster.platform.attempts import attempt, client_of
from signalroom_dagster.platform.tags import SOURCE_TAG
from signalroom_dagster.reference.checks import key_unique, single_values
from signalroom_dagster.reference.load import declared_tables, load_table, open_reference
from signalroom_dagster.reference.tables import SCHEMA
from signalroom_dagster.reference_data import Difference, ReferenceSchema, described
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.engine import engine

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
        pool=engine().POOL,
        op_tags={SOURCE_TAG: source},
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        client = client_of(context)
        with attempt(context, f"client {client.id}, source {source}"):
            access.wait_until_reachable(context.log.warning)
            with access.exclusive():
                for table in open_reference(source, client):
                    key = _key(table.schema.name)
                    if key in context.selected_asset_keys:
                        found = _metadata(load_table(client.id, table), table.file)
                        yield dg.MaterializeResult(asset_key=key, metadata=found)

    return load


def build_reference_checks(source: str) -> list[dg.AssetChecksDefinition]:
    """The checks of each table, one step a table."""
    return [_checks_of(source, schema) for schema in declared_tables(source).values()]


def _checks_of(source: str, schema: ReferenceSchema) -> dg.AssetChecksDefinition:
    wanted = [name for name in CHECKS if name != "single_values" or schema.single]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.PreviewWarning
        )  # partitioned checks: pinned by the lock, worth it
        specs = [
            dg.AssetCheckSpec(
                name,
                asset=_key(schema.name),
                description=CHECKS[name].__doc__,
                partitions_def=client_partitions(source),
            )
            for name in wanted
        ]

    @dg.multi_asset_check(name=f"check_{source}_{schema.name}", specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        client = client_of(context.op_execution_context).id
        with access.exclusive(), access.connected() as query:
            for key in sorted(context.selected_asset_check_keys):
                found = CHECKS[key.name](query, schema, client)
                yield dg.AssetCheckResult(
                    asset_key=key.asset_key,
                    check_name=key.name,
                    passed=found.passed,
                    severity=dg.AssetCheckSeverity.WARN
                    if key.name in WARNINGS
                    else dg.AssetCheckSeverity.ERROR,
                    description=found.said,
                    metadata=dict(found.figures),
                )

    return check


def _key(table: str) -> dg.AssetKey:
    return dg.AssetKey([SCHEMA, table])


def _spec(source: str, schema: ReferenceSchema) -> dg.AssetSpec:
    about = inspect.getdoc(catalog.source_module(source)) or ""
    columns = [dg.TableColumn(name, kind) for name, kind in schema.columns.items()]
    return dg.AssetSpec(
        key=_key(schema.name),
        group_name=source,
        kinds={"csv", destination_name()},
        owners=[OWNER],
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
