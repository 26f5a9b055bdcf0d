"""What somebody else holds, a reader, a backup, a writer or a stopped server, delays nobody for
longer than a second or two, and nothing that was acknowledged afterwards is there twice.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from starlette.testclient import TestClient

from signalroom_dagster.events.access import Access
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster.events.stores.postgres import PostgresStore
from signalroom_dagster.events.stores.sqlite import SqliteStore
from signalroom_dagster.events.stores.store import Store, StoreError
from signalroom_dagster_tests.events.conftest import emptied
from signalroom_dagster_tests.events.received import CONTRACT, received, whole

EVENT = {"tenant_id": "713", "job_id": "j1", "analysis_type": "audience", "result": {"score": 1}}
SOON = 4.0
"""Seconds: two are promised, the rest is for a busy machine."""

Hold = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def in_postgres(events_url: str) -> Iterator[PostgresStore]:
    store = emptied(events_url)
    yield store
    store.close()


@contextmanager
def locking(url: str, mode: str, tables: Sequence[str]) -> Generator[None]:
    """Another connection that holds these tables."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"LOCK TABLE {', '.join(f'events.{table}' for table in tables)} IN {mode} MODE"
        )
        yield


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Another connection that writes to the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def stopped(url: str) -> Generator[None]:
    """All that serve this database's connections stand still: they answer nothing, and refuse
    nothing.
    """
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <>"
            " pg_backend_pid()"
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_opening_a_store_that_lacks_nothing_waits_for_no_reader_and_no_writer(
    in_postgres: PostgresStore, events_url: str, tmp_path: Path
) -> None:
    with locking(events_url, "ROW EXCLUSIVE", ["inbox", "job", "dead_letter", "result", "lease"]):
        began = time.monotonic()
        in_postgres.create()
        assert in_postgres.append([received("a")]) == ["stored"]
        assert time.monotonic() - began < SOON
    store = SqliteStore(tmp_path / "events.db")
    store.create()
    with writing(store.path):
        SqliteStore(store.path).create()
    store.close()


def test_what_is_missing_is_made_once_nobody_is_in_the_way_and_events_go_on_meanwhile(
    in_postgres: PostgresStore, events_url: str
) -> None:
    with in_postgres.transaction() as session:
        session.run("DROP INDEX events.job_ready; DROP TABLE events.lease")
        session.run("ALTER TABLE events.inbox DISABLE ROW LEVEL SECURITY")
    with locking(events_url, "ACCESS SHARE", ["inbox"]):  # as a backup does
        with pytest.raises(StoreError, match="somebody else has locked its tables"):
            in_postgres.create()
        assert in_postgres.append(whole("a")) == ["stored"] * 3
    in_postgres.create()
    assert in_postgres.leased("consumer") is None
    with in_postgres.transaction() as session:
        lacking = (
            "SELECT to_regclass('events.job_ready') IS NULL, (SELECT count(*) FROM pg_class WHERE"
            " relkind = 'r' "
        )
        lacking += "AND relnamespace = 'events'::regnamespace AND NOT relrowsecurity)"
        assert session.rows(lacking) == [(False, 0)]


@pytest.fixture(params=["locked", "stopped", "writing"])
def store_and_hold(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Hold]]:
    """A store, and what keeps it from being written to."""
    if request.param == "writing":
        store = SqliteStore(tmp_path / "events.db")
        store.create()
        yield store, lambda: writing(store.path)
        store.close()
    else:
        url = request.getfixturevalue("events_url")
        held = {
            "locked": lambda: locking(url, "ACCESS EXCLUSIVE", ["inbox"]),
            "stopped": lambda: stopped(url),
        }
        yield emptied(url), held[request.param]


def test_a_commit_that_is_held_up_is_answered_503_and_not_ready_and_stored_once_when_it_comes_again(
    store_and_hold: tuple[Store, Hold], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.gateway.REMEMBERED_SECONDS", 0)
    store, hold = store_and_hold
    held_up = {**EVENT, "job_id": "j2"}
    with TestClient(gateway_app(store, {"713": CONTRACT}, Access(), EventSettings())) as client:
        assert client.post("/v1/events", json=EVENT).status_code == 204
        assert client.get("/readyz").status_code == 200
        with hold():
            began = time.monotonic()
            answer = client.post("/v1/events", json=held_up)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert time.monotonic() - began < SOON
            assert client.get("/readyz").status_code == 503
            assert time.monotonic() - began < SOON * 2
            assert client.get("/healthz").status_code == 200
        assert client.post("/v1/events", json=held_up).status_code == 204
        give_up = time.monotonic() + SOON
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < give_up
        assert store.stats()["713"].open == 2


def test_a_ping_leaves_nothing_behind(store: Store) -> None:
    store.append(whole("a"))
    for _ in range(3):
        store.ping()
    assert (list(store.stats()), store.letters()) == (["713"], [])


@pytest.mark.parametrize("table", ["inbox", "job", "dead_letter"])
def test_a_ping_notices_whatever_table_cannot_be_written(
    table: str, in_postgres: PostgresStore, events_url: str
) -> None:
    with locking(events_url, "SHARE", [table]), pytest.raises(StoreError):
        in_postgres.ping()
    in_postgres.ping()
