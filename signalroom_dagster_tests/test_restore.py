"""The way back after the loss of a warehouse, as docs/DEPLOYMENT.md describes it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from signalroom_dagster.doctor.inspection import Diagnosis, inspect
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.row_security import roles_sql
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.postgres import PASSWORD, PostgresServer
from signalroom_dagster_tests.projects import Project, orders, write_export

LOADER = f"ALTER ROLE signalroom_loader PASSWORD '{PASSWORD}'"


@pytest.fixture
def another_server() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.remove()


def administer(url: str, *statements: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def as_loader(project: Project, url: str) -> None:
    project.use_postgres(url.replace("//postgres:", "//signalroom_loader:"))


def unwritable() -> list[Diagnosis]:
    with access.connected() as query:
        return [each for each in inspect(query) if each.problem and "may not write" in each.problem]


@pytest.mark.slow
def test_dump_globals_roles_restore_roles_load(
    project: Project,
    postgres_url: str,
    postgres_server: PostgresServer,
    another_server: PostgresServer,
    tmp_path: Path,
) -> None:
    bucket = project.add_client("713")
    write_export(bucket / "orders-create/one.csv", orders([1, 2]))
    roles = roles_sql(load_clients(), catalog.schemas())
    administer(postgres_url, roles, LOADER)
    as_loader(project, postgres_url)
    load("s3_exports")
    login = f"CREATE ROLE dashboard LOGIN PASSWORD '{PASSWORD}' IN ROLE signalroom_client_713"
    administer(postgres_url, "DROP ROLE IF EXISTS dashboard", login)
    dump, logins = tmp_path / "warehouse.dump", tmp_path / "globals.sql"
    run = [postgres_server.program("pg_dump"), "-Fc", "-f", dump, postgres_url]
    subprocess.run(run, check=True)
    every = [
        postgres_server.program("pg_dumpall"),
        "--globals-only",
        "-f",
        logins,
        "-d",
        postgres_url,
    ]
    subprocess.run(every, check=True)

    restored = another_server.create_database("restored")
    with logins.open() as script:
        subprocess.run(
            [another_server.program("psql"), "-q", restored],
            stdin=script,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    administer(restored, roles)
    back = [
        another_server.program("pg_restore"),
        "--no-owner",
        "--exit-on-error",
        "-d",
        restored,
        dump,
    ]
    subprocess.run(back, check=True)
    as_loader(project, restored)
    assert {each.subject for each in unwritable()} == {"schema s3_exports"}
    administer(restored, roles)
    assert unwritable() == []

    write_export(bucket / "orders-create/two.csv", orders([3]))
    load("s3_exports")
    assert ask("SELECT count(*) FROM s3_exports.orders_create") == [(3,)]
    seen = "SELECT count(*) FROM s3_exports.orders_create"
    assert administer(restored.replace("//postgres:", "//dashboard:"), seen) == [(3,)]
    administer(postgres_url, "DROP OWNED BY dashboard", "DROP ROLE dashboard")
