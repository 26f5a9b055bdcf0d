"""Our own tables from an earlier release: they get what they lack, keep their rows, and the earlier
release goes on.
"""

import sqlite3
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.alerts import incident_file
from signalroom_dagster.alerts.incidents import Failure, Incidents
from signalroom_dagster.analysis import results
from signalroom_dagster.config import ConfigurationError, destination_name
from signalroom_dagster.loading.pipelines import create_tables
from signalroom_dagster.reports import tables as reports
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.bookkeeping import kept_beside
from signalroom_dagster.warehouse.migrations import OwnTable, Step, is_current, migrate, tables_in
from signalroom_dagster_tests.loading.slices import SPEND, put, row
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.sources.contexts import march

FIRST_RELEASE = files("signalroom_dagster_tests").joinpath("first_release.sql").read_text("utf-8")
"""Our own tables as the first commits of this repository made them, on both engines."""
SCHEMAS: dict[str, Sequence[OwnTable]] = {
    "s3_exports": kept_beside(["files"], "s3_exports"),
    "shop": kept_beside(["slices"], "shop"),
    "reports": (reports.REPORTS, reports.DELIVERIES),
    "analysis": [results.TABLE],
}
EACH = [pytest.param(table, id=table.name) for tables in SCHEMAS.values() for table in tables]
(MONDAY,) = march([2])


def create(schema: str) -> None:
    """As the code does before it reads or writes."""
    with access.exclusive():
        access.create_own_tables(schema, SCHEMAS[schema])


def columns_of(table: OwnTable) -> set[str]:
    schema, name = table.name.split(".")
    sql = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name"
        " = %s"
    )
    return {column for (column,) in ask(sql, schema, name)}


@pytest.mark.parametrize("table", EACH)
@pytest.mark.usefixtures("any_warehouse")
def test_each_column_that_is_dropped_returns(table: OwnTable) -> None:
    schema = table.name.split(".")[0]
    create(schema)
    droppable = set(table.columns) - (set(table.key) if destination_name() == "duckdb" else set())
    for column in sorted(droppable):
        ask(f"ALTER TABLE {table.name} DROP COLUMN {column} CASCADE")
        assert column not in columns_of(table)
        create(schema)
        assert columns_of(table) == set(table.columns)
    if destination_name() == "postgres":
        with access.connected() as query:
            assert access.is_secured(query, table.name)


@pytest.mark.usefixtures("any_warehouse")
def test_tables_of_the_first_release_keep_their_rows_and_get_what_came_since() -> None:
    for statement in filter(str.strip, FIRST_RELEASE.split(";")):
        ask(statement)
    kept = {
        table.name: ask(f"SELECT * FROM {table.name}")
        for tables in SCHEMAS.values()
        for table in tables
    }
    assert all(len(rows) == 1 for rows in kept.values())
    for schema, tables in SCHEMAS.items():
        create(schema)
        for table in tables:
            assert columns_of(table) == set(table.columns)
            assert [
                row[: len(kept[table.name][0])] for row in ask(f"SELECT * FROM {table.name}")
            ] == kept[table.name]
    if destination_name() == "postgres":
        assert ask("SELECT 1 FROM pg_indexes WHERE indexname = 'restatements_run_idx'")


@pytest.mark.usefixtures("any_warehouse")
def test_the_first_release_goes_on_writing_beside_this_one() -> None:
    earlier: dict[str, Sequence[OwnTable]] = {}
    for table in tables_in(FIRST_RELEASE):
        earlier.setdefault(table.name.split(".")[0], []).append(table)  # type: ignore[attr-defined]
    for schema, tables in earlier.items():
        create(schema)
        for table, now in zip(tables, SCHEMAS[schema], strict=True):
            required = {
                name
                for name, kind in now.columns.items()
                if "NOT NULL" in kind and "DEFAULT" not in kind
            }
            assert required <= set(table.columns), (
                f"{table.name}: the first release writes none of these"
            )
    for statement in filter(str.strip, FIRST_RELEASE.split(";")):
        if statement.strip().startswith("INSERT"):
            ask(statement)


def test_a_load_and_doctor_complete_the_tables_beside_the_data(any_warehouse: Project) -> None:
    bucket = any_warehouse.add_client("713")
    write_export(bucket / "orders-create/one.csv", orders([1]))
    load("s3_exports")
    for column in ("rows_filtered", "reason", "table_name"):
        ask(f"ALTER TABLE s3_exports.files DROP COLUMN {column}")
    write_export(bucket / "orders-create/two.csv", orders([2]))
    load("s3_exports")
    assert ask("SELECT _file_name, table_name FROM s3_exports.files ORDER BY 1") == [
        ("orders-create/one.csv", None),
        ("orders-create/two.csv", "orders_create"),
    ]
    ask("ALTER TABLE s3_exports.files DROP COLUMN run_id")
    create_tables("s3_exports")
    assert columns_of(SCHEMAS["s3_exports"][0]) == set(SCHEMAS["s3_exports"][0].columns)


@pytest.mark.parametrize("column", ["loaded_at", "rows", "run_id", "day"])
def test_days_whose_window_lost_a_column_are_read_again(
    any_warehouse: Project, tmp_path: Path, column: str
) -> None:
    put(tmp_path, SPEND, [MONDAY], [row(MONDAY, "a", 1)])
    if destination_name() == "duckdb" and column == "day":
        pytest.skip("DuckDB drops no column of a key")
    ask(f"ALTER TABLE shop.windows DROP COLUMN {column} CASCADE")
    put(tmp_path, SPEND, [MONDAY], [row(MONDAY, "a", 2)])
    assert ask("SELECT cost FROM shop.spend") == [(2,)]
    assert ask(f"SELECT {column} IS NOT NULL FROM shop.windows ORDER BY loaded_at DESC")[0] == (
        True,
    )


