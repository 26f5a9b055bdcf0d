"""The results of complete jobs as an asset, partitioned by the clients that have a contract for
events.

The resident run of `defs.event_consumer` fills it all the time. Materializing it here is a run that
ends: for a backfill, a replay, and wherever nothing else consumes.

https://docs.dagster.io/guides/build/assets/defining-assets
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from signalroom_dagster.defs.factories import Check, Question, client_checks, client_step, spec_of
from signalroom_dagster.defs.resources import EventStore, Warehouse
from signalroom_dagster.events.contracts import load_contracts
from signalroom_dagster.warehouse.finding import Finding

if TYPE_CHECKING:
    from signalroom_dagster.analysis.drain import Counts
    from signalroom_dagster.events.stores.store import Store

RESULTS_KEY = dg.AssetKey(["analysis", "results"])
STEP = "analysis_results"
GROUP = "analysis"
ABOUT = "The results of complete jobs, from push events. Grain: client, job."


class AnalysisConfig(dg.Config):
    """What is to be analysed again, beside what is ready; all of it must still be kept."""

    replay: bool = Field(default=False, description="Analyse finished jobs of the client again.")
    jobs: list[str] = Field(default=[], description="With replay: only these jobs.")
    since: str | None = Field(
        default=None, description="With replay: jobs whose last event came since; ISO, UTC."
    )
    until: str | None = Field(default=None, description="With replay: and before; ISO, UTC.")
    dead_letters: bool = Field(
        default=False, description="With replay: only jobs that failed for good."
    )


def tenants() -> Sequence[str]:
    """The clients that have a contract: `[analysis]` in their client.toml."""
    return [*load_contracts()]


def build_analysis_assets() -> list[dg.AssetsDefinition]:
    """`analysis/results`; nothing where no client has a contract."""
    if not tenants():
        return []
    spec = spec_of(
        RESULTS_KEY.path,
        "python",
        group_name=GROUP,
        description=ABOUT,
        partitions_def=dg.StaticPartitionsDefinition(tenants()),
    )

    @dg.multi_asset(name=STEP, specs=[spec])
    def results(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        event_store: EventStore,
        config: AnalysisConfig,
    ) -> dg.MaterializeResult[Any]:
        with client_step(context, warehouse, "analysis") as client:
            return _analyse(event_store.open(), client.id, config)

    return [results]


def build_analysis_checks() -> list[dg.AssetChecksDefinition]:
    """Lag, dead letters and incomplete jobs, as they are when the check runs; the supervisor looks
    at them, too.
    """
    if not tenants():
        return []
    from signalroom_dagster.analysis.health import LOOKS, examine

    def look(asked: Question) -> Mapping[str, Finding]:
        findings = examine(asked.event_store.open(), [asked.client.id])[asked.client.id]
        return {name: findings[name] for name in asked.names}

    checks = {name: Check(look.__doc__) for name, look in LOOKS.items()}
    partitions = dg.StaticPartitionsDefinition(tenants())
    return [client_checks(f"check_{STEP}", RESULTS_KEY.path, checks, partitions, look)]


def materialization(client: str, counts: "Counts") -> dg.AssetMaterialization:
    """What is told of a client's jobs that were analysed."""
    return dg.AssetMaterialization(RESULTS_KEY, partition=client, metadata=counts.figures())


def evaluation(client: str, check: str, found: Finding) -> dg.AssetCheckEvaluation:
    """What a check found outside a run."""
    return dg.AssetCheckEvaluation(
        asset_key=RESULTS_KEY,
        check_name=check,
        passed=found.passed,
        description=found.said,
        metadata=dict(found.figures),
        partition=client,
    )


def _analyse(store: "Store", client: str, config: AnalysisConfig) -> dg.MaterializeResult[Any]:
    from signalroom_dagster.analysis.consumer import drain_all
    from signalroom_dagster.analysis.drain import Counts
    from signalroom_dagster.analysis.publishing import count_results, create_table_of_results
    from signalroom_dagster.analysis.replays import replay

    create_table_of_results()
    asked = (config.jobs, config.since, config.until, config.dead_letters)
    again = replay(store, client, *asked) if config.replay else 0
    own = drain_all(store, client).get(client, Counts())
    rows = {"dagster/partition_row_count": count_results(client), "replayed_jobs": again}
    return dg.MaterializeResult(asset_key=RESULTS_KEY, metadata={**own.figures(), **rows})
