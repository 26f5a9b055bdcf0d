"""Runs a SQL model for one client: replaces its rows in one transaction, under its lock."""

import hashlib
import logging
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from signalroom_dagster import config
from signalroom_dagster.loading import pipelines
from signalroom_dagster.modeling.functions import MOST_MONEY
from signalroom_dagster.modeling.planning import check_model
from signalroom_dagster.modeling.sql import Model, TableName, behind, models
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.warehouse.access import (
    Query,
    add_index,
    alter,
    comment,
    comment_of,
    connected,
    exclusive,
    is_secured,
    lock,
    secure_table,
    transaction,
)
from signalroom_dagster.warehouse.bookkeeping import move_aside
from signalroom_dagster.warehouse.errors import LoadError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelRun:
    """A model run for a client: rows, seconds, and the columns' types by name."""

    rows: int
    seconds: float
    types: Mapping[str, str]


def run_model(name: TableName, client: Client) -> ModelRun:
    """Replace one client's rows of a model's table with what its SELECT gives now.

    The caller holds `warehouse.exclusive()`. Tables that the model reads are created where no load
    has yet: a client without one of the sources gets what the others give. Raises
    ConfigurationError when no source brings a table, and for SQL that the engine cannot plan.
    """
    model, started = models()[name], time.monotonic()
    target, dialect = ".".join(name), config.destination_name()
    create_read_tables(model)
    with _refusals_placed(model, client):
        _create_table(model)
        with transaction(f"client {client.id}, model {target}") as query:
            lock(query, f"model|{target}|{client.id}")
            query(f"DELETE FROM {target} WHERE _client_id = %s", client.id)
            columns = ", ".join(model.columns)
            select = model.select(dialect)
            query(f"INSERT INTO {target} ({columns}) {select}", *[client.id] * select.count("%s"))
            rows = int(
                query(f"SELECT count(*) FROM {target} WHERE _client_id = %s", client.id)[0][0]
            )
            types = _columns(query, *name)
    log.info("client %s: %s has %s rows", client.id, target, f"{rows:,}")
    return ModelRun(rows, time.monotonic() - started, types)


@contextmanager
def _refusals_placed(model: Model, client: Client) -> Generator[None]:
    """Raise what the engine cannot plan, with its place in the file; after a failed run only.

    Planning costs as much as running a small model does.
    """
    try:
        yield
    except LoadError:
        with connected() as query:
            check_model(query, model, config.destination_name(), client.id)
        raise


def run_models_of(sources: Iterable[str], client: Client) -> Sequence[TableName]:
    """Make a client's models anew that read the sources, also through other models; which ones.

    For loads outside Dagster, whose automation does the same. Raises what running a model raises.
    """
    affected = [name for name in makeable() if _reads_of(name, sources)]
    for name in affected:
        with exclusive():
            run_model(name, client)
    return affected


def left_out_of(sources: Iterable[str]) -> Sequence[str]:
    """Why each model that reads one of the sources, and is made for nobody, is not."""
    return [problem for name, problem in left_out_models().items() if _reads_of(name, sources)]


def _reads_of(name: TableName, sources: Iterable[str]) -> bool:
    """Whether a model reads one of the sources, also through other models."""
    changed = {table for source in sources for table in catalog.tables_of(source)}
    return bool(changed.intersection(behind(models()[name].reads)))


def check_is_ours(query: Query, name: TableName) -> None:
    """Raises ConfigurationError for a table or view of a model's name that SignalRoom did not make.

    A model's table is made anew when its columns change: another one would be lost with that.
    """
    schema, table = name
    there = set(_columns(query, schema, table))
    if not there or there == set(models()[name].columns):
        return
    if not is_secured(query, f"{schema}.{table}") or "_client_id" not in there:
        raise config.ConfigurationError(
            f"{schema}.{table} is there, and is not the table of the model of that name: nothing"
            f" was changed. Keep it under another name with {move_aside(schema, table)}"
        )


def create_models() -> None:
    """Every model's table, empty where new; none for a model of tables that no client has.

    The caller holds `warehouse.exclusive()`.
    """
    for name in makeable():
        create_read_tables(models()[name])
        _create_table(models()[name])


def makeable() -> Iterator[TableName]:
    """Every model that reads only what sources bring, or could bring, and other such models."""
    left_out = left_out_models()
    yield from (name for name in models() if name not in left_out)


def left_out_models() -> Mapping[TableName, str]:
    """The models that no client has, and which of the tables they read no source brings."""
    there = {table for source in catalog.source_names() for table in catalog.tables_to_read(source)}
    problems: dict[TableName, str] = {}
    for model in models().values():
        if lacking := [".".join(read) for read in model.reads if read not in there]:
            problems[model.name] = (
                f"model {'.'.join(model.name)} is left out for every client: it reads"
                f" {', '.join(lacking)}, which no client's sources bring"
            )
        else:
            there.add(model.name)
    return problems


