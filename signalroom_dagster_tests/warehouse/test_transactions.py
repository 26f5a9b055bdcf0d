"""Nobody waits without a limit, or unseen: for a backup, a stopped process, another client's
load.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import psycopg2
import pytest

from signalroom_dagster.doctor.inspection import inspect
from signalroom_dagster.modeling.runs import run_model
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.warehouse import access, transactions
from signalroom_dagster.warehouse.bookkeeping import kept_beside
from signalroom_dagster.warehouse.errors import (
    DestinationUnreachableError,
    TableInUseError,
    WarehouseBusyError,
)
from signalroom_dagster_tests.loading.processes import finish, start_load
from signalroom_dagster_tests.loading.slices import SPEND, put, row
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import HEADER, Project, orders, write_export
from signalroom_dagster_tests.sources.contexts import march

(MONDAY,) = march([2])
SETTINGS = (
    "SELECT current_setting('statement_timeout'),"
    " current_setting('idle_in_transaction_session_timeout')"
)


@pytest.fixture(autouse=True)
def on_postgres(project: Project, postgres_url: str) -> None:
    project.use_postgres(postgres_url)


@contextmanager
def reading(url: str, *tables: str) -> Iterator[psycopg2.extensions.connection]:
    """Somebody who reads some tables in one long transaction, as pg_dump does."""
    connection = psycopg2.connect(url, application_name="pg_dump")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
    try:
        yield connection
    finally:
        connection.close()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come about"
        time.sleep(0.05)


def test_a_backup_holds_up_only_the_load_that_adds_a_column_and_no_reader(
    project: Project, postgres_url: str
) -> None:
    buckets = {client: project.add_client(client) for client in ("713", "cti")}
    for client, bucket in buckets.items():
        write_export(bucket / "orders-create/one.csv", orders([1]))
        load("s3_exports", client)
    wider = [{**each, "brand_new": "yes"} for each in orders([2])]
    write_export(buckets["713"] / "orders-create/two.csv", wider, header=[*HEADER, "brand_new"])
    write_export(buckets["cti"] / "orders-create/two.csv", orders([2]))
    with reading(postgres_url, "s3_exports.orders_create", "s3_exports.files") as backup:
        waiting = start_load(project.environment, "713", "adds-a-column")
        queued = (
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation ="
            " 's3_exports.orders_create'::regclass"
        )
        until(lambda: ask(queued))
        load("s3_exports", "cti")
        assert ask(
            "SET LOCAL lock_timeout = '5s'; SELECT count(*) FROM s3_exports.orders_create"
        ) == [(3,)]
        assert waiting.is_alive()
        backup.rollback()
        assert finish(waiting) == 0
    assert ask("SELECT _client_id FROM s3_exports.orders_create WHERE brand_new = 'yes'") == [
        ("713",)
    ]


def test_a_stopped_loader_is_undone_and_the_next_load_goes_on(project: Project) -> None:
    write_export(project.add_client("713") / "orders-create/one.csv", orders(range(50)))
    load("s3_exports")
    write_export(project.root / "buckets/713/orders-create/two.csv", orders(range(50, 99)))
    stopped = start_load(project.environment, "713", "stopped", "stopped")
    assert stopped.pid
    until(lambda: psutil.Process(stopped.pid).status() == psutil.STATUS_STOPPED)
    started = time.monotonic()
    load("s3_exports")
    assert time.monotonic() - started < 60
    assert ask("SELECT count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create") == [
        (99, 99)
    ]
    os.kill(stopped.pid, signal.SIGCONT)
    assert finish(stopped) == 0
    assert ask("SELECT count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create") == [
        (99, 99)
    ]


def test_our_statements_may_take_longer_than_the_server_lets_others(
    postgres_url: str, tmp_path: Path
) -> None:
    server = psycopg2.connect(postgres_url)
    server.autocommit = True
    server.cursor().execute("ALTER DATABASE test SET statement_timeout = '300ms'")
    try:
        with access.connected() as query:
            query("SELECT pg_sleep(0.5)")
            assert query(SETTINGS) == [("1h", "2min")]
        with access.transaction("a model") as query:
            query("SELECT pg_sleep(0.5)")
            assert query(SETTINGS) == [("1h", "2min")]
            assert "a model" in query("SELECT current_setting('application_name')")[0][0]
        put(tmp_path, SPEND, [MONDAY], [row(MONDAY, "a")], meanwhile=lambda: time.sleep(0.5))
    finally:
        server.cursor().execute("ALTER DATABASE test RESET statement_timeout")
        server.close()


def test_nothing_is_left_to_the_next_user_of_a_poolers_session(postgres_url: str) -> None:
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS + ", current_setting('application_name')")
        before = cursor.fetchall()
        cursor.execute(f"BEGIN; {transactions.limits('x')}; {transactions.ddl_limit()}")
        cursor.execute("COMMIT")
        cursor.execute(f"{transactions.limits('x')}; SELECT 1")
        cursor.execute(SETTINGS + ", current_setting('application_name')")
        assert cursor.fetchall() == before
    connection.close()


def test_whoever_waits_for_a_lock_says_for_whom_and_not_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(transactions, "REMINDER_SECONDS", 0.1)
    monkeypatch.setattr(transactions, "LONGEST_WAIT_SECONDS", 0.5)
    with (
        access.transaction("client 713, the holder") as holder,
        access.transaction("the waiting") as query,
    ):
        access.lock(holder, "reports|713")
        with pytest.raises(WarehouseBusyError, match="the holder .* held reports.713 for"):
            access.lock(query, "reports|713")
        holder("COMMIT")
        access.lock(query, "reports|713")
        assert query("SELECT current_setting('lock_timeout')") == [("0",)]
    lines = [
        line for line in caplog.messages if line.startswith("waiting for reports|713 of signalroom")
    ]
    assert len(lines) >= 3
    assert "client 713, the holder (server process" in lines[0]


def test_a_table_in_use_is_altered_when_it_is_free_and_nothing_is_held_meanwhile(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = kept_beside(["slices"], "shop")
    access.create_own_tables("shop", windows)
    ask("ALTER TABLE shop.windows DROP COLUMN swept_at")
    with reading(postgres_url, "shop.windows") as backup:

        def pause(_: float) -> None:
            assert ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
            backup.rollback()

        monkeypatch.setattr(
            transactions, "until_free", partial(transactions.until_free, pause=pause)
        )
        access.create_own_tables("shop", windows)
    assert (
        "a table of schema shop is to be altered: waiting for pg_dump (server process"
        in caplog.text
    )
    assert ask("SELECT swept_at FROM shop.windows") == []


def test_a_table_that_stays_in_use_ends_the_attempt_in_words(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = kept_beside(["slices"], "shop")
    access.create_own_tables("shop", windows)
    ask("ALTER TABLE shop.windows DROP COLUMN swept_at")
    monkeypatch.setattr(transactions, "DDL_PATIENCE_SECONDS", 1.0)
    with (
        reading(postgres_url, "shop.windows"),
        pytest.raises(TableInUseError, match=r"in use .* by pg_dump"),
    ):
        access.create_own_tables("shop", windows)


def test_a_process_that_says_nothing_in_its_transaction_loses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactions, "IDLE_SECONDS", 1)
    with (
        pytest.raises(DestinationUnreachableError, match=r"client 713: Postgres is not reachable"),
        access.transaction("client 713") as query,
    ):
        query("SELECT 1")
        time.sleep(1.5)
        query("SELECT 1")


def test_a_model_that_is_as_it_should_be_waits_for_nobody_who_alters_tables(
    project: Project, postgres_url: str
) -> None:
    for client in ("713", "cti"):
        bucket = project.add_client(client, prefixes=("orders-create", "orders-update"))
        write_export(bucket / "orders-create/one.csv", orders([1]))
        load("s3_exports", client)
    run_model(("public", "orders"), get_client("713"))
    with reading(postgres_url, "public.orders"), access.transaction("another client's") as query:
        access.lock(query, "ddl|public.orders")
        access.lock_for_ddl(query, "public")
        assert run_model(("public", "orders"), get_client("cti")).rows == 1


def test_doctor_tells_the_servers_limits() -> None:
    with access.connected() as query:
        told = next(each.what for each in inspect(query) if each.subject == "warehouse server")
    assert "of 60 connections in use, no statement_timeout, no lock_timeout" in told
