"""The results of complete jobs as an asset, partitioned by the clients that have a contract for
events.

The resident run of `defs.event_consumer` fills it all the time. Materializing it here is a run that
ends: for a backfill, a replay, and wherever nothing else consumes.

https://docs.dagster.io/guides/build/assets/defining-assets
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from signalroom_dagster.config import destination_name
from signalroom_dagster.events.contracts import load_contracts
from signalroom_dagster.platform.attempts import attempt, client_of
from signalroom_dagster.warehouse import access

if TYPE_CHECKING:
    from signalroom_dagster.analysis.drain import Counts
    from signalroom_dagster.warehouse.finding import Finding

RESULTS_KEY = dg.AssetKey(["analysis", "results"])
STEP = "analysis_results"
OWNER = "team:data"
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
    spec = dg.AssetSpec(
        key=RESULTS_KEY,
        group_name=GROUP,
        kinds={"python", destination_name()},
        owners=[OWNER],
        description=ABOUT,
        partitions_def=dg.StaticPartitionsDefinition(tenants()),
    )

    @dg.multi_asset(name=STEP, specs=[spec])
    def results(
        context: dg.AssetExecutionContext, config: AnalysisConfig
    ) -> dg.MaterializeResult[Any]:
        client = client_of(context).id
        with attempt(context, f"client {client}, analysis"):
            access.wait_until_reachable(context.log.warning)
            return _analyse(context, client, config)

    return [results]


def build_analysis_checks() -> list[dg.AssetChecksDefinition]:
    """Lag, dead letters and incomplete jobs, as they are when the check runs; the supervisor looks
    at them, too.
    """
    if not tenants():
        return []

    @dg.multi_asset_check(name=f"check_{STEP}", specs=_check_specs(), can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from signalroom_dagster.analysis.health import examine
        from signalroom_dagster.analysis.store import opened_store

        client = client_of(context.op_execution_context).id
        found = examine(opened_store(), [client])[client]
        for key in sorted(context.selected_asset_check_keys):
            finding = found[key.name]
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=finding.passed,
                description=finding.said,
                metadata=dict(finding.figures),
            )

    return [check]


def materialization(client: str, counts: "Counts") -> dg.AssetMaterialization:
    """What is told of a client's jobs that were analysed."""
    return dg.AssetMaterialization(RESULTS_KEY, partition=client, metadata=counts.figures())


def evaluation(client: str, check: str, found: "Finding") -> dg.AssetCheckEvaluation:
    """What a check found outside a run."""
    return dg.AssetCheckEvaluation(
        asset_key=RESULTS_KEY,
        check_name=check,
        passed=found.passed,
        description=found.said,
        metadata=dict(found.figures),
        partition=client,
    )


def _analyse(
    context: dg.AssetExecutionContext, client: str, config: AnalysisConfig
) -> dg.MaterializeResult[Any]:
    from signalroom_dagster.analysis.consumer import drain_all
    from signalroom_dagster.analysis.drain import Counts
    from signalroom_dagster.analysis.publishing import count_results, create_table_of_results
    from signalroom_dagster.analysis.replays import replay
    from signalroom_dagster.analysis.store import opened_store

    store = opened_store()
    create_table_of_results()
    asked = (config.jobs, config.since, config.until, config.dead_letters)
    again = replay(store, client, *asked) if config.replay else 0
    own = drain_all(store, client).get(client, Counts())
    rows = {"dagster/partition_row_count": count_results(client), "replayed_jobs": again}
    return dg.MaterializeResult(asset_key=RESULTS_KEY, metadata={**own.figures(), **rows})


def _check_specs() -> Sequence[dg.AssetCheckSpec]:
    from signalroom_dagster.analysis.health import LOOKS

    partitions = dg.StaticPartitionsDefinition(tenants())
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.PreviewWarning
        )  # partitioned checks: pinned by the lock, worth it
        return [
            dg.AssetCheckSpec(
                name, asset=RESULTS_KEY, description=look.__doc__, partitions_def=partitions
            )
            for name, look in LOOKS.items()
        ]
