"""Postgres as it is in production: behind a transaction pooler, and sometimes not there."""

import re
import shutil
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.loading.files import FileLane
from signalroom_dagster.loading.listing import Changes
from signalroom_dagster.loading.pipelines import run_load, run_with_retries
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sources.s3_exports.file_columns import FileColumns
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import (
    DestinationLostError,
    DestinationUnreachableError,
    LoadError,
)
from signalroom_dagster.warehouse.postgres import IdleConnections, connect, explain
from signalroom_dagster_tests.loading.processes import finish, start_load
from signalroom_dagster_tests.loading.slices import LISTS, put, row
from signalroom_dagster_tests.postgres import NOBODY, PASSWORD, PostgresServer, free_port
from signalroom_dagster_tests.projects import Project, orders, write_export

ROWS = 400


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server of this test's own, to be stopped."""
    server = PostgresServer().start()
    yield server
    server.remove()


def fill(project: Project, files: int = 3) -> None:
    bucket = project.add_client("713")
    for day in range(1, files + 1):
        rows = orders(range(day * 1000, day * 1000 + ROWS))
        write_export(bucket / f"orders-create/report_2026-03-{day:02}.csv", rows)


def counted() -> tuple[int, int]:
    with access.connected() as query:
        return tuple(
            query("SELECT count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create")[0]
        )  # type: ignore[return-value]


