"""Makes a client's rows of a reference table those of its file, in one transaction.

Only rows that differ are written: `created_at` stays, `updated_at` says when a row's values last
changed. Rows that are gone from the file are deleted, the client's own only.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

from pydantic import BaseModel

from signalroom_dagster.config import ConfigurationError, project_dir
from signalroom_dagster.reference.tables import (
    SCHEMA,
    StoredColumn,
    check_fits,
    make_ready,
    qualified,
    stored_columns,
)
from signalroom_dagster.reference_data import (
    Change,
    Difference,
    ReferenceSchema,
    ReferenceTable,
    Row,
)
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.warehouse.access import (
    Query,
    connected,
    exclusive,
    lock,
    retried_while_in_use,
    transaction,
)

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 500

Stored = Sequence[tuple[Any, Row]]
"""The client's rows as they are, each with its id."""


class ReferenceModule(Protocol):
    """What the package of a source of reference data offers, beside `Settings`."""

    def tables_of(self, client_ids: Iterable[str], root: Path) -> Mapping[str, ReferenceSchema]:
        """Every table that one of the clients has a schema for."""
        ...

    def read(self, settings: BaseModel, client_id: str, root: Path) -> list[ReferenceTable]:
        """One client's tables with their rows."""
        ...

    def ignored_files(self, settings: BaseModel, client_id: str, root: Path) -> list[str]:
        """The client's files that are not loaded."""
        ...


def declared_tables(source: str) -> Mapping[str, ReferenceSchema]:
    """Every table that any client of a source has; reads no row, no secret and no warehouse."""
    return catalog.reference_tables(source)


def create_reference_tables(source: str) -> None:
    """Every table that is declared, empty where it is not there yet."""
    with exclusive():
        for schema in declared_tables(source).values():
            retried_while_in_use(SCHEMA, partial(_create, schema))


def _create(schema: ReferenceSchema) -> None:
    with transaction(f"table {SCHEMA}.{schema.name}") as query:
        make_ready(query, schema)


def load_reference(source: str, client: Client, dry_run: bool = False) -> list[Difference]:
    """Load a source's tables for one client, or with `dry_run` only say what would change.

    The caller holds `warehouse.exclusive()`. Raises ConfigurationError for files and tables that do
    not fit.
    """
    tables = open_reference(source, client)
    return [
        compare_table(client.id, table) if dry_run else load_table(client.id, table)
        for table in tables
    ]


def open_reference(source: str, client: Client) -> list[ReferenceTable]:
    """The client's part of every declared table, empty for the tables that it has no file of."""
    module, settings = _module(source), accounts.settings_for(source, client)
    read = {table.schema.name: table for table in module.read(settings, client.id, project_dir())}
    for name in module.ignored_files(settings, client.id, project_dir()):
        log.warning("client %s: %s is not loaded: it has no schema file beside it", client.id, name)
    return [
        read.get(name) or ReferenceTable(schema=schema, rows=(), file=None)
        for name, schema in declared_tables(source).items()
    ]


def load_table(client_id: str, table: ReferenceTable) -> Difference:
    """Make the client's rows those of the file. The caller holds `warehouse.exclusive()`.

    Raises ConfigurationError for a table of another shape, and for a file without rows that would
    delete all of the client's; what the warehouse raises otherwise.
    """
    name = table.schema.name

    def once() -> Difference:
        with transaction(f"client {client_id}, table {SCHEMA}.{name}") as query:
            columns = make_ready(query, table.schema)
            lock(query, f"{SCHEMA}|{name}|{client_id}")
            stored = _stored(query, client_id, table.schema, columns)
            difference = _difference(client_id, table, stored)
            _write(
                query,
                client_id,
                table.schema,
                stored,
                difference,
                tagged=columns["_client_id"].generated,
            )
        return difference

    difference = retried_while_in_use(SCHEMA, once)
    log.info("client %s, %s.%s: %s", client_id, SCHEMA, name, difference.summary)
    return difference


def compare_table(client_id: str, table: ReferenceTable) -> Difference:
    """What `load_table` would change; raises what it would raise, and writes nothing."""
    with connected() as query:
        columns = stored_columns(query, table.schema.name)
        check_fits(table.schema, columns)
        return _difference(client_id, table, _stored(query, client_id, table.schema, columns))


