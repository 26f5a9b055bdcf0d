"""DuckDB as destination: dlt's own, with file-atomic loads. One writer at a time; see `locks`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb as engine
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.factory import duckdb
from typing_extensions import override

from signalroom_dagster.config import ConfigurationError, duckdb_path, shown
from signalroom_dagster.loading.errors import DISK_FULL, LoadError, WarehouseBusyError
from signalroom_dagster.loading.load_jobs import LOAD_JOBS
from signalroom_dagster.loading.resolved_once import ResolvedOnce
from signalroom_dagster.loading.table_columns import marks
from signalroom_dagster.retries import causes

LONGEST_ROW_BYTES = 8 * 1024 * 1024  # a record of 1 MiB may become three (cp1252 to UTF-8, quotes doubled), as JSON six
BUFFER_BYTES = 32 * 1024 * 1024  # DuckDB's own choice for rows of 2 MiB
_TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "decimal": "DECIMAL(18,4)",
    "bool": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "json": "JSON",
}
_SQL_STATES: dict[type[Exception], str] = {
    engine.BinderException: "42703",
    engine.CatalogException: "42P01",
    engine.ConversionException: "22P02",
    engine.ConstraintException: "23502",  # of a source's tables NOT NULL alone: no index of theirs is unique here
}
"""DuckDB has no codes of its own: what Postgres calls the same."""


def explain(error: Exception, what: str) -> Exception:
    """DuckDB quotes the offending line in its errors: keep only their class, and whether its disk is full."""
    cause = next((cause for cause in causes(error) if isinstance(cause, engine.Error)), None)
    if cause is None:
        return error
    if full := [words for words in map(os.strerror, DISK_FULL) if words in str(cause)]:
        return LoadError(f"{what}: DuckDB cannot write {duckdb_path()} ({full[0]}): free space there")
    return LoadError(f"{what}: DuckDB refused it: {type(cause).__name__}", _SQL_STATES.get(type(cause), ""))


def unopened(path: Path, error: Exception) -> Exception:
    """Why a DuckDB file could not be opened: it is none, or not one for us, or another program has it open."""
    where, words = shown(path), str(error)
    another = "name another file with DESTINATION__DUCKDB__CREDENTIALS"
    if path.is_dir():
        return ConfigurationError(f"{where} is a folder, not a DuckDB file: {another}, such as one in it")
    if not path.is_file() and path.exists():
        return ConfigurationError(f"{where} is no regular file: {another}")
    if not os.access(path, os.R_OK | os.W_OK):
        return ConfigurationError(f"{where} may not be read and written by this user: let it, or {another}")
    if "not a valid DuckDB" in words:
        kind = "is an empty file" if not path.stat().st_size else "is another kind of file"
        return ConfigurationError(f"{where} {kind}, no DuckDB database: move it away, or {another}")
    if "version number" in words:
        return ConfigurationError(f"{where} was written by another version of DuckDB: open it with that, or {another}")
    if "Could not set lock" in words:
        return WarehouseBusyError(
            f"{where} cannot be opened: another program has it open (a DuckDB shell, a notebook); close it there"
        )
    if any(full in words for full in map(os.strerror, DISK_FULL)):
        return explain(error, "opening the warehouse")
    what = "is damaged" if "orrupt" in words or "checksum" in words else f"cannot be opened ({type(error).__name__})"
    return ConfigurationError(f"{where} {what}: restore it from a backup, or {another} and load anew")


class SignalRoomDuckDbClient(DuckDbClient):
    """The file-atomic load for tables that ask for it."""

    clock = "now()"

    @override
    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> Any:
        if file_path.endswith(".csv") and (job := LOAD_JOBS.get(table.get("x-load"))):
            return job(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def renew_connection(self) -> None:
        """Nothing to do: the file does not go away."""

    def secure_tables(self) -> None:
        """Nothing to do: DuckDB has no roles; who can read the file can read all of it."""

    def lock(self, name: str) -> None:
        """Nothing to do: the writer's file lock already keeps every other load out."""

    def copy_csv(
        self, table: str, columns: Sequence[str], types: Sequence[str], path: str, *, staged: bool = False
    ) -> int:
        """Append a CSV file without header to a table; how many rows were written."""
        escape = self.sql_client.escape_column_name
        target = escape(table) if staged else self.sql_client.make_qualified_table_name(table)
        struct = ", ".join(f"{_literal(name)}: '{_TYPES[kind]}'" for name, kind in zip(columns, types, strict=True))
        done = self.sql_client.execute_sql(
            f"INSERT INTO {target} ({', '.join(map(escape, columns))}) SELECT * FROM read_csv({_literal(path)}, "
            f"auto_detect=false, header=false, delim=',', quote='\"', escape='\"', new_line='\\n', nullstr='', "
            f"max_line_size={LONGEST_ROW_BYTES}, buffer_size={BUFFER_BYTES}, "
            f"columns={{{struct}}})"
        )
        return int(done[0][0]) if done else 0

    def explain(self, error: Exception, what: str) -> Exception:
        """See `explain` of this module."""
        return explain(error, what)

    @override
    def _get_table_update_sql(self, table_name: str, new_columns: Any, generate_alter: bool) -> list[str]:
        statements = super()._get_table_update_sql(table_name, new_columns, generate_alter)
        table = self.sql_client.make_qualified_table_name(table_name)
        return [*statements, *marks(table, new_columns, self.sql_client.escape_column_name)]


class SignalRoomDuckDb(ResolvedOnce, duckdb):
    """The destination that pipelines are given."""

    @override
    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.supported_loader_file_formats = [*capabilities.supported_loader_file_formats, "csv"]
        capabilities.max_parallel_load_jobs = 1
        return capabilities

    @property
    @override
    def client_class(self) -> type[SignalRoomDuckDbClient]:
        return SignalRoomDuckDbClient


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
