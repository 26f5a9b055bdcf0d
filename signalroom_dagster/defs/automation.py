"""Which partitions automation may touch: those of active clients. Planned ones are loaded by hand.

https://docs.dagster.io/guides/automate/declarative-automation/customizing-automation-conditions
"""

import warnings

import dagster as dg
from typing_extensions import override

from signalroom_dagster.defs import initial_status
from signalroom_dagster.registry.clients import load_clients


class OfActiveClients(dg.AutomationCondition[dg.AssetKey]):
    """True for the partitions of active clients."""

    @property
    @override
    def name(self) -> str:
        return "of_active_clients"

    @override
    def evaluate(
        self, context: dg.AutomationContext[dg.AssetKey]
    ) -> dg.AutomationResult[dg.AssetKey]:
        active = {client.id for client in load_clients().values() if client.status == "active"}
        subset = context.candidate_subset.compute_intersection_with_partition_keys(active)
        return dg.AutomationResult(context, true_subset=subset)


def of_active_clients() -> OfActiveClients:
    """Leaves planned clients to people."""
    return OfActiveClients()


def build_automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Makes models anew when what they read has changed; runs from the start in production only."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.BetaWarning
        )  # use_user_code_server: pinned by the lock, worth it
        return dg.AutomationConditionSensorDefinition(
            "models_follow_sources",
            target=dg.AssetSelection.all(),
            use_user_code_server=True,
            # of two clients' models it would make a backfill, which comes last in the queue
            emit_backfills=False,
            default_status=initial_status.of_sensors(),
            description=(
                "Make each model anew for a client when something that it reads was loaded for that"
                " client."
            ),
        )
