"""Jobs: one per source and one per report, over its assets, started for one client at a time.

https://docs.dagster.io/guides/build/jobs/asset-jobs
"""

import functools
from typing import TYPE_CHECKING

import dagster as dg

from signalroom_dagster.defs.purge import purge
from signalroom_dagster.defs.resident_run import build_consumer_jobs
from signalroom_dagster.naming import report_job
from signalroom_dagster.platform.tags import REPORT_TAG, SOURCE_TAG
from signalroom_dagster.registry import catalog
from signalroom_dagster.reports.subscriptions import subscribers

if TYPE_CHECKING:  # what dg.define_asset_job returns has no public name
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )


def build_jobs() -> list["UnresolvedAssetJobDefinition | dg.JobDefinition"]:
    """Every job but `daily_sync`."""
    return [
        *map(build_source_job, catalog.source_names()),
        *map(build_report_job, subscribers()),
        purge,
        *build_consumer_jobs(),
    ]


@functools.cache
def build_source_job(source: str) -> "UnresolvedAssetJobDefinition":
    """`<source>`: load everything of one source for one client; the same object for all that refer
    to it.
    """
    return dg.define_asset_job(
        name=source,
        selection=dg.AssetSelection.groups(source) | dg.AssetSelection.key_prefixes(source),
        description=f"Load {source} for one client.",
        tags={SOURCE_TAG: source},
    )


@functools.cache
def build_report_job(name: str) -> "UnresolvedAssetJobDefinition":
    """`<report>_report`: make and send one report for one client; the same object for all that
    refer to it.
    """
    return dg.define_asset_job(
        name=report_job(name),
        selection=dg.AssetSelection.assets(["reports", name]),
        description=f"Make the report {name} for one client and send it.",
        tags={REPORT_TAG: name},
    )
