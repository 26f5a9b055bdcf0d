"""The tables of reference data: made where missing, completed where an earlier system left them.

A column that is there is never dropped or retyped; a table that cannot hold the rows is refused
untouched. No dlt here: its tables and columns would stand in schema `public`, which belongs to the
user's SQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.reference_data import Kind, ReferenceSchema
from signalroom_dagster.warehouse.access import is_secured, lock_for_ddl, secure_table
from signalroom_dagster.warehouse.bookkeeping import move_aside
from signalroom_dagster.warehouse.engine import Query, engine

SCHEMA = "public"

_TYPES: Mapping[Kind, str] = {
    "text": "text",
    "integer": "integer",
    "bigint": "bigint",
    "decimal": "numeric(18,4)",
    "bool": "boolean",
    "date": "date",
}
_HOLDS: Mapping[str, Sequence[str]] = {
    "text": ("text", "character varying", "varchar"),
    "integer": ("integer", "bigint"),
    "bigint": ("bigint",),
    "decimal": ("numeric", "decimal(18,4)"),
    "bool": ("boolean",),
    "date": ("date",),
    "moment": ("timestamp with time zone", "timestamp without time zone", "timestamp"),
}
"""By kind, the types under which the engines list a column that can hold it."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A stored column: its type for the engine, whether an insert must name it or must not."""

    type: str
    required: bool
    generated: bool


def qualified(table: str) -> str:
    """A table's name in SQL."""
    return f'"{SCHEMA}"."{table}"'


def stored_columns(query: Query, table: str) -> Mapping[str, StoredColumn]:
    """The columns of a table by name; none when there is no such table."""
    rows = query(
        "SELECT column_name, data_type, is_nullable = 'NO' AND column_default IS NULL AND"
        " coalesce(is_identity, 'NO') = 'NO', is_generated = 'ALWAYS' FROM"
        " information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY"
        " ordinal_position",
        SCHEMA,
        table,
    )
    return {
        name: StoredColumn(kind.lower(), bool(required), bool(generated))
        for name, kind, required, generated in rows
    }


def make_ready(query: Query, schema: ReferenceSchema) -> Mapping[str, StoredColumn]:
    """Create the table, or add what it lacks, in the caller's transaction; its columns then.

    Raises ConfigurationError, before anything is changed, for a table that is something else.
    """
    found = stored_columns(query, schema.name)
    check_fits(schema, found)
    if not missing_columns(schema, found) and is_secured(query, qualified(schema.name)):
        return found
    lock_for_ddl(query, SCHEMA)  # two first loads at once: the second finds the table made
    found = stored_columns(query, schema.name)
    if not found:
        _create(query, schema)
    else:
        check_fits(schema, found)
        for name in missing_columns(schema, found):
            query(
                f'ALTER TABLE {qualified(schema.name)} ADD COLUMN "{name}"'
                f" {_definitions(schema)[name]}"
            )
    secure_table(query, qualified(schema.name))
    stored = stored_columns(query, schema.name)
    if "_client_id" not in found and not stored["_client_id"].generated:
        query(f'UPDATE {qualified(schema.name)} SET "_client_id" = "client_id"')
    return stored


def missing_columns(schema: ReferenceSchema, found: Mapping[str, StoredColumn]) -> list[str]:
    """The columns that a table still needs."""
    return [name for name in _definitions(schema) if name not in found]


def check_fits(schema: ReferenceSchema, found: Mapping[str, StoredColumn]) -> None:
    """Raises ConfigurationError when a table of this name is there, but not of this kind."""
    if not found:
        return
    kinds: dict[str, str] = {
        **schema.columns,
        "client_id": "text",
        "_client_id": "text",
        "created_at": "moment",
        "updated_at": "moment",
    }
    lacks = [f"lacks {name}" for name in ("id", "client_id", *schema.key) if name not in found]
    other = [
        f"{name} is {column.type}"
        for name, column in found.items()
        if not _holds(column, kinds.get(name))
    ]
    wants = [
        f"{name} needs a value"
        for name, column in found.items()
        if column.required and name not in kinds
    ]
    if lacks or other or wants:
        raise ConfigurationError(
            f"{SCHEMA}.{schema.name} is there, but is not the table of this reference data: "
            f"{'; '.join(lacks + other + wants)}. Nothing was changed; keep it under another "
            f"name with {move_aside(SCHEMA, schema.name)}"
        )


def _holds(column: StoredColumn, kind: str | None) -> bool:
    return (
        kind is None or column.type.partition("(")[0] in _HOLDS[kind] or column.type in _HOLDS[kind]
    )


def _create(query: Query, schema: ReferenceSchema) -> None:
    if not query("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", SCHEMA):
        query(f'CREATE SCHEMA "{SCHEMA}"')
    engine().create_sequence(query, f"{SCHEMA}.{schema.name}_id_seq")
    columns = [
        f'"{name}" {definition}{" NOT NULL" if name in schema.key else ""}'
        for name, definition in _definitions(schema).items()
    ]
    key = ", ".join(f'"{name}"' for name in ("client_id", *schema.key))
    query(
        f'CREATE TABLE {qualified(schema.name)} ({", ".join(columns)}, PRIMARY KEY ("id"), UNIQUE'
        f" ({key}))"
    )


def _definitions(schema: ReferenceSchema) -> Mapping[str, str]:
    """Each column's type and default."""
    return {
        "id": engine().RUNNING_NUMBER.format(sequence=f"{SCHEMA}.{schema.name}_id_seq"),
        "client_id": "text NOT NULL",
        "_client_id": engine().COPY_OF_CLIENT,
        **{name: _TYPES[kind] for name, kind in schema.columns.items()},
        "created_at": "timestamptz DEFAULT now()",
        "updated_at": "timestamptz DEFAULT now()",
    }
