"""Running a source alone: with dlt and a stock destination, without a client, a configuration or
Dagster.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dlt
import duckdb
from dlt.extract import DltSource

from signalroom_dagster.sources.tables import Table
from signalroom_dagster_tests.loads import ask


def run_alone(folder: Path, source: DltSource) -> None:
    """One run of a pipeline of its own, into a DuckDB file in the folder."""
    destination = dlt.destinations.duckdb(str(folder / "alone.duckdb"))
    pipeline = dlt.pipeline(
        f"{source.name}_alone",
        pipelines_dir=str(folder),
        destination=destination,
        dataset_name=source.name,
    )
    try:
        pipeline.run(source)
    finally:
        pipeline.deactivate()


def rows_alone(
    folder: Path, source: str, table: str, columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """What stands in a table of that file, in order."""
    with duckdb.connect(str(folder / "alone.duckdb")) as connection:
        return _plain(connection.execute(_select(source, table, columns)).fetchall())


def rows_of_the_load(source: str, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """What stands in the same table of the warehouse, without tags, in the same order."""
    return _plain(ask(_select(source, table, columns)))


def expect_the_rows_of_the_load(folder: Path, source: str, tables: Mapping[str, Table]) -> None:
    """Every table of that file has rows, and they are those that stand in the warehouse."""
    for name, table in tables.items():
        columns = [column.name for column in table.columns]
        rows = rows_alone(folder, source, name, columns)
        assert rows == rows_of_the_load(source, name, columns), name
        assert rows, name


def _plain(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The rows in one order, whatever the engine's; JSON as what it says: drivers give it as text
    or as values.
    """
    read = [
        tuple(json.loads(c) if isinstance(c, str) and c.startswith(("{", "[")) else c for c in row)
        for row in rows
    ]
    return sorted(read, key=lambda row: [str(cell) for cell in row])


def _select(source: str, table: str, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {source}.{table}"
