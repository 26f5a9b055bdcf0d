"""Dagster resources: the warehouse, the store of events and the channels, given to what uses them,
so that a test or a user hands in another one. None is opened before it is used.

Secrets are not resources here: they are read where a source is opened, and never shown.

https://docs.dagster.io/guides/build/external-resources
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dlt import DagsterDltResource

from signalroom_dagster.warehouse import access

if TYPE_CHECKING:
    from signalroom_dagster.events.stores.store import Store
    from signalroom_dagster.reports.outbox import Sender


class Warehouse(dg.ConfigurableResource[Any]):
    """The warehouse that `SIGNALROOM_DESTINATION` names."""

    def wait(self, say: Callable[[str], None]) -> None:
        """Return once it answers. Raises DestinationLostError after a quarter of an hour."""
        access.wait_until_reachable(say)

    def exclusive(
        self, wait_seconds: float = access.LOCK_WAIT_SECONDS
    ) -> AbstractContextManager[None]:
        """What a writer holds: DuckDB's lock file. Raises WarehouseBusyError after the wait."""
        return access.exclusive(wait_seconds)

    def connected(self) -> AbstractContextManager[access.Query]:
        """A connection, within `exclusive`. Raises DestinationUnreachableError."""
        return access.connected()

    @contextmanager
    def asked(self, wait_seconds: float = access.LOCK_WAIT_SECONDS) -> Generator[access.Query]:
        """A connection of its own: both of the above."""
        with self.exclusive(wait_seconds), self.connected() as query:
            yield query


class EventStore(dg.ConfigurableResource[Any]):
    """The store of push events that `EVENTS__STORE` names."""

    def open(self) -> "Store":
        """The store, opened once per process. Raises ConfigurationError and StoreError."""
        from signalroom_dagster.analysis.store import opened_store

        return opened_store()

    def ready(self) -> "Store":
        """The store, with what a consumer needs; one that is away is waited for, for a quarter of
        an hour. Raises what `open` does, and DestinationUnreachableError.
        """
        from signalroom_dagster.analysis.consumer import ready_store

        return ready_store()


class Channels(dg.ConfigurableResource[Any]):
    """Slack, e-mail and SMS, as the settings `NOTIFICATIONS__…` have them."""

    def sender(self) -> "Sender":
        """What reports are sent with."""
        from signalroom_dagster.reports.dispatch import channels

        return channels()


RESOURCES: Mapping[str, Any] = {
    "dlt": DagsterDltResource(),
    "warehouse": Warehouse(),
    "event_store": EventStore(),
    "channels": Channels(),
}
