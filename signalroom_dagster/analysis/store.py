"""The configured store, opened once per process: sensors look at it every few seconds."""

import functools
import os
from pathlib import Path

from signalroom_dagster.config import state_dir
from signalroom_dagster.events.stores.contract import Store


def opened_store() -> Store:
    """The store of `EVENTS__STORE`, with its tables there. Raises ConfigurationError and StoreError."""
    return _opened(os.environ.get("EVENTS__STORE") or f"sqlite:///{state_dir() / 'events.db'}")


@functools.cache
def _opened(url: str) -> Store:
    if url.startswith("sqlite:///"):
        from signalroom_dagster.events.stores.sqlite import SqliteStore

        store: Store = SqliteStore(Path(url.removeprefix("sqlite:///")))
    else:
        from signalroom_dagster.events.stores.postgres import PostgresStore

        store = PostgresStore(url)
    store.create()
    return store
