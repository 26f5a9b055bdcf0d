"""Running a SQL model for one client: its rows are replaced in one transaction, under the client's lock."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from signalroom_dagster import config
from signalroom_dagster.clients import Client
from signalroom_dagster.loading import catalog, runs
from signalroom_dagster.loading.sql_models import Model, TableName, models
from signalroom_dagster.loading.tables import move_aside
from signalroom_dagster.loading.warehouse import (
    Query,
    connected,
    is_secured,
    lock,
    secure_table,
    transaction,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelRun:
    """What running a model for a client gave: rows, how long it took in seconds, and the columns' types by name."""

    rows: int
    seconds: float
    types: Mapping[str, str]


def run_model(name: TableName, client: Client) -> ModelRun:
    """Replace one client's rows of a model's table with what its SELECT gives now.

    The caller holds `warehouse.exclusive()`. Tables that the model reads are created where no load has yet: a client
    without one of the sources gets what the others give. Raises ConfigurationError when no source brings a table.
    """
    model, started = models()[name], time.monotonic()
    create_read_tables(model)
    target, dialect = ".".join(name), config.destination_name()
    with transaction(f"client {client.id}, model {target}") as query:
        lock(query, f"model|{target}|{client.id}")
        _create_table(query, model, dialect)
        query(f"DELETE FROM {target} WHERE _client_id = %s", client.id)
        columns = ", ".join(model.columns)
        select = model.select(dialect)
        query(f"INSERT INTO {target} ({columns}) {select}", *[client.id] * select.count("%s"))
        rows = int(query(f"SELECT count(*) FROM {target} WHERE _client_id = %s", client.id)[0][0])
        types = _columns(query, *name)
    log.info("client %s: %s has %s rows", client.id, target, f"{rows:,}")
    return ModelRun(rows, time.monotonic() - started, types)


def check_is_ours(query: Query, name: TableName) -> None:
    """Raises ConfigurationError for a table or view of a model's name that SignalRoom did not make.

    A model's table is made anew when its columns change: another one would be lost with that.
    """
    schema, table = name
    there = set(_columns(query, schema, table))
    if not there or there == set(models()[name].columns):
        return
    unknown = config.destination_name() == "postgres" and not is_secured(query, f"{schema}.{table}")
    if unknown or "_client_id" not in there:
        raise config.ConfigurationError(
            f"{schema}.{table} is there, and is not the table of the model of that name: nothing was changed. Keep it "
            f"under another name with {move_aside(schema, table)}"
        )


def create_models() -> None:
    """Every model's table, empty where it is not there yet; but for models of tables that no client's sources bring.

    The caller holds `warehouse.exclusive()`.
    """
    there = {table for source in catalog.source_names() for table in catalog.tables_of(source)}
    for model in models().values():
        if not there.issuperset(model.reads):
            continue
        there.add(model.name)
        create_read_tables(model)
        with transaction(f"model {'.'.join(model.name)}") as query:
            _create_table(query, model, config.destination_name())


def create_read_tables(model: Model) -> None:
    """The tables that a model reads, empty and typed, where nothing has created or completed them yet."""
    with connected() as query:
        missing = [read for read in model.reads if "_client_id" not in _columns(query, *read)]
    if not missing:
        return
    for source in sources_of(missing):
        runs.create_tables(source)
    for read in missing:
        if read not in models() and not sources_of([read]):
            raise config.ConfigurationError(
                f"model {'.'.join(model.name)} reads {'.'.join(read)}, which no client's sources bring"
            )
        if read in models():
            create_read_tables(models()[read])
            with transaction(f"model {'.'.join(read)}") as query:
                _create_table(query, models()[read], config.destination_name())


def sources_of(tables: Iterable[TableName]) -> Sequence[str]:
    """The sources that load some tables."""
    wanted = set(tables)
    return [name for name in catalog.source_names() if wanted & set(catalog.tables_of(name))]


def read_columns(model: Model) -> Mapping[TableName, Sequence[str]]:
    """The columns of the tables that a model reads, as the warehouse has them; of one that it has not, none."""
    with connected() as query:
        return {read: list(_columns(query, *read)) for read in model.reads}


def _create_table(query: Query, model: Model, dialect: str) -> None:
    """The model's table with the types that its SELECT gives; remade when the model has other columns by now.

    A remade table keeps every client's rows; columns that are new are empty in them until each client's next run.
    """
    schema, table = model.name
    lock(query, f"ddl|{schema}.{table}")
    query(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    check_is_ours(query, model.name)
    there = _columns(query, schema, table)
    if set(there) == set(model.columns):
        secure_table(query, f"{schema}.{table}")
        return
    made = f"{table}__made" if there else table
    select = model.select(dialect)
    query(f"CREATE TABLE {schema}.{made} AS {select} LIMIT 0", *[""] * select.count("%s"))
    if dialect == "postgres":
        query(f"CREATE INDEX ON {schema}.{made} (_client_id)")
    secure_table(query, f"{schema}.{made}")
    if there:
        log.info("%s.%s gets the columns that its model has now", schema, table)
        kept = ", ".join(name for name in there if name in model.columns)
        query(f"INSERT INTO {schema}.{made} ({kept}) SELECT {kept} FROM {schema}.{table}")
        query(f"DROP TABLE {schema}.{table}")
        query(f"ALTER TABLE {schema}.{made} RENAME TO {table}")


def _columns(query: Query, schema: str, table: str) -> Mapping[str, str]:
    """The columns of a table as it is, with their types in the engine's words."""
    sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    return {str(name): str(kind).lower() for name, kind in query(sql, schema, table)}
