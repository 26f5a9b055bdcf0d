"""Asks the engine to plan a SELECT without running it: refusals come with file, line and column.

A planner has seen names, types and the SQL's own constants alone, so its words hold no row; asking
again never helps. `declared_warehouse` is an empty one in memory, with every table that sources
declare: planning needs no database.
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.modeling.sql import Model, TableName, file_of, models
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.bookkeeping import KEPT

_TYPES = {
    "text": "varchar",
    "decimal": "numeric(18, 4)",
    "timestamp": "timestamptz",
    "bool": "boolean",
}
"""DuckDB's types of the kinds of columns, where they are called otherwise."""
_OWN = {
    "id": "bigint",
    "client_id": "varchar",
    "_client_id": "varchar",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
_REFUSALS = ("42", "22")
"""Classes of Postgres' error codes from planning: names, types, and impossible constants."""


def check_plan(
    query: Query, sql: str, values: Sequence[Any], *, written: str, where: str, first_line: int = 1
) -> None:
    """Raises ConfigurationError for a SELECT that the engine cannot plan.

    `written` is the text as it stands in the file, from its `first_line` on; what is told is the
    place there.
    """
    try:
        query(f"EXPLAIN {sql}", *values)
    except Exception as error:
        words = _words(error)
        if words is None:
            raise
        names = [*reversed(re.findall(r'"([^"]+)"', words)), *re.findall(r"[\w.]+", words)]
        raise ConfigurationError(
            f"{where}{_place(written, [*_at(error), *names], first_line)}: {words}"
        ) from None


def check_model(query: Query, model: Model, dialect: str, client_id: str) -> None:
    """Raises ConfigurationError for a model that the engine cannot plan."""
    select = model.select(dialect)
    values = [client_id] * select.count("%s")
    check_plan(query, select, values, written=model.sql, where=file_of(model.name))


@contextmanager
def declared_warehouse() -> Generator[Query]:
    """An empty warehouse in memory, with the tables that the sources of all clients declare."""
    import duckdb

    with duckdb.connect(":memory:") as connection:

        def query(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
            return connection.execute(
                sql.replace("%%", "%").replace("%s", "?"), parameters or None
            ).fetchall()

        for (schema, table), columns in _declared():
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            query(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            query(f"CREATE TABLE {schema}.{table} ({listed})")
        yield query


def plan_models(query: Query) -> Mapping[TableName, str]:
    """What is wrong with each model that cannot be planned; the other tables then exist.

    A model of tables that no client's sources bring, or of one that is wrong itself, is passed
    over.
    """
    there = {table for table, _ in _declared()}
    problems: dict[TableName, str] = {}
    for model in models().values():
        if not there.issuperset(model.reads):
            continue
        try:
            check_model(query, model, "duckdb", "client")
            select = model.select("duckdb")
            query(f"CREATE SCHEMA IF NOT EXISTS {model.name[0]}")
            query(
                f"CREATE TABLE {'.'.join(model.name)} AS {select} LIMIT 0",
                *["client"] * select.count("%s"),
            )
            there.add(model.name)
        except ConfigurationError as error:
            problems[model.name] = str(error)
    return problems


def _declared() -> Iterator[tuple[TableName, Mapping[str, str]]]:
    kept = {table.name: table.columns for tables in KEPT.values() for table in tables}
    for source in catalog.dlt_sources():
        for table, facts in catalog.known_tables(source).items():
            kinds = {
                name: _TYPES.get(kind, kind or "varchar") for name, kind in facts.columns.items()
            }
            yield (source, table), kept.get(table, kinds)
    for source in catalog.reference_sources():
        for table, schema in catalog.reference_tables(source).items():
            kinds = {
                str(name): str(_TYPES.get(kind, kind)) for name, kind in schema.columns.items()
            }
            yield ("public", table), {**_OWN, **kinds}


def _words(error: Exception) -> str | None:
    """What the planner says; None for an error that is none of its."""
    code = getattr(error, "pgcode", None)
    if code:
        diagnosis: Any = getattr(error, "diag", None)
        return str(diagnosis.message_primary) if str(code).startswith(_REFUSALS) else None
    import duckdb

    if isinstance(error, duckdb.Error):
        kind, _, words = str(error).partition("\n")[0].partition(": ")
        return words if kind.endswith("Error") and "IO" not in kind else None
    return None


def _at(error: Exception) -> Sequence[str]:
    """The word at which Postgres points, in the text that it was given."""
    diagnosis: Any = getattr(error, "diag", None)
    cursor: Any = getattr(error, "cursor", None)
    if not (diagnosis and diagnosis.statement_position and cursor is not None and cursor.query):
        return ()
    rest = cursor.query.decode("utf-8", "replace")[int(diagnosis.statement_position) - 1 :]
    return re.findall(r"\A[\w.]+", rest)


def _place(written: str, names: Sequence[str], first_line: int) -> str:
    """Where the first of some names stands in a text, comments aside."""
    plain = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), written)
    for name in names:
        standing_alone = rf"(?:(?<![\w.])|(?<=\.)){re.escape(name)}(?!\w)"
        if found := re.search(standing_alone, plain, re.IGNORECASE):
            before = plain[: found.start()]
            line = before.count("\n") + first_line
            return f", line {line}, column {len(before) - before.rfind(chr(10))}"
    return ""
