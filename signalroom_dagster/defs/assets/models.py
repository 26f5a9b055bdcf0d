"""The SQL models as assets: what they read is read from their SQL, so the graph is never out of
step with it.

https://docs.dagster.io/guides/build/assets/defining-assets-with-asset-dependencies
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg

from signalroom_dagster.defs.assets.code_references import code_reference
from signalroom_dagster.defs.automation import of_active_clients
from signalroom_dagster.defs.factories import client_step, spec_of
from signalroom_dagster.defs.partitions import all_clients
from signalroom_dagster.defs.resources import Warehouse
from signalroom_dagster.modeling.runs import ModelRun, read_columns, run_model
from signalroom_dagster.modeling.sql import Model, TableName, models
from signalroom_dagster.naming import model_step
from signalroom_dagster.platform.tags import MODEL_TAG
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import Client, clients_of
from signalroom_dagster.warehouse.engine import writers_pool

GROUP = "models"
PLOTTED: Mapping[TableName, Sequence[str]] = {
    ("public", "daily_performance"): ("everflow_revenue", "cost", "profit", "conversions")
}


def build_model_assets() -> list[dg.AssetsDefinition]:
    """Every model as an asset, partitioned by all clients, and made anew when something it reads
    has changed.
    """
    source_of = {
        table: source for source in catalog.source_names() for table in catalog.tables_of(source)
    }
    return [_asset_of(model, source_of) for model in models().values()]


def _asset_of(model: Model, source_of: Mapping[TableName, str]) -> dg.AssetsDefinition:
    spec = spec_of(
        model.name,
        "sql",
        deps=[_dependency(read, source_of.get(read)) for read in model.reads],
        group_name=GROUP,
        description=model.about,
        tags={MODEL_TAG: model.name[1]},
        metadata={
            "dagster/table_name": ".".join(model.name),
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(name, description=text or None)
                    for name, text in model.columns.items()
                ]
            ),
            **code_reference(_file_of(model), f"model {'.'.join(model.name)}"),
        },
        partitions_def=all_clients(),
        automation_condition=dg.AutomationCondition.eager().without(
            ~dg.AutomationCondition.any_deps_missing()
        )
        & of_active_clients(),
    )

    @dg.multi_asset(
        name=model_step(*model.name),
        specs=[spec],
        pool=writers_pool(),
        op_tags={MODEL_TAG: "/".join(model.name)},
    )
    def run(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
        about = f"model {'.'.join(model.name)}"
        with client_step(context, warehouse, about) as client, warehouse.exclusive():
            done = run_model(model.name, client)
            figures = _figures_of_yesterday(model, client, warehouse)
            metadata = {**figures, **_metadata(model, done)}
            return dg.MaterializeResult(asset_key=spec.key, metadata=metadata)

    return run


def _file_of(model: Model) -> Path:
    schema, table = model.name
    return Path(str(files("signalroom_dagster"))) / "models" / schema / f"{table}.sql"


def _figures_of_yesterday(
    model: Model, client: Client, warehouse: Warehouse
) -> Mapping[str, float]:
    """The client's figures of its last whole day: Dagster draws numbers from one materialization to
    the next.
    """
    plotted = PLOTTED.get(model.name, ())
    if not plotted:
        return {}
    yesterday = datetime.now(client.zone).date() - timedelta(days=1)
    sums = ", ".join(f"sum({column})" for column in plotted)
    with warehouse.connected() as query:
        sql = f"SELECT {sums} FROM {'.'.join(model.name)} WHERE _client_id = %s AND date = %s"
        figures = dict(zip(plotted, query(sql, client.id, yesterday)[0], strict=True))
    return {
        f"{name} of yesterday": float(figure)
        for name, figure in figures.items()
        if figure is not None
    }


def _dependency(read: TableName, source: str | None) -> dg.AssetDep:
    """What a model reads; of clients that do not use the source behind it, nothing is missing."""
    key = dg.AssetKey([*read])
    if source is None:
        return dg.AssetDep(key)
    return dg.AssetDep(
        key, partition_mapping=dg.StaticPartitionMapping({c.id: c.id for c in clients_of(source)})
    )


def _metadata(model: Model, done: ModelRun) -> Mapping[str, Any]:
    return {
        "dagster/partition_row_count": done.rows,
        "seconds": round(done.seconds, 2),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name, done.types.get(name, ""), text or None)
                for name, text in model.columns.items()
            ]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(asset_key=dg.AssetKey([*table]), column_name=name)
                    for table, name in sources
                ]
                for column, sources in model.lineage(read_columns(model)).items()
            }
        ),
        "sql": dg.MetadataValue.md(f"```sql\n{model.sql.strip()}\n```"),
    }
