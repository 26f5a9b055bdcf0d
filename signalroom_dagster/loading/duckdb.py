"""DuckDB as destination: dlt's own, with file-atomic loads. One writer at a time; see `locks`."""

from collections.abc import Sequence
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.factory import duckdb
from typing_extensions import override

from signalroom_dagster.loading.load_jobs import LOAD_JOBS
from signalroom_dagster.loading.resolved_once import ResolvedOnce
from signalroom_dagster.loading.staged import StagedLoad, Staging
from signalroom_dagster.warehouse import duckdb as engine
from signalroom_dagster.warehouse.duckdb import explain
from signalroom_dagster.warehouse.table_columns import marks

LONGEST_ROW_BYTES = (
    8 * 1024 * 1024
)  # a record of 1 MiB may become three (cp1252 to UTF-8, quotes doubled), as JSON six
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


class SignalRoomDuckDbClient(Staging, DuckDbClient):
    """The file-atomic load for tables that ask for it."""

    @property
    def clock(self) -> str:
        """The time as SQL."""
        return engine.CLOCK

    @override
    def create_load_job(
        self, table: Any, file_path: str, load_id: str, restore: bool = False
    ) -> Any:
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
        self,
        table: str,
        columns: Sequence[str],
        types: Sequence[str],
        path: str,
        *,
        staged: bool = False,
    ) -> int:
        """Append a CSV file without header to a table; how many rows were written."""
        escape = self.sql_client.escape_column_name
        target = escape(table) if staged else self.sql_client.make_qualified_table_name(table)
        struct = ", ".join(
            f"{_literal(name)}: '{_TYPES[kind]}'" for name, kind in zip(columns, types, strict=True)
        )
        done = self.sql_client.execute_sql(
            f"INSERT INTO {target} ({', '.join(map(escape, columns))}) SELECT * FROM"
            f" read_csv({_literal(path)}, auto_detect=false, header=false, delim=',', quote='\"',"
            f" escape='\"', new_line='\\n', nullstr='', max_line_size={LONGEST_ROW_BYTES},"
            f" buffer_size={BUFFER_BYTES}, columns={{{struct}}})"
        )
        return int(done[0][0]) if done else 0

    explain = staticmethod(explain)

    @override
    def _get_table_update_sql(
        self, table_name: str, new_columns: Any, generate_alter: bool
    ) -> list[str]:
        statements = super()._get_table_update_sql(table_name, new_columns, generate_alter)
        table = self.sql_client.make_qualified_table_name(table_name)
        return [*statements, *marks(table, new_columns, self.sql_client.escape_column_name)]


class SignalRoomDuckDb(ResolvedOnce, duckdb):
    """The destination that pipelines are given."""

    load: StagedLoad | None = None

    @override
    def client(self, schema: Any, initial_config: Any = None) -> "SignalRoomDuckDbClient":
        client = super().client(schema, initial_config)
        client.load = self.load
        return client

    @override
    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.supported_loader_file_formats = [
            *capabilities.supported_loader_file_formats,
            "csv",
        ]
        capabilities.max_parallel_load_jobs = 1
        return capabilities

    @property
    @override
    def client_class(self) -> type[SignalRoomDuckDbClient]:
        return SignalRoomDuckDbClient


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
