"""Postgres as destination: dlt's own, with the work of our lanes, and fit for a transaction pooler.

Supabase's pooler on port 6543 gives each transaction another server session: so no startup options,
no search path, no session locks; every name is qualified and every lock ends with its transaction.

https://supabase.com/docs/guides/database/connecting-to-postgres
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.postgres.factory import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from psycopg2 import sql as pg
from typing_extensions import override

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.courier import is_ours
from signalroom_dagster.loading.destinations import ResolvedOnce
from signalroom_dagster.loading.staged import StagedLoad, Staging
from signalroom_dagster.logs import bound
from signalroom_dagster.warehouse import postgres as engine
from signalroom_dagster.warehouse.bookkeeping import OURS, move_aside
from signalroom_dagster.warehouse.postgres import IdleConnections, connect
from signalroom_dagster.warehouse.row_security import secure
from signalroom_dagster.warehouse.table_columns import marks
from signalroom_dagster.warehouse.transactions import (
    asking,
    copy_limit,
    ddl_limit,
    limits,
    statement_limit,
    take_lock,
    until_free,
)

COPY_BYTES = 1024 * 1024


class PoolerSqlClient(Psycopg2SqlClient):
    """dlt's client without startup options, which a transaction pooler refuses, and with limits to
    a transaction.
    """

    connections: IdleConnections | None = None

    @override
    @contextmanager
    def begin_transaction(self) -> Generator[Any]:
        with super().begin_transaction() as transaction:
            self.execute_sql(limits(bound("client", "table") or self.dataset_name))
            yield transaction

    @override
    def open_connection(self) -> "psycopg2.extensions.connection":
        url = self.credentials.to_native_representation()
        self._conn = self.connections.take(url) if self.connections else connect(url)
        return self._conn

    @override
    def close_connection(self) -> None:
        if self._conn and self.connections:
            self.connections.give_back(self._conn)
            self._conn = None
        super().close_connection()


class SignalRoomPostgresClient(Staging, PostgresClient):
    """dlt's client, with locks around its DDL and what the lanes need."""

    @property
    @override
    def clock(self) -> str:
        return engine.CLOCK

    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        names = self.create_dataset_names(schema, config)
        self.sql_client = PoolerSqlClient(*names, config.credentials, capabilities)

    @override
    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        if not truncate_tables and self.is_storage_initialized():
            return
        with self.maybe_ddl_transaction():
            super().initialize_storage(truncate_tables)  # pyright: ignore[reportArgumentType]

    @override
    def update_stored_schema(
        self, only_tables: Any = None, expected_update: Any = None, force: bool = False
    ) -> Any:
        """What dlt finds to be changed, tried again while somebody uses the tables."""
        update = partial(super().update_stored_schema, only_tables, expected_update, force)
        return until_free(update, self.sql_client.dataset_name, self.sql_client.execute_sql)

    @override
    @contextmanager
    def maybe_ddl_transaction(self) -> Generator[None]:
        """Two clients' first loads would create the same schema and tables: the second waits here.

        In the transaction that changes the tables, so that a pooler with few connections cannot
        lock up. A statement does not wait for a table that is in use: everybody else would wait
        behind it.
        """
        with super().maybe_ddl_transaction():
            take_lock(
                asking(self.sql_client.native_connection), f"ddl|{self.sql_client.dataset_name}"
            )
            self.sql_client.execute_sql(ddl_limit())
            yield

    @override
    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        if is_ours(self.schema.tables.get(table_name, {})):
            # each load is a transaction of its own; dlt copies the table's whole schema to find
            # that out
            return False
        return super().should_load_data_to_staging_dataset(table_name)

    @override
    def renew_connection(self) -> None:
        """Open another connection when the one that stood idle while a vendor was asked is gone."""
        try:
            self.sql_client.execute_sql("SELECT 1")
        except (
            DatabaseException,
            psycopg2.Error,
        ):  # what is done next tells whether the server is there
            self.sql_client.close_connection()
            if self.sql_client.connections:
                self.sql_client.connections.close()  # those that wait have been idle for as long
            self.sql_client.open_connection()

    @override
    def lock(self, name: str) -> None:
        take_lock(
            asking(self.sql_client.native_connection), f"{self.sql_client.dataset_name}|{name}"
        )

    @override
    def copy_csv(
        self, table: str, kinds: Mapping[str, str], path: Path, *, staged: bool = False
    ) -> int:
        schema = () if staged else (self.sql_client.dataset_name,)
        statement = pg.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')").format(
            pg.Identifier(*schema, table), pg.SQL(", ").join(map(pg.Identifier, kinds))
        )
        with self.sql_client.native_connection.cursor() as cursor, path.open("rb") as rows:
            cursor.execute(copy_limit(path.stat().st_size))
            cursor.copy_expert(statement, rows, COPY_BYTES)
            copied = cursor.rowcount
            cursor.execute(statement_limit())
            return copied

    @override
    def explain(self, error: Exception, what: str) -> Exception:
        return engine.explain(error, what)

    @override
    def _get_table_update_sql(
        self, table_name: str, new_columns: Any, generate_alter: bool
    ) -> list[str]:
        statements = super()._get_table_update_sql(table_name, new_columns, generate_alter)
        table = self.prepare_load_table(table_name)
        qualified = self.sql_client.make_qualified_table_name
        statements += marks(qualified(table_name), new_columns, self.sql_client.escape_column_name)
        if generate_alter:
            added = {str(column.get("name")) for column in new_columns}
            if is_ours(table) and OURS & added:
                raise _of_another_system(self.sql_client.dataset_name, table_name)
            return statements
        if is_ours(table):
            statements += _indexes(table_name, table, qualified)
        return [*statements, secure(qualified(table_name))]

    @override
    def secure_tables(self) -> None:

        def once() -> None:
            with self.maybe_ddl_transaction():
                for name in self.schema.tables:
                    self.sql_client.execute_sql(
                        secure(self.sql_client.make_qualified_table_name(name))
                    )

        until_free(once, self.sql_client.dataset_name, self.sql_client.execute_sql)


