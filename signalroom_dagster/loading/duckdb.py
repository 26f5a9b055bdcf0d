"""DuckDB as destination: dlt's own, with what our lanes need. One writer at a time; see `locks`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.factory import duckdb
from typing_extensions import override

from signalroom_dagster.loading.destinations import ResolvedOnce
from signalroom_dagster.loading.staged import StagedLoad, Staging
from signalroom_dagster.warehouse import duckdb as engine
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
    """dlt's client, with what the lanes need."""

    @property
    @override
    def clock(self) -> str:
        return engine.CLOCK

    @override
    def renew_connection(self) -> None:
        """Nothing to do: the file does not go away."""

    @override
    def secure_tables(self) -> None:
        """Nothing to do: DuckDB has no roles; who can read the file can read all of it."""

    @override
    def lock(self, name: str) -> None:
        """Nothing to do: the writer's file lock already keeps every other load out."""

    @override
    def copy_csv(
        self, table: str, kinds: Mapping[str, str], path: Path, *, staged: bool = False
    ) -> int:
        escape = self.sql_client.escape_column_name
        target = escape(table) if staged else self.sql_client.make_qualified_table_name(table)
        struct = ", ".join(f"{_literal(name)}: '{_TYPES[kind]}'" for name, kind in kinds.items())
        done = self.sql_client.execute_sql(
            f"INSERT INTO {target} ({', '.join(map(escape, kinds))}) SELECT * FROM"
            f" read_csv({_literal(str(path))}, auto_detect=false, header=false, delim=',',"
            f" quote='\"', escape='\"', new_line='\\n', nullstr='',"
            f" max_line_size={LONGEST_ROW_BYTES}, buffer_size={BUFFER_BYTES}, columns={{{struct}}})"
        )
        return int(done[0][0]) if done else 0

    @override
    def explain(self, error: Exception, what: str) -> Exception:
        return engine.explain(error, what)

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
