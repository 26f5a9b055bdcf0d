"""How rows of any dlt source reach the tables that all clients share: staged by dlt in a schema of
the client's own, then put in their place in one transaction.

dlt extracts, normalizes and writes as it always does, but for where: every table of a load goes to
the staging schema. When dlt calls the load complete, each staged table gets the client's tags, the
shared tables get what they lack, and one transaction moves everything: what a disposition replaces
is deleted of this client alone, the rows are inserted, and `windows` and `_dlt_loads` say so. A
load that is killed at any point has changed no row. dlt's own SQL does the merging; its keys are
led by the client.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.utils import get_nested_tables, get_root_table, is_nested_table
from dlt.destinations.sql_jobs import SqlMergeFollowupJob
from typing_extensions import override

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.courier import LoadClient
from signalroom_dagster.loading.shared_shapes import Table, fit, tag
from signalroom_dagster.registry.configured_sources import RESERVED
from signalroom_dagster.sources.tables import TAGS
from signalroom_dagster.warehouse.bookkeeping import (
    OURS,
    WINDOWS,
    WINDOWS_COLUMNS,
    WINDOWS_KEY,
    upsert,
)
from signalroom_dagster.warehouse.transactions import until_free

DIGESTS = frozenset({"upsert", "insert-only", "cdc", "scd2"})
"""The merge strategies whose row ids are digests of a row: two clients' may be the same."""
IDS = ("_dlt_id", "_dlt_parent_id", "_dlt_root_id")
SCOPE = "x-merge-destination-scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedLoad:
    """Whose rows a load brings, and of which resources; `staged` fills with the tables that dlt has
    rows of, or an empty answer. `check` raises when the load no longer holds its lock; `on_commit`
    is told each resource whose rows are in the shared tables.
    """

    client_id: str
    run_id: str
    today: date
    read_at: datetime
    resources: Sequence[str]
    check: Callable[[], object]
    on_commit: Callable[[str], None]
    staged: set[str] = field(default_factory=set[str])


