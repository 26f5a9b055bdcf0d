"""Jobs: one per source and one per report, over its assets, started for one client at a time; and
one over all sources.

https://docs.dagster.io/guides/build/jobs/asset-jobs
"""

import contextlib
import functools
from typing import TYPE_CHECKING

import dagster as dg

from signalroom_dagster.defs.partitions import all_clients
from signalroom_dagster.defs.purge import purge
from signalroom_dagster.defs.resident_run import build_consumer_jobs
from signalroom_dagster.naming import DAILY_SYNC, report_job
from signalroom_dagster.platform.attempts import client_of
from signalroom_dagster.platform.in_flight import in_flight
from signalroom_dagster.platform.tags import ACCOUNT_TAG, PARTITION_TAG, STARTED_BY_TAG, account
from signalroom_dagster.registry import catalog
from signalroom_dagster.reports.subscriptions import subscribers

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )


def build_jobs() -> list["UnresolvedAssetJobDefinition | dg.JobDefinition"]:
    """Every job there is."""
    reports = map(build_report_job, subscribers())
    return [
        *map(build_source_job, catalog.source_names()),
        *reports,
        build_daily_sync(),
        purge,
        *build_consumer_jobs(),
    ]


def build_source_job(source: str) -> "UnresolvedAssetJobDefinition":
    """`<source>`: load everything of one source for one client."""
    return dg.define_asset_job(
        name=source,
        selection=dg.AssetSelection.groups(source) | dg.AssetSelection.key_prefixes(source),
        description=f"Load {source} for one client.",
        tags={"signalroom/source": source},
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
    )


def build_daily_sync() -> dg.JobDefinition:
    """`daily_sync`: load all sources of one client, one after the other, each in a run of its
    own.
    """

    @dg.op(
        description=(
            "Run the job of each source of the client in turn; one that fails does not stop the"
            " others."
        )
    )
    def sync_sources(context: dg.OpExecutionContext) -> None:
        client = client_of(context)
        failed = [source for source in client.sources if not _loaded(context, source, client.id)]
        if failed:
            raise dg.Failure(
                f"client {client.id}: {', '.join(failed)} failed; see their runs",
                allow_retries=False,
            )

    @dg.job(
        name=DAILY_SYNC,
        partitions_def=all_clients(),
        description="Load all sources of one client in sequence.",
    )
    def daily_sync() -> None:
        sync_sources()

    return daily_sync


def _loaded(context: dg.OpExecutionContext, source: str, client_id: str) -> bool:
    """Whether a source's job succeeded; one that is being loaded by another run is left to that."""
    if (source, client_id) in in_flight(context.instance):
        context.log.info("%s is being loaded by another run: left to that", source)
        return True
    job = context.repository_def.get_job(source)
    done = False
    with contextlib.suppress(dg.DagsterError):
        done = job.execute_in_process(
            instance=context.instance,
            partition_key=client_id,
            tags={
                PARTITION_TAG: client_id,
                STARTED_BY_TAG: context.run_id,
                ACCOUNT_TAG: account(source, client_id),
            },
            raise_on_error=False,
        ).success
    context.log.info("%s of client %s %s", source, client_id, "is loaded" if done else "failed")
    return done
