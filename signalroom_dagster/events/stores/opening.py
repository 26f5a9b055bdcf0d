"""Opens the store that is configured."""

from pathlib import Path

from signalroom_dagster.config import ConfigurationError, project_dir, state_dir
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster.events.stores.store import Store

_SQLITE = "sqlite:///"


def open_store(settings: EventSettings) -> Store:
    """The store of `EVENTS__STORE`, by default `events.db` beside Dagster's state; `create()` makes
    its tables.

    Raises ConfigurationError for a URL of another kind. Nothing is connected to yet.
    """
    url = settings.store or f"{_SQLITE}{state_dir() / 'events.db'}"
    if url.startswith(_SQLITE) and url != _SQLITE:
        from signalroom_dagster.events.stores.sqlite import SqliteStore

        path = Path(url.removeprefix(_SQLITE))
        return SqliteStore(path if path.is_absolute() else project_dir() / path, settings.retention)
    if url.startswith(("postgresql://", "postgres://")):
        from signalroom_dagster.events.stores.postgres import PostgresStore

        return PostgresStore(url, settings.retention)
    raise ConfigurationError(
        "[events] store is neither sqlite:///path nor postgresql://...: set EVENTS__STORE"
    )
