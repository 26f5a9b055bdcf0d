"""The warehouse as a dlt destination: its configuration is looked up once, not for every load job,
and every client of a load is handed the load's courier.

dlt resolves it anew for each client and each look at the capabilities: half a second of a small
load, and a tenth of a second for every file. Within one run the answer cannot change.
"""

import copy
from typing import TYPE_CHECKING, Any

from dlt.common.destination import Destination, DestinationCapabilitiesContext
from typing_extensions import override

from signalroom_dagster.config import destination_name
from signalroom_dagster.loading.courier import Courier
from signalroom_dagster.warehouse import places

if TYPE_CHECKING:
    Resolving = Destination[Any, Any]
else:
    Resolving = object


class ResolvedOnce(Resolving):
    """Stands before dlt's destination among the bases."""

    courier: Courier | None = None

    @override
    def client(self, schema: Any, initial_config: Any = None) -> Any:
        """A client that does the work of this load's tickets."""
        client = super().client(schema, initial_config)
        client.courier = self.courier
        return client

    @override
    def capabilities(
        self, config: Any = None, naming: Any = None
    ) -> DestinationCapabilitiesContext:
        """What the engine can do; ours does not depend on how it is reached."""
        return super().capabilities(config or self.spec(), naming)

    @override
    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        known: dict[Any, Any] = vars(self).setdefault("_resolved", {})
        if "capabilities" not in known:
            known["capabilities"] = super()._raw_capabilities()  # pyright: ignore[reportAbstractUsage]
        return copy.copy(known["capabilities"])

    @override
    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """The configuration for one dataset, resolved the first time it is asked for."""
        known: dict[Any, Any] = vars(self).setdefault("_resolved", {})
        names = ("dataset_name", "default_schema_name", "staging_dataset_name_layout")
        key = (accept_partial, *(getattr(initial_config, name, None) for name in names))
        if key not in known:
            known[key] = super().configuration(initial_config, accept_partial)
        return copy.copy(known[key])

    def close(self) -> None:
        """Let go of what was kept from one load job to the next."""


def destination(staging: str = "%s_staging", courier: Courier | None = None) -> Any:
    """The configured warehouse as a dlt destination, which does the work that `courier` carries;
    `staging` names dlt's staging dataset.
    """
    named: dict[str, Any] = {"staging_dataset_name_layout": staging}
    if destination_name() == "duckdb":
        from signalroom_dagster.loading.duckdb import SignalRoomDuckDb as Warehouse

        named |= {"credentials": str(places.duckdb_path()), "destination_name": "duckdb"}
    else:
        from signalroom_dagster.loading.postgres import SignalRoomPostgres as Warehouse

        named |= {"credentials": places.postgres_url(), "destination_name": "postgres"}
    warehouse: Any = Warehouse(**named)
    warehouse.courier = courier
    return warehouse
