"""The configured store, opened once per process: sensors look at it every few seconds."""

import functools
from pathlib import Path

from signalroom_dagster.config import state_dir
from signalroom_dagster.events.settings import event_settings
from signalroom_dagster.events.stores.opening import open_store
from signalroom_dagster.events.stores.store import Retention, Store


def opened_store() -> Store:
    """The store of `EVENTS__STORE`, with its tables there. Raises ConfigurationError and
    StoreError.
    """
    settings = event_settings()
    return _opened(settings.store, settings.retention, state_dir())


@functools.cache
def _opened(url: str | None, retention: Retention, state: Path) -> Store:
    store = open_store(event_settings())
    store.create()
    return store
