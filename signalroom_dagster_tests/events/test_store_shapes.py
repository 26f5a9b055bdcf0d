"""Stores of an earlier release, and such as have lost something: opening one gives it what it
lacks.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events.stores.postgres import PostgresStore
from signalroom_dagster.events.stores.sql import SqlStore, declared
from signalroom_dagster.events.stores.sqlite import SqliteStore
from signalroom_dagster.events.stores.store import StoreError
from signalroom_dagster.warehouse.migrations import Engine, OwnTable
from signalroom_dagster_tests.events.conftest import emptied
from signalroom_dagster_tests.events.received import whole

ENGINES: list[Engine] = ["sqlite", "postgres"]
EACH = [
    pytest.param(engine, table, id=f"{engine}-{table.own_name}")
    for engine in ENGINES
    for table in declared(engine)
]
SINCE_THE_FIRST_RELEASE = ("job_failed", "dead_letter_received", "result_published")


def open_again(store: SqlStore) -> SqlStore:
    """As the next process does."""
    if isinstance(store, SqliteStore):
        return SqliteStore(store.path)
    assert store.database
    return PostgresStore(store.database)


@pytest.fixture
def full(request: pytest.FixtureRequest, tmp_path: Path) -> SqlStore:
    """A store with a finished job."""
    engine: Engine = request.node.callspec.params["engine"]
    store = (
        SqliteStore(tmp_path / "events.db")
        if engine == "sqlite"
        else emptied(request.getfixturevalue("events_url"))
    )
    store.create()
    analyse(store, "earlier")
    return store


def analyse(store: SqlStore, job: str) -> None:
    """A job comes in and is done."""
    assert store.append(whole(job)) == ["stored"] * 3
    with store.claim(10) as batch:
        assert [one.job_id for one in batch.jobs] == [job]
        batch.done([one.key for one in batch.jobs])
    assert len(batch.settled) == 1


@pytest.mark.parametrize(("engine", "table"), EACH)
def test_each_column_that_is_lost_comes_back_and_events_go_on(
    engine: Engine, table: OwnTable, full: SqlStore
) -> None:
    for number, column in enumerate(table.columns):
        try:
            with full.transaction() as session:
                session.query(
                    f"ALTER TABLE {table.name} DROP COLUMN"
                    f" {column}{' CASCADE' * (engine == 'postgres')}"
                )
        except StoreError as error:  # SQLite drops no column of a key or an index
            assert engine == "sqlite" and (
                "cannot drop" in str(error) or "error in index" in str(error)
            )
            continue
        store = open_again(full)
        store.create()
        analyse(store, f"j{number}")
        store.close()
    full.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_store_of_the_first_release_gets_what_came_since_and_keeps_what_it_holds(
    engine: Engine, full: SqlStore
) -> None:
    schema = "events." * (engine == "postgres")
    with full.transaction() as session:
        for index in SINCE_THE_FIRST_RELEASE:
            session.query(f"DROP INDEX {schema}{index}")
        if engine == "postgres":
            session.query("ALTER TABLE events.inbox DISABLE ROW LEVEL SECURITY")
    store = open_again(full)
    store.create()
    assert store.stats()["713"].done == 1
    with store.transaction() as session:
        for index in SINCE_THE_FIRST_RELEASE:
            session.query(f"DROP INDEX {schema}{index}")
        if engine == "postgres":
            assert session.query(
                "SELECT relrowsecurity FROM pg_class WHERE oid = 'events.inbox'::regclass"
            ) == [(True,)]
    store.create()
    store.close()
    full.close()


def test_what_is_added_to_a_stores_tables_lets_an_earlier_release_go_on(tmp_path: Path) -> None:
    """Its rows lack the columns that it does not know."""
    known = {
        "inbox": {
            "tenant_id",
            "job_id",
            "analysis_type",
            "message_id",
            "payload",
            "payload_hash",
            "received_at",
        },
        "job": {
            "tenant_id",
            "job_id",
            "required",
            "arrived",
            "contract_version",
            "status",
            "late",
            "attempts",
            "first_at",
            "last_at",
            "deadline_at",
            "due_at",
        },
        "dead_letter": {
            "id",
            "stage",
            "reason",
            "tenant_id",
            "job_id",
            "analysis_type",
            "message_id",
            "body",
            "received_at",
        },
        "result": {"tenant_id", "job_id", "body", "version", "kept_at"},
        "lease": {"name", "holder", "renewed_at", "expires_at"},
    }
    for engine in ENGINES:
        for table in declared(engine):
            demanded = {
                name
                for name, kind in table.columns.items()
                if "NOT NULL" in kind and "DEFAULT" not in kind
            }
            assert demanded - known[table.own_name] == set(), f"{engine}: {table.name}"


def test_a_table_of_somebody_elses_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE inbox (id integer, sender text)")
    with pytest.raises(ConfigurationError, match="inbox is there, and another system made it"):
        SqliteStore(path).create()