def _module(source: str) -> ReferenceModule:
    return cast("ReferenceModule", catalog.source_module(source))


def _stored(
    query: Query, client_id: str, schema: ReferenceSchema, columns: Mapping[str, StoredColumn]
) -> Stored:
    if not columns:
        return []
    selected = ", ".join(
        f'"{name}"' if name in columns else "NULL" for name in ("id", *schema.columns)
    )
    rows = query(
        f'SELECT {selected} FROM {qualified(schema.name)} WHERE "client_id" = %s ORDER BY "id"',
        client_id,
    )
    return [(number, dict(zip(schema.columns, values, strict=True))) for number, *values in rows]


def _difference(client_id: str, table: ReferenceTable, stored: Stored) -> Difference:
    if stored and not table.rows and not table.allow_empty:
        raise ConfigurationError(
            f"client {client_id} has {len(stored)} rows in {SCHEMA}.{table.schema.name}, but"
            f" {_nothing_in(table)}. If they should all go, leave a file with only its header and"
            " set allow_empty = true for the client"
        )
    emptied = sorted(
        name for name in table.empty if any(row[name] is not None for _, row in stored)
    )
    if emptied and table.rows and not table.allow_empty:
        raise ConfigurationError(
            f"client {client_id} has values in {SCHEMA}.{table.schema.name}, but {table.file} has"
            f" none in the columns {', '.join(emptied)}: nothing was loaded. Where there should be"
            " none write n/a, or set allow_empty = true for the client"
        )
    key = table.schema.key
    wanted = {_key(key, row): row for row in table.rows}
    before = {_key(key, row): row for _, row in reversed(stored)}
    return Difference(
        table=table.schema.name,
        key=key,
        rows=len(wanted),
        added=[row for known, row in wanted.items() if known not in before],
        changed=[
            Change(before[known], row)
            for known, row in wanted.items()
            if known in before and before[known] != row
        ],
        removed=[row for known, row in before.items() if known not in wanted],
    )


def _write(
    query: Query,
    client_id: str,
    schema: ReferenceSchema,
    stored: Stored,
    difference: Difference,
    *,
    tagged: bool,
) -> None:
    """Rows are addressed by their id, so that a key that stands there twice is cleared up too."""
    table = qualified(schema.name)
    ids: dict[tuple[Any, ...], list[Any]] = {}
    for number, row in stored:
        ids.setdefault(_key(schema.key, row), []).append(number)
    gone = [number for row in difference.removed for number in ids[_key(schema.key, row)]]
    for some in _chunks(gone + [number for several in ids.values() for number in several[1:]]):
        query(f'DELETE FROM {table} WHERE "id" IN ({", ".join(["%s"] * len(some))})', *some)
    for change in difference.changed:
        new = {name: value for name, value in change.after.items() if value != change.before[name]}
        setting = ", ".join(f'"{name}" = %s' for name in new)
        number = ids[_key(schema.key, change.after)][0]
        query(
            f'UPDATE {table} SET {setting}, "updated_at" = now() WHERE "id" = %s',
            *new.values(),
            number,
        )
    if not tagged:
        query(
            f'UPDATE {table} SET "_client_id" = "client_id" WHERE "client_id" = %s '
            'AND "_client_id" IS DISTINCT FROM "client_id"',
            client_id,
        )
    columns = ("client_id", *(() if tagged else ("_client_id",)), *schema.columns)
    tags = (client_id,) * (len(columns) - len(schema.columns))
    for some in _chunks(
        [(*tags, *(row[name] for name in schema.columns)) for row in difference.added]
    ):
        one = f"({', '.join(['%s'] * len(columns))})"
        names = ", ".join(f'"{name}"' for name in columns)
        values = [value for row in some for value in row]
        query(f"INSERT INTO {table} ({names}) VALUES {', '.join([one] * len(some))}", *values)


def _nothing_in(table: ReferenceTable) -> str:
    return f"{table.file} has none" if table.file else "no file for it any more"


def _key(key: Sequence[str], row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in key)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), ROWS_AT_ONCE):
        yield items[start : start + ROWS_AT_ONCE]
