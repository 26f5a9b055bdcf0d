"""The stores, each empty: in memory, in a file, in a real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalroom_dagster.events.stores.postgres import PostgresStore
from signalroom_dagster.events.stores.sqlite import SqliteStore
from signalroom_dagster.events.stores.store import Store
from signalroom_dagster_tests.events.memory import MemoryStore
from signalroom_dagster_tests.postgres import PostgresServer

EMPTY = "TRUNCATE events.inbox, events.job, events.dead_letter, events.result, events.lease"


@pytest.fixture(scope="module")
def events_url(
    postgres_server: PostgresServer, request: pytest.FixtureRequest, worker_id: str
) -> str:
    """A database of this module's, which a worker may come back to."""
    return postgres_server.empty_database(
        f"{request.module.__name__.rpartition('.')[2]}_{worker_id}"
    )


def emptied(url: str) -> PostgresStore:
    """A store there that holds nothing."""
    store = PostgresStore(url)
    store.create()
    with store.transaction() as session:
        session.run(EMPTY)
    return store


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store in turn."""
    if request.param == "memory":
        found: Store = MemoryStore()
    elif request.param == "sqlite":
        found = SqliteStore(tmp_path / "events.db")
    else:
        found = emptied(request.getfixturevalue("events_url"))
    found.create()
    yield found
    found.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store of another process keeps events; empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.db'}"
    url = request.getfixturevalue("events_url")
    emptied(url).close()
    return url
