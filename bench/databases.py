"""A fresh database for each measurement, and what is in it afterwards. It is dropped as soon as it
has been read.
"""

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2

from bench.data import TABLE
from bench.measure import in_child
from bench.places import WORK
from signalroom_dagster_tests.postgres import PostgresServer

SERVER_OPTIONS = {"fsync": "on", "shared_buffers": "512MB", "autovacuum": "off"}
"""Autovacuum is off so that cleaning up after one load is never charged to the next."""


@contextmanager
def postgres_server() -> Generator[PostgresServer]:
    """A Postgres that is gone afterwards."""
    server = PostgresServer(SERVER_OPTIONS)
    try:
        yield server.start()
    finally:
        server.remove()


@contextmanager
def fresh(engine: str, server: PostgresServer, name: str = "bench") -> Generator[str]:
    """An empty database of one engine: a Postgres URL or the path of a DuckDB file."""
    if engine == "postgres":
        _on_server(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        try:
            yield server.create_database(name)
        finally:
            _on_server(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        return
    folder = WORK / "duckdb"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield str(folder / f"{name}.duckdb")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def count_rows(database: str) -> int:
    """How many rows the loaded table holds, in whatever schema a tool has put it."""
    return in_child(
        lambda: _count(
            _postgres_query if database.startswith("postgresql") else _duckdb_query, database
        )
    )


def server_version(server: PostgresServer) -> str:
    """The version of the Postgres that is measured."""
    return str(_postgres_query(server.url("postgres"), "SHOW server_version")[0][0]).split()[0]


def _count(query: Any, database: str) -> int:
    schemas = query(
        database,
        f"SELECT table_schema FROM information_schema.tables WHERE table_name = '{TABLE}' "
        "AND table_schema NOT LIKE '%staging'",
    )
    if len(schemas) != 1:
        raise RuntimeError(f"{len(schemas)} tables named {TABLE}, one was expected")
    return int(query(database, f"SELECT count(*) FROM {schemas[0][0]}.{TABLE}")[0][0])


def _postgres_query(database: str, sql: str) -> Sequence[Any]:
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def _duckdb_query(database: str, sql: str) -> Sequence[Any]:
    import duckdb

    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _on_server(server: PostgresServer, statement: str) -> None:
    connection = psycopg2.connect(server.url("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
