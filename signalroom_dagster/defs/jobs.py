"""Jobs: one per source, over all its assets, started for one client at a time.

https://docs.dagster.io/guides/build/jobs/asset-jobs
"""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

QUEUES = {"s3_exports": "files"}
"""The run queue a source's runs wait in; the others call APIs."""


def build_source_job(source: str) -> "UnresolvedAssetJobDefinition":
    """`<source>`: load everything of one source for one client."""
    return dg.define_asset_job(
        name=source,
        selection=dg.AssetSelection.groups(source),
        description=f"Load {source} for one client.",
        tags={"signalroom/source": source, "signalroom/queue": QUEUES.get(source, "api")},
    )