def _of_another_system(schema: str, table: str) -> ConfigurationError:
    return ConfigurationError(
        f"{schema}.{table} is there, and another system made it: nothing was changed. Keep it under"
        f" another name with {move_aside(schema, table)}, or all of them with ALTER SCHEMA {schema}"
        f" RENAME TO {schema}_before"
    )


def _indexes(name: str, table: Any, qualified: Callable[[str], str]) -> Iterator[str]:
    """What a load deletes by: of files the file, of slices the key (and no key twice) and the
    day.
    """
    on = qualified(name)
    if table["x-load"] == "files":
        yield f"CREATE INDEX IF NOT EXISTS {name}_file_idx ON {on} (_client_id, _file_name)"
        return
    key = [column for column, hint in table["columns"].items() if hint.get("primary_key")]
    yield f"CREATE UNIQUE INDEX IF NOT EXISTS {name}_key ON {on} ({', '.join(key)})"
    if (day := table.get("x-day")) and key[1:2] != [day]:
        yield f"CREATE INDEX IF NOT EXISTS {name}_day_idx ON {on} (_client_id, {day})"


class SignalRoomPostgres(ResolvedOnce, postgres):
    """The destination that pipelines are given."""

    load: StagedLoad | None = None

    @property
    @override
    def client_class(self) -> type[SignalRoomPostgresClient]:
        return SignalRoomPostgresClient

    @override
    def client(self, schema: Any, initial_config: Any = None) -> SignalRoomPostgresClient:
        """A client that shares its connection with the load's other clients, one after another."""
        client = super().client(schema, initial_config)
        client.sql_client.connections = vars(self).setdefault("_connections", IdleConnections())
        client.load = self.load
        return client

    @override
    def close(self) -> None:
        if connections := vars(self).pop("_connections", None):
            connections.close()