@pytest.mark.usefixtures("any_warehouse")
def test_nothing_is_changed_and_nothing_locked_where_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for schema in SCHEMAS:
        create(schema)
    monkeypatch.setattr(access, "transaction", None)
    for schema in SCHEMAS:
        create(schema)


@pytest.mark.usefixtures("any_warehouse")
def test_another_systems_table_of_our_name_is_refused_and_left_alone() -> None:
    ask("CREATE SCHEMA reports")
    ask("CREATE TABLE reports.deliveries (id integer, parcel varchar)")
    with pytest.raises(
        ConfigurationError, match="reports.deliveries is there, and another system made it"
    ):
        create("reports")
    assert columns_of((reports.REPORTS, reports.DELIVERIES)[1]) == {"id", "parcel"}


@pytest.mark.usefixtures("any_warehouse")
def test_steps_run_in_order_while_they_are_due_and_before_columns_are_added() -> None:
    ask("CREATE SCHEMA shop")
    ask("CREATE TABLE shop.prices (id integer, cents integer)")
    ask("INSERT INTO shop.prices VALUES (1, 250)")
    named = (
        "SELECT 1 FROM information_schema.columns WHERE table_schema = 'shop' AND column_name = "
    )
    steps = [
        Step(2, f"{named} 'pence'", ["ALTER TABLE shop.prices RENAME COLUMN pence TO price"]),
        Step(1, f"{named} 'cents'", ["ALTER TABLE shop.prices RENAME COLUMN cents TO pence"]),
    ]
    now = [
        OwnTable(
            "shop.prices",
            {"id": "integer NOT NULL", "price": "integer", "note": "varchar DEFAULT 'none'"},
        )
    ]
    with access.exclusive(), access.connected() as query:
        assert not is_current(query, destination_name(), now, steps)
        migrate(query, destination_name(), now, steps)
        assert is_current(query, destination_name(), now, steps)
        assert query("SELECT id, price, note FROM shop.prices") == [(1, 250, "none")]


def in_file(path: Path) -> Callable[[str], list[Any]]:
    connection = sqlite3.connect(path, isolation_level=None)
    return lambda sql: connection.execute(sql).fetchall()


def test_the_file_of_incidents_gets_back_what_an_earlier_one_lacks(tmp_path: Path) -> None:
    path = tmp_path / "incidents.sqlite"
    failure = Failure(
        kind="source", subject="everflow", client="713", error="VendorError", run="1", said="down"
    )
    table, query = incident_file.TABLES[0], in_file(path)
    Incidents(path).note(failure)
    indexed = {"id", "kind", "subject", "client", "error", "closed_at"}
    for number, column in enumerate(sorted(set(table.columns) - indexed)):
        query(f"ALTER TABLE incidents DROP COLUMN {column}")
        assert Incidents(path).note(
            Failure(**{**_fields(failure), "run": f"run-{number}", "client": f"c{number}"})
        )
        assert {name for _, name, *_ in query("PRAGMA table_info(incidents)")} == set(table.columns)
    query("DROP INDEX one_open")
    Incidents(path).note(failure)
    assert query("SELECT 1 FROM sqlite_master WHERE name = 'one_open'")


def test_incidents_of_which_a_column_was_lost_can_be_listed_and_told(tmp_path: Path) -> None:
    path = tmp_path / "incidents.sqlite"
    failure = Failure(
        kind="source", subject="everflow", client="713", error="VendorError", run="1", said="down"
    )
    Incidents(path).note(failure)
    in_file(path)("ALTER TABLE incidents DROP COLUMN touched")
    assert [each.touched for each in Incidents(path).open()] == [()]
    assert Incidents(path).note(Failure(**{**_fields(failure), "run": "2"}))
    assert [each.failures for each in Incidents(path).open()] == [2]


def test_a_script_declares_columns_keys_options_and_indexes() -> None:
    job, lease = tables_in("""
        -- a comment
        CREATE TABLE IF NOT EXISTS events.job (
            id text NOT NULL,
            status text NOT NULL CHECK (status IN ('open', 'done')),
            PRIMARY KEY (id, status)
        ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
        CREATE UNIQUE INDEX IF NOT EXISTS job_open ON events.job (id) WHERE status = 'open';
        CREATE TABLE IF NOT EXISTS events.lease (
            name text PRIMARY KEY
        );
        """)
    assert job.columns == {
        "id": "text NOT NULL",
        "status": "text NOT NULL CHECK (status IN ('open', 'done'))",
    }
    assert (job.key, job.options) == (
        ["id", "status"],
        "WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)",
    )
    assert (
        job.create_index("job_open", job.indexes["job_open"])
        == "CREATE UNIQUE INDEX IF NOT EXISTS job_open ON events.job (id) WHERE status = 'open'"
    )
    assert lease.create() == "CREATE TABLE IF NOT EXISTS events.lease (name text PRIMARY KEY)"


def _fields(failure: Failure) -> dict[str, Any]:
    return {name: getattr(failure, name) for name in failure.__slots__}