@pytest.fixture
def pooler(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """A PgBouncer in transaction mode before the test server, as strict as it comes; its port."""
    binary = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if not binary:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    folder = tmp_path_factory.mktemp("pooler")
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    port = free_port()
    (folder / "users.txt").write_text(f'"postgres" "{PASSWORD}"\n')
    (folder / "pooler.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgres_server.port}\n[pgbouncer]\nlisten_addr ="
        f" 127.0.0.1\nlisten_port = {port}\nauth_type = scram-sha-256\nauth_file ="
        f" {folder}/users.txt\npool_mode = transaction\ndefault_pool_size = 3\nserver_reset_query ="
        " DISCARD ALL\nserver_reset_query_always = 1\nunix_socket_dir =\n"
    )
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    process = subprocess.Popen(
        [binary, "-q", folder / "pooler.ini"], stderr=subprocess.DEVNULL, **as_nobody
    )  # type: ignore[call-overload]
    for _ in range(200):
        assert process.poll() is None, "pgbouncer did not start"
        try:
            psycopg2.connect(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres").close()
            break
        except psycopg2.OperationalError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


def test_a_transaction_pooler_is_enough_also_for_two_clients_at_once(
    project: Project, postgres_url: str, postgres_server: PostgresServer, pooler: int
) -> None:
    project.use_postgres(postgres_url.replace(f":{postgres_server.port}/", f":{pooler}/"))
    fill(project)
    other = project.add_client("cti")
    write_export(other / "orders-create/report_2026-03-01.csv", orders(range(ROWS)))
    running = [
        start_load(project.environment, client, f"run-{client}") for client in ("713", "cti", "713")
    ]
    assert [finish(process) for process in running] == [0, 0, 0]
    assert counted() == (4 * ROWS, 4 * ROWS)


def test_a_file_that_comes_back_behind_a_loads_listing_is_not_called_deleted(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.use_postgres(postgres_url)
    path = write_export(
        project.add_client("713") / "orders-create/report_2026-03-01.csv", orders([1])
    )
    run_load("s3_exports", get_client("713"), "first")
    path.unlink()
    listed = FileLane.changes

    def then_the_file_comes_back(self: FileLane, table: str) -> Changes:
        changes = listed(self, table)
        write_export(path, orders([1, 2]))
        assert finish(start_load(project.environment, "713", "other")) == 0
        return changes

    monkeypatch.setattr(FileLane, "changes", then_the_file_comes_back)
    run_load("s3_exports", get_client("713"), "slow")
    with access.connected() as query:
        assert query("SELECT status, rows_loaded FROM s3_exports.files") == [("loaded", 2)]


def test_a_newer_version_is_loaded_although_another_load_has_just_put_the_older_one_there(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.use_postgres(postgres_url)
    path = write_export(
        project.add_client("713") / "orders-create/report_2026-03-01.csv", orders([1])
    )
    listed, others = FileLane.changes, []

    def behind_another_load(self: FileLane, table: str) -> Changes:
        if not others:  # this load has read the ledger, but not yet listed the bucket
            others.append(finish(start_load(project.environment, "713", "other")))
            write_export(path, orders([1, 2]))
        return listed(self, table)

    monkeypatch.setattr(FileLane, "changes", behind_another_load)
    run_with_retries("s3_exports", get_client("713"), "slow")
    with access.connected() as query:
        assert query("SELECT status, rows_loaded, run_id FROM s3_exports.files") == [
            ("loaded", 2, "slow")
        ]
    assert (counted(), others) == ((2, 2), [0])


@pytest.mark.parametrize("password", ["S3cr%zzRET", "S3cr/et@word", "S3cr et"])
def test_a_password_that_makes_the_url_unreadable_is_not_told(
    project: Project, password: str
) -> None:
    project.use_postgres(f"postgresql://somebody:{password}@127.0.0.1:1/warehouse")
    project.add_client("713")
    with (
        pytest.raises((ConfigurationError, DestinationUnreachableError)) as failed,
        access.connected(),
    ):
        pytest.fail("it connected all the same")
    assert "S3cr" not in "".join(traceback.format_exception(failed.value))


def test_a_login_or_a_database_that_is_not_there_fails_at_once_and_says_what_to_check(
    project: Project, postgres_url: str
) -> None:
    without_password = re.sub(r":[^:@/]+@", "@", postgres_url)
    for url in (without_password, f"{postgres_url}_of_nobody"):
        project.use_postgres(url)
        with (
            pytest.raises(ConfigurationError, match="check user, password and database"),
            access.connected(),
        ):
            pytest.fail("it connected all the same")


def test_a_server_that_does_not_answer_is_named(project: Project) -> None:
    project.use_postgres("postgresql://somebody:secret@127.0.0.1:1/warehouse")
    with (
        pytest.raises(
            DestinationUnreachableError, match=r"Postgres at 127.0.0.1:1 is not reachable \(Conn"
        ) as failed,
        access.connected(),
    ):
        pytest.fail("it connected all the same")
    assert "secret" not in str(failed.value)


def test_a_connection_that_was_lost_while_the_vendor_was_asked_is_opened_again(
    project: Project, postgres_url: str, tmp_path: Path
) -> None:
    project.use_postgres(postgres_url)

    def end_all_other_sessions() -> None:
        with access.connected() as query:
            while not query(
                "SELECT 1 FROM shop._dlt_pipeline_state"
            ):  # loaded beside it, and not to be disturbed
                time.sleep(0.01)
            query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                " current_database() AND pid <> pg_backend_pid()"
            )

    put(
        tmp_path,
        LISTS,
        [date(2026, 3, 2)],
        [row(date(2026, 3, 2), "a")],
        replaces="client",
        meanwhile=end_all_other_sessions,
    )
    with access.connected() as query:
        assert query("SELECT id FROM shop.lists") == [("a",)]


def test_a_load_waits_for_a_postgres_that_comes_back(
    project: Project, own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.use_postgres(own_server.create_database("warehouse"))
    fill(project)
    from signalroom_dagster.loading.postgres import SignalRoomPostgresClient

    copy, stopped = SignalRoomPostgresClient.copy_csv, threading.Event()

    def stop_in_the_middle(self: SignalRoomPostgresClient, *args: Any, **how: Any) -> int:
        copied = copy(self, *args, **how)
        if not stopped.is_set():
            stopped.set()
            own_server.stop(signal.SIGQUIT)
            threading.Timer(4, own_server.start).start()
        return copied

    monkeypatch.setattr(SignalRoomPostgresClient, "copy_csv", stop_in_the_middle)
    run_with_retries("s3_exports", get_client("713"), "run")
    assert stopped.is_set()
    assert counted() == (3 * ROWS, 3 * ROWS)


def test_a_postgres_that_stays_away_fails_the_load_clearly_and_the_next_one_is_right(
    project: Project, own_server: PostgresServer
) -> None:
    project.use_postgres(own_server.create_database("warehouse"))
    fill(project)
    own_server.stop()
    said: list[str] = []
    with pytest.raises(
        DestinationLostError, match="not reachable .* waited 5 s. The next schedule"
    ):
        access.wait_until_reachable(said.append, wait_seconds=5, pause=lambda _: time.sleep(0.01))
    assert "asking again in 1 s" in said[0] and "asking again in 4 s" in said[2]
    own_server.start()
    run_load("s3_exports", get_client("713"), "run")
    assert counted() == (3 * ROWS, 3 * ROWS)


def test_pauses_grow_to_a_minute(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.use_postgres(f"postgresql://postgres:x@127.0.0.1:{free_port()}/nothing")
    now, pauses = [0.0], list[float]()
    monkeypatch.setattr(access.time, "monotonic", lambda: now[0])

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    with pytest.raises(DestinationLostError):
        access.wait_until_reachable(lambda _: None, pause=pause)
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert 14 * 60 <= sum(pauses) <= 15 * 60


def test_a_wrong_password_is_a_matter_of_configuration_and_stays_secret(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        connect(postgres_url.replace(PASSWORD, "wrong-secret"))
    assert "DESTINATION__POSTGRES__CREDENTIALS" in str(raised.value)
    assert "wrong-secret" not in str(raised.value)


def test_errors_say_what_was_tried_and_never_quote_a_row(postgres_url: str) -> None:
    connection = connect(postgres_url)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE people (email text UNIQUE)")
        cursor.execute("INSERT INTO people VALUES ('a@example.com')")
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute("INSERT INTO people VALUES ('a@example.com')")
    connection.close()
    explained = explain(raised.value, "client 713: file x")
    assert isinstance(explained, LoadError)
    assert str(explained) == "client 713: file x: Postgres refused it: UniqueViolation 23505"


def test_a_server_that_went_away_is_told_apart_from_one_that_refuses(postgres_url: str) -> None:
    connection = connect(postgres_url)
    with pytest.raises(psycopg2.Error) as raised, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert isinstance(explain(raised.value, "x"), DestinationUnreachableError)


def test_only_a_sound_connection_outside_a_transaction_is_used_again(postgres_url: str) -> None:
    connections = IdleConnections()
    sound, busy, ended = (connections.take(postgres_url) for _ in range(3))
    busy.autocommit = False
    busy.cursor().execute("SELECT 1")
    ended.close()
    for connection in (sound, busy, ended):
        connections.give_back(connection)
    assert connections.take(postgres_url) is sound
    assert connections.take(postgres_url) not in (sound, busy, ended)
    assert busy.closed
    connections.give_back(sound)
    connections.close()
    assert sound.closed


@pytest.fixture(autouse=True)
def _work_folder_is_clean(project: Project) -> Iterator[None]:
    yield
    work = project.root / "work"
    assert (
        not [path for path in work.rglob("*") if path.is_file() and path.name != ".lock"]
        or not Path(work).exists()
    )


def test_a_table_without_room_for_a_new_column_is_a_sentence_and_is_not_tried_again(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.use_postgres(postgres_url)
    bucket = project.add_client("713", prefixes=["leads"])
    write_export(bucket / "leads" / "1.csv", [{"a": "1"}], header=["a"])
    run_load("s3_exports", get_client("713"), "run-1")
    with access.transaction("test") as query:
        query(
            "ALTER TABLE s3_exports.leads "
            + ", ".join(f"ADD COLUMN other_{number} text" for number in range(1_590))
        )
    monkeypatch.setattr(
        FileColumns, "admitted", lambda self, kept: tuple(kept)
    )  # as if others had filled it
    names = ["a", *(f"new_{number}" for number in range(20))]
    write_export(bucket / "leads" / "2.csv", [dict.fromkeys(names, "1")], header=names)
    with pytest.raises(Exception) as caught:  # noqa: B017 - whatever dlt wraps it in
        run_load("s3_exports", get_client("713"), "run-2")
    cause = root_error(caught.value)
    assert isinstance(cause, LoadError)
    assert str(cause).startswith(
        "client 713, source s3_exports: Postgres refused it: a table takes no more columns"
    )
    assert "lower new_columns" in str(cause)
    assert decide(caught.value, 1).wait is None