def create_read_tables(model: Model) -> None:
    """Empty, typed tables for a model to read, where nothing has created or completed them yet."""
    with connected() as query:
        missing = [read for read in model.reads if "_client_id" not in _columns(query, *read)]
    if not missing:
        return
    for source in sources_of(missing):
        pipelines.create_tables(source)
    for read in missing:
        if read not in models() and not sources_of([read]):
            raise config.ConfigurationError(
                f"model {'.'.join(model.name)} reads {'.'.join(read)}, which no client's sources"
                " bring"
            )
        if read in models():
            create_read_tables(models()[read])
            _create_table(models()[read])


def sources_of(tables: Iterable[TableName]) -> Sequence[str]:
    """The sources that load some tables, or would."""
    wanted = set(tables)
    return [name for name in catalog.source_names() if wanted & set(catalog.tables_to_read(name))]


def read_columns(model: Model) -> Mapping[TableName, Sequence[str]]:
    """The columns of the tables that a model reads, as they are; none where there is no table."""
    with connected() as query:
        return {read: list(_columns(query, *read)) for read in model.reads}


def _create_table(model: Model) -> None:
    """The model's table with the types that its SELECT gives, also when the model has changed.

    It is altered then, not made anew: it keeps its rights, its row-level security, the views on it
    and every client's rows. Columns that are new, or of another type, are empty until each client's
    next run. Which model it follows stands in its comment, together with what the table and its
    columns mean: where it does, nothing is locked.
    """
    schema, table = model.name
    with connected() as query:
        check_is_ours(query, model.name)
        if comment_of(query, f"{schema}.{table}") == _about(model) and is_secured(
            query, f"{schema}.{table}"
        ):
            return
    alter(schema, partial(_follow, model=model))


def _follow(query: Query, model: Model) -> None:
    schema, table = model.name
    target, dialect = f"{schema}.{table}", config.destination_name()
    select = model.select(dialect)
    query(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    check_is_ours(query, model.name)
    secure_table(query, target)
    there = _columns(query, schema, table)
    if there and comment_of(query, target) == _about(model):
        return
    made = f"{target}__made" if there else target
    query(f"CREATE TABLE {made} AS {select} LIMIT 0", *[""] * select.count("%s"))
    if there:
        wanted = _columns(query, schema, f"{table}__made")
        query(f"DROP TABLE {made}")
        there = {**there, **_bound_amounts(query, target, there, wanted)}
        for name in (name for name in there if wanted.get(name) != there[name]):
            log.info("%s: column %s goes, or comes back as another type", target, name)
            query(f"ALTER TABLE {target} DROP COLUMN {name}")
        for name in (name for name in wanted if there.get(name) != wanted[name]):
            query(f"ALTER TABLE {target} ADD COLUMN {name} {wanted[name]}")
    else:
        add_index(query, target, "_client_id")
        secure_table(query, target)
    comment(query, target, _about(model), model.columns)


def _bound_amounts(
    query: Query, target: str, there: Mapping[str, str], wanted: Mapping[str, str]
) -> Mapping[str, str]:
    """Give amounts that an earlier release kept without bounds their type; those columns then.

    Postgres alone had such columns. One too large for the type is NULL until its client's next run;
    a column that a view reads cannot be altered, and holds the same amounts without bounds.
    """
    amounts = [
        name
        for name, kind in wanted.items()
        if (there.get(name), kind) == ("numeric", "numeric(18, 4)")
    ]
    if not amounts:
        return {}
    in_views = {
        name
        for (name,) in query(
            "SELECT a.attname FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid"
            " AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid"
            " = %s::regclass",
            target,
        )
    }
    changes = ", ".join(
        f"ALTER COLUMN {name} TYPE numeric(18, 4) USING CASE WHEN abs({name}) <= {MOST_MONEY} THEN"
        f" {name} END"
        for name in amounts
        if name not in in_views
    )
    if changes:
        query(f"ALTER TABLE {target} {changes}")
    if kept := ", ".join(name for name in amounts if name in in_views):
        log.warning(
            "%s: a view reads %s, so that its type stays numeric without bounds", target, kept
        )
    return {name: wanted[name] for name in amounts}


def _about(model: Model) -> str:
    """What a model's table says of itself, and which model it follows."""
    select = model.select(config.destination_name())
    return f"{model.about} [model {hashlib.sha256(select.encode()).hexdigest()[:8]}]"


def _columns(query: Query, schema: str, table: str) -> Mapping[str, str]:
    """The columns of a table as it is, with their types in the engine's words."""
    sql = (
        "SELECT column_name, CASE data_type WHEN 'numeric' THEN data_type || coalesce('(' ||"
        " numeric_precision || ', ' || numeric_scale || ')', '') ELSE data_type END FROM"
        " information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY"
        " ordinal_position"
    )
    return {str(name): str(kind).lower() for name, kind in query(sql, schema, table)}