class Staging(LoadClient):
    """To be named before dlt's client among the bases: with `load` set, all of it is staged."""

    load: StagedLoad | None = None
    schema: Any

    @override
    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        if self.load:
            return table_name not in self.schema.dlt_table_names()
        return super().should_load_data_to_staging_dataset(table_name)

    @override
    def should_truncate_table_before_load(self, table_name: str) -> bool:
        return not self.load and super().should_truncate_table_before_load(table_name)

    @override
    def update_stored_schema(
        self, only_tables: Any = None, expected_update: Any = None, force: bool = False
    ) -> Any:
        """In the shared schema nothing but dlt's own tables, until the rows are there."""
        if not self.load or self.sql_client.is_staging_dataset_active:
            return super().update_stored_schema(only_tables, expected_update, force)
        self._check_names(self.load)
        self.drop_staging()  # what a load that was killed has left there
        names = self.schema.dlt_table_names()
        self._altering(partial(self._execute_schema_update_sql, names, False))
        return {}

    @override
    def create_load_job(
        self, table: Any, file_path: str, load_id: str, restore: bool = False
    ) -> Any:
        if self.load:
            self.load.staged.add(table["name"])
        return super().create_load_job(table, file_path, load_id, restore)

    @override
    def create_table_chain_completed_followup_jobs(
        self, table_chain: Any, completed_table_chain_jobs: Any = None
    ) -> Any:
        """None where a load is staged: everything is moved at once, at its end."""
        if self.load:
            return []
        return super().create_table_chain_completed_followup_jobs(
            table_chain, completed_table_chain_jobs
        )

    @override
    def complete_load(self, load_id: str) -> None:
        """Move what was staged into the shared tables."""
        if not self.load:
            super().complete_load(load_id)
            return
        of_load = self.schema
        try:
            self._altering(partial(self._fit_tables, self.load, of_load))
            moves = [*self._moves(self.load)]
            with self.sql_client.begin_transaction():
                for statement in moves:
                    self.sql_client.execute_sql(statement)
                self._note_windows(self.load)
                super().complete_load(load_id)
                self.load.check()
        finally:
            self.schema = of_load
        self.drop_staging()
        for resource in self.load.resources:
            self.load.on_commit(resource)

    def create_declared(self) -> None:
        """Create the tables that are declared; what loads have learned of them stays."""
        self._altering(partial(self._execute_schema_update_sql, [*self.schema.tables], False))

    def drop_staging(self) -> None:
        """Remove the client's staging schema, if there is one."""
        with self.sql_client.with_staging_dataset():
            name = self.sql_client.fully_qualified_dataset_name()
        self.sql_client.execute_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")

    def _check_names(self, load: StagedLoad) -> None:
        """Raises ConfigurationError for a table that has the name of one of ours."""
        if taken := RESERVED & {*self.schema.data_table_names()}:
            raise ConfigurationError(
                f"client {load.client_id}, source {self.sql_client.dataset_name}: a table is called"
                f" {', '.join(sorted(taken))}, as one that SignalRoom keeps there itself: leave its"
                " resource out of `resources`"
            )

    def _altering(self, change: Callable[[], object]) -> None:
        """Create or alter tables in a transaction, tried again while somebody uses them."""

        def once() -> None:
            with self.maybe_ddl_transaction():
                change()

        until_free(once, self.sql_client.dataset_name, self.sql_client.execute_sql)

    def _fit_tables(self, load: StagedLoad, of_load: Any) -> None:
        """Give shared and staged tables what they lack of each other; `schema` is then that of the
        shared ones.
        """
        self.schema = of_load.clone()
        self._learn_of_others()
        names = self.schema.data_table_names(seen_data_only=True)
        shared, staging = dict(self.get_storage_tables(names)), self._staging_tables()
        for name in names:
            self._fit(load, name, shared[name], staging[name])
        self.schema._bump_version()
        common = self.schema.clone()
        for name in names:
            tag(self.schema.tables[name])
        self._execute_schema_update_sql(names, store_schema=False)
        if not self.get_stored_schema_by_hash(common.stored_version_hash):
            self._update_schema_in_storage(common)
        for name in names:
            if staging[name]:
                self._tag_rows(load, name)

    def _staging_tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The columns of each staged table, none of one that is not staged."""
        with self.with_staging_dataset():
            return dict(self.get_storage_tables(self.schema.data_table_names(seen_data_only=True)))

    def _learn_of_others(self) -> None:
        """Add what other clients' loads have brought since this one began: the schema that was
        stored last is that of all clients.
        """
        newest = self.get_stored_schema(self.schema.name)
        for name, table in json.loads(newest.schema)["tables"].items() if newest else ():
            own = self.schema.tables.setdefault(name, {**table, "columns": {}})["columns"]
            own.update({key: each for key, each in table["columns"].items() if key not in own})

    def _fit(
        self, load: StagedLoad, name: str, shared: Mapping[str, Any], staging: Mapping[str, Any]
    ) -> None:
        if taken := OURS & {*staging}:
            raise ConfigurationError(
                f"client {load.client_id}, source {self.sql_client.dataset_name}: {name} has a"
                f" column {', '.join(sorted(taken))} of its own, which SignalRoom writes itself:"
                " have the source leave it out, or name it otherwise"
            )
        columns, names = self.schema.tables[name]["columns"], self._names(name)

        def sql_type(column: Any) -> str:
            return self.type_mapper.to_destination_type(column, self.prepare_load_table(name))

        shape = Table(name, *names, columns, shared, staging)
        for statement in fit(shape, sql_type, self.sql_client.escape_column_name):
            self.sql_client.execute_sql(statement)

    def _tag_rows(self, load: StagedLoad, name: str) -> None:
        """Give all rows of a staged table the client's tags, and ids that are its own."""
        _, staging = self._names(name)
        tags = {"_client_id": load.client_id, "_loaded_at": load.read_at.isoformat()}
        for column, value in tags.items():
            kind = {"text": "varchar", "timestamp": "timestamp with time zone"}[TAGS[column]]
            self.sql_client.execute_sql(
                f"ALTER TABLE {staging} ADD COLUMN {column} {kind} DEFAULT '{value}'"
            )
        root = get_root_table(self.schema.tables, name)
        if resolve_merge_strategy(self.schema.tables, root, self.capabilities) in DIGESTS:
            for column in IDS:
                if column in self.schema.tables[name]["columns"]:
                    own = f"md5('{load.client_id}|' || {column})"
                    self.sql_client.execute_sql(f"UPDATE {staging} SET {column} = {own}")

    def _moves(self, load: StagedLoad) -> Iterator[str]:
        """What puts staged rows in their place."""
        staging = self._staging_tables()
        for root in self.schema.data_tables(seen_data_only=True):
            if is_nested_table(root) or root["name"] not in load.staged:
                continue
            nested: Any = get_nested_tables(self.schema.tables, root["name"])
            chain: list[Any] = [self.prepare_load_table(table["name"]) for table in nested]
            if root["write_disposition"] == "replace":
                for table in reversed(chain):
                    shared, _ = self._names(table["name"])
                    yield f"DELETE FROM {shared} WHERE _client_id = '{load.client_id}'"
            staged = [_only(table, staging[table["name"]]) for table in chain]
            staged = [table for table in staged if table["columns"]]
            if root["write_disposition"] == "merge":
                self._keep_to_client(load, staged[0])
                yield from SqlMergeFollowupJob.generate_sql(staged, self.sql_client)
            else:
                yield from map(self._insert, staged)

    def _keep_to_client(self, load: StagedLoad, root: Any) -> None:
        """Have a merge that replaces more than the keys it is given replace it of the client
        alone.
        """
        own = f"{{table}}._client_id = '{load.client_id}'"
        if asked := root.get(SCOPE):
            root[SCOPE] = f"({asked}) AND {own}"
        elif resolve_merge_strategy(self.schema.tables, root, self.capabilities) in ("scd2", "cdc"):
            root[SCOPE] = own

    def _insert(self, table: Any) -> str:
        columns = ", ".join(map(self.sql_client.escape_column_name, table["columns"]))
        shared, staging = self._names(table["name"])
        return f"INSERT INTO {shared} ({columns}) SELECT {columns} FROM {staging}"

    def _note_windows(self, load: StagedLoad) -> None:
        windows, _ = self._names(WINDOWS)
        statement = upsert(windows, WINDOWS_COLUMNS, WINDOWS_KEY)
        for resource in load.resources:
            row = {
                "_client_id": load.client_id,
                "resource": resource,
                "day": load.today,
                "rows": self._row_count(load, resource),
                "loaded_at": load.read_at,
                "run_id": load.run_id,
            }
            self.sql_client.execute_sql(statement, *(row.get(name) for name in WINDOWS_COLUMNS))

    def _row_count(self, load: StagedLoad, resource: str) -> int:
        """How many rows a load has staged of a resource, in all its tables but nested ones."""
        count = 0
        for table in self.schema.data_tables(seen_data_only=True):
            if table.get("resource") == resource and table["name"] in load.staged:
                _, staging = self._names(table["name"])
                counted: Any = self.sql_client.execute_sql(f"SELECT count(*) FROM {staging}")
                count += int(counted[0][0])
        return count

    def _names(self, table: str) -> tuple[str, str]:
        """A table as it is named in SQL: the shared one, and the staged one."""
        shared, staging = self.sql_client.get_qualified_table_names(table)
        return shared, staging


def _only(table: Any, columns: Mapping[str, Any]) -> Any:
    """A table with those of its columns that are staged."""
    return {**table, "columns": {name: table["columns"][name] for name in columns}}
