"""Every dlt source as a partitioned multi-asset: one asset per resource, one partition per client.

https://docs.dagster.io/integrations/libraries/dlt
"""

import functools
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import dlt
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData
from dlt.extract import DltResource
from pydantic import Field

from signalroom_dagster.defs.assets.code_references import code_reference
from signalroom_dagster.defs.assets.load_metadata import (
    COLUMN_SCHEMA,
    declared_columns,
    load_metadata,
)
from signalroom_dagster.defs.factories import client_step, spec_of
from signalroom_dagster.defs.partitions import client_partitions
from signalroom_dagster.defs.resources import Warehouse
from signalroom_dagster.loading.pipelines import open_load
from signalroom_dagster.loading.spans import Span, as_day
from signalroom_dagster.naming import load_step
from signalroom_dagster.platform.attempts import first_run_id
from signalroom_dagster.platform.tags import SOURCE_TAG
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse.bookkeeping import KEPT
from signalroom_dagster.warehouse.engine import writers_pool

BOOKKEEPING = "bookkeeping"
"""The group of what loads note beside their tables: files and days that were loaded, rows refused,
figures restated.
"""


class LoadConfig(dg.Config):
    """What a run may be asked for beside the client: days (YYYY-MM-DD, the client's own), or a
    deeper look back.
    """

    since: str | None = Field(
        default=None, description="First day to read again, YYYY-MM-DD; default: what is due."
    )
    until: str | None = Field(
        default=None, description="Last day to read, YYYY-MM-DD; default: today."
    )
    lookback_days: int | None = Field(
        default=None, description="Days to read again, today included."
    )

    @property
    def span(self) -> Span:
        """The days as dates. Raises WrongRequestError for what is not a date, and for no day."""
        return Span(as_day(self.since), as_day(self.until), self.lookback_days)


class SourceTranslator(DagsterDltTranslator):
    """Asset key = schema / table; no upstream stub, because nothing upstream is ours to observe."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._declared = catalog.outline(source).resources
        self._specs: dict[str, dg.AssetSpec] = {}

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """The spec of one resource, the same from the outline and from the real source; made once,
        as dagster-dlt asks for it in each run again.
        """
        name = data.resource.name
        if name not in self._declared:
            return self._spec(data.resource)
        if name not in self._specs:
            self._specs[name] = self._spec(self._declared[name])
        return self._specs[name]

    def _spec(self, resource: DltResource) -> dg.AssetSpec:
        is_kept = resource.name in {table.name for tables in KEPT.values() for table in tables}
        return spec_of(
            [self._source, resource.name],
            "dlt",
            group_name=BOOKKEEPING if is_kept else self._source,
            tags={SOURCE_TAG: self._source},
            description=catalog.describe(self._source, resource),
            metadata={
                "dagster/table_name": f"{self._source}.{resource.name}",
                COLUMN_SCHEMA: declared_columns(
                    resource.name, catalog.table_facts(self._source)[resource.name].hints
                ),
                **code_reference(catalog.source_file(self._source), f"source {self._source}"),
            },
        )


def build_ingest_assets(source: str) -> dg.AssetsDefinition:
    """All resources of one source as assets, partitioned by the clients that use it."""
    translator = SourceTranslator(source)

    @dlt_assets(
        name=load_step(source),
        dlt_source=catalog.outline(source),
        dlt_pipeline=_outline_pipeline(),
        dagster_dlt_translator=translator,
        partitions_def=client_partitions(source),
        pool=writers_pool(),
        op_tags={SOURCE_TAG: source},
    )
    def load(
        context: dg.AssetExecutionContext,
        dlt: DagsterDltResource,
        warehouse: Warehouse,
        config: LoadConfig,
    ) -> Iterator[Any]:
        with client_step(context, warehouse, f"source {source}") as client:
            run_id = first_run_id(context.instance, context.run)
            chosen = _chosen(context)
            with (
                warehouse.exclusive(),
                open_load(source, client, run_id, config.span, chosen) as load,
            ):
                results: list[Any] = list(
                    dlt.run(
                        context,
                        dlt_source=load.source,
                        dlt_pipeline=load.pipeline,
                        dagster_dlt_translator=translator,
                    )
                )
                with warehouse.connected() as query:
                    for result in results:
                        if result.asset_key.path[-1] not in load.failures:
                            found = load_metadata(query, result, load, client.id, run_id)
                            yield dg.MaterializeResult(asset_key=result.asset_key, metadata=found)
                load.check_failures()

    return load


def _chosen(context: dg.AssetExecutionContext) -> Sequence[str]:
    """The resources that a run was started for; none for all of them."""
    chosen = sorted(key.path[-1] for key in context.selected_asset_keys)
    return chosen if context.is_subset else ()


@functools.cache
def _outline_pipeline() -> dlt.Pipeline:
    """A pipeline that never runs: dagster-dlt wants one where assets are declared. Its folder ends
    with us.
    """
    folder = _outline_folder()
    return dlt.pipeline("outline", pipelines_dir=folder.name)


@functools.cache
def _outline_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="signalroom-outline-")
