"""The configured store, opened once per process: sensors look at it every few seconds."""

from signalroom_dagster.config import event_settings
from signalroom_dagster.events.stores.contract import Store


def opened_store() -> Store:
    """The store of `EVENTS__STORE`, with its tables there. Raises ConfigurationError and StoreError."""
    return _opened(event_settings())
