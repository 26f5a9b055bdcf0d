"""The tables that the load itself keeps beside a source's data: of files the ledger and the
rejected rows, of slices the windows and the restatements.

Written once in SQL that Postgres and DuckDB both read; what a table of an earlier release lacks is
added by `migrations`. Their rows change only inside the transaction that loads a file or a slice.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from signalroom_dagster.warehouse.engine import Query
from signalroom_dagster.warehouse.migrations import OwnTable

LEDGER = "files"
REJECTED = "rejected_rows"
WINDOWS = "windows"
RESTATEMENTS = "restatements"

OURS = frozenset({"_client_id", "_loaded_at"})
"""What every table of a source has from the start: one without them is another system's."""

LEDGER_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "_file_name": "varchar NOT NULL",
    "table_name": "varchar NOT NULL",
    "etag": "varchar",
    "size": "bigint",
    "last_modified": "timestamp with time zone",
    "rows_in_file": "bigint",
    "rows_loaded": "bigint",
    "rows_rejected": "bigint",
    "rows_filtered": "bigint",
    "status": "varchar NOT NULL",
    "reason": "varchar",
    "_file_date": "date",
    "_loaded_at": "timestamp with time zone",
    "run_id": "varchar",
}
"""The file ledger; one row per (client, file), its key."""

REJECTED_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "_file_name": "varchar NOT NULL",
    "_row_id": "bigint NOT NULL",
    "_file_date": "date",
    "_loaded_at": "timestamp with time zone",
    "reason": "varchar",
    "line": "bigint",
    "raw": "varchar",
}
"""Records that could not be read; `line` is the physical one, `raw` only where policy allows it."""


WINDOWS_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "resource": "varchar NOT NULL",
    "day": "date NOT NULL",
    "rows": "bigint NOT NULL",
    "vendor_total": "numeric(20, 4)",
    "read_cursor": "varchar",
    "swept_at": "timestamp with time zone",
    "loaded_at": "timestamp with time zone NOT NULL",
    "run_id": "varchar NOT NULL",
    "set_aside": "json",
}
"""What was read when; one row per (client, resource, day), its key. `day` is the client's; of what
is not read by day, the day of the load. `set_aside` says which cells became NULL or were cleaned
and which rows were left out; NULL when everything could be read.
"""

RESTATEMENTS_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "resource": "varchar NOT NULL",
    "day": "date NOT NULL",
    "key": "varchar NOT NULL",
    "before": "json",
    "after": "json",
    "seen_at": "timestamp with time zone NOT NULL",
    "run_id": "varchar NOT NULL",
}
"""What a vendor changed on a past day: figures before (NULL: no row) and after (NULL: gone)."""


def move_aside(schema: str, table: str) -> str:
    """The statement that keeps a table of another system under another name."""
    return f"ALTER TABLE {schema}.{table} RENAME TO {table}_before"


def kept_beside(loads: Iterable[str], schema: str) -> list[OwnTable]:
    """The tables that loads of "files" and "slices" keep in a schema; other loads keep none."""
    kept = [table for load in sorted({*loads} & {*KEPT}) for table in KEPT[load]]
    return [replace(table, name=f"{schema}.{table.name}") for table in kept]


def insert(table: str, columns: Collection[str]) -> str:
    """INSERT for one row, with %s for every column in order."""
    names, values = ", ".join(columns), ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {table} AS old ({names}) VALUES ({values})"


def upsert(
    table: str, columns: Collection[str], key: Sequence[str], kept: Sequence[str] = ()
) -> str:
    """INSERT … ON CONFLICT, a %s for each column; NULL does not overwrite what is `kept`."""
    new = {name: f"EXCLUDED.{name}" for name in columns if name not in key}
    new |= {name: f"coalesce(EXCLUDED.{name}, old.{name})" for name in kept}
    updates = ", ".join(f"{name} = {value}" for name, value in new.items())
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}"


def write_row(query: Query, table: OwnTable, row: Mapping[str, Any]) -> None:
    """Insert a row by its columns' names, or overwrite the one that has its key."""
    values = [row[name] for name in table.columns]
    query(upsert(table.name, table.columns, table.key), *values)


LEDGER_KEY = ("_client_id", "_file_name")
WINDOWS_KEY = ("_client_id", "resource", "day")

KEPT: Mapping[str, Sequence[OwnTable]] = {
    "files": (
        OwnTable(LEDGER, LEDGER_COLUMNS, LEDGER_KEY),
        OwnTable(
            REJECTED,
            REJECTED_COLUMNS,
            indexes={"rejected_rows_file_idx": "(_client_id, _file_name)"},
        ),
    ),
    "native": (OwnTable(WINDOWS, WINDOWS_COLUMNS, WINDOWS_KEY),),
    "slices": (
        OwnTable(WINDOWS, WINDOWS_COLUMNS, WINDOWS_KEY),
        OwnTable(
            RESTATEMENTS,
            RESTATEMENTS_COLUMNS,
            indexes={"restatements_run_idx": "(_client_id, run_id)"},
        ),
    ),
}
"""The tables that each kind of load keeps, without their schema."""
