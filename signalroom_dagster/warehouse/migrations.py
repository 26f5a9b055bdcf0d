"""What our own tables of an earlier release lack, and how they get it: forward only, data kept.

A table is declared with all its columns. One that is there is looked at first; what it lacks is
added: columns that may be empty, so that an earlier release goes on beside this one, and indexes.
What is more than that is a numbered step. Nothing is ever dropped or retyped. Works alike on
Postgres, DuckDB (without indexes: a DuckDB table that has one cannot be altered) and SQLite. A
column that is declared after a table's first release may be empty or has a default.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import dedent
from typing import Any, Literal, TypeAlias

from signalroom_dagster.config import ConfigurationError

log = logging.getLogger(__name__)

Engine: TypeAlias = Literal["postgres", "duckdb", "sqlite"]
Query: TypeAlias = Callable[[str], Sequence[Sequence[Any]] | None]
"""Runs one statement without parameters; its rows, if it has any."""

_LOOK: Mapping[Engine, str] = {
    "postgres": (
        "SELECT c.relname::text, a.attname::text FROM pg_catalog.pg_class AS c JOIN"
        " pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT"
        " a.attisdropped WHERE c.relnamespace = to_regnamespace('{schema}') AND c.relname IN"
        " ({names})"
    ),
    "duckdb": (
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name ="
        " current_database() AND schema_name = '{schema}' AND table_name IN ({names})"
    ),
    "sqlite": (
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.name"
        " IN ({names}) UNION ALL SELECT name, '' FROM sqlite_master WHERE name IN ({names})"
    ),
}
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\S+) \(\n(.*)\n\)([^\n]*)\Z", re.DOTALL)
_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX IF NOT EXISTS (\S+) ON (\S+) (.+)", re.DOTALL)
_KEY = re.compile(r"PRIMARY KEY \((.+)\)")


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table that we keep: its name as in SQL, its columns' types with constraints, its key, what
    follows the columns (`WITH (...)`), and its indexes by name: what follows ON the table, `UNIQUE`
    before it where it is one.
    """

    name: str
    columns: Mapping[str, str]
    key: Sequence[str] = ()
    options: str = ""
    indexes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def own_name(self) -> str:
        """Its name without its schema."""
        return self.name.rpartition(".")[2]

    def create(self) -> str:
        """CREATE TABLE IF NOT EXISTS, the same on every engine."""
        parts = [f"{name} {kind}" for name, kind in self.columns.items()]
        parts += [f"PRIMARY KEY ({', '.join(self.key)})"] if self.key else []
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join(parts)}) {self.options}".rstrip()
        )

    def create_index(self, name: str, on: str) -> str:
        """CREATE INDEX IF NOT EXISTS on it."""
        unique, columns = (
            ("UNIQUE ", on.removeprefix("UNIQUE ")) if on.startswith("UNIQUE ") else ("", on)
        )
        return f"CREATE {unique}INDEX IF NOT EXISTS {name} ON {self.name} {columns}"


@dataclass(frozen=True, slots=True)
class Step:
    """More than an added column: due while `look` returns a row, done before columns are added.

    `look` has to be cheap and to do on every earlier shape: it is asked at each load. Steps run in
    order of number.
    """

    number: int
    look: str
    statements: Sequence[str]


def tables_in(script: str) -> list[OwnTable]:
    """The tables that CREATE TABLE and CREATE INDEX statements declare, one column a line."""
    tables: dict[str, OwnTable] = {}
    for statement in (part.strip() for part in re.sub(r"--.*", "", dedent(script)).split(";")):
        if table := _TABLE.match(statement):
            lines = [line.strip().rstrip(",") for line in table[2].splitlines()]
            key = next((keyed[1].split(", ") for line in lines if (keyed := _KEY.match(line))), ())
            columns = dict(line.split(" ", 1) for line in lines if not _KEY.match(line))
            tables[table[1]] = OwnTable(table[1], columns, key, table[3].strip())
        elif index := _INDEX.match(statement):
            unique, name, on, columns = index.groups(default="")
            tables[on] = replace(tables[on], indexes={**tables[on].indexes, name: unique + columns})
    return list(tables.values())


def is_current(
    query: Query, engine: Engine, tables: Sequence[OwnTable], steps: Sequence[Step] = ()
) -> bool:
    """Whether tables, all of one schema, lack nothing. Changes and locks nothing."""
    return not any(query(step.look) for step in steps) and not any(_missing(query, engine, tables))


def migrate(
    query: Query, engine: Engine, tables: Sequence[OwnTable], steps: Sequence[Step] = ()
) -> None:
    """Give tables of one schema what they lack; in the caller's transaction, under its lock.

    Raises ConfigurationError for a table of that name that is somebody else's, before anything is
    changed.
    """
    for step in sorted(steps, key=lambda step: step.number):
        if query(step.look):
            log.info("own tables: step %d", step.number)
            for statement in step.statements:
                query(statement)
    for statement in [*_missing(query, engine, tables)]:
        if statement.startswith("ALTER"):
            log.info("own tables: %s", statement)
        query(statement)


def _missing(query: Query, engine: Engine, tables: Sequence[OwnTable]) -> Iterator[str]:
    """The statements that give tables what they lack."""
    there = _columns(query, engine, tables)
    for table in tables:
        if table.own_name in there:
            yield from _missing_columns(table, there[table.own_name])
        else:
            yield table.create()
        if engine != "duckdb":
            yield from (
                table.create_index(name, on)
                for name, on in table.indexes.items()
                if name not in there
            )


def _missing_columns(table: OwnTable, there: Collection[str]) -> Iterator[str]:
    missing = [name for name in table.columns if name not in there]
    if len(missing) > len(table.columns) / 2:
        raise ConfigurationError(
            f"{table.name} is there, and another system made it (it has no {', '.join(missing)}):"
            f" nothing was changed. Keep it under another name with ALTER TABLE {table.name} RENAME"
            f" TO {table.own_name}_before"
        )
    for name in missing:
        kind = re.sub(r" (NOT NULL|PRIMARY KEY)", "", table.columns[name])
        yield f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}"
    if not {*missing}.isdisjoint(table.key):  # the key went with its column
        yield table.create_index(f"{table.own_name}_unique", f"UNIQUE ({', '.join(table.key)})")


def _columns(query: Query, engine: Engine, tables: Sequence[OwnTable]) -> Mapping[str, set[str]]:
    """The columns of those tables and indexes that are there, by name."""
    names = [name for table in tables for name in (table.own_name, *table.indexes)]
    sql = _LOOK[engine].format(
        schema=tables[0].name.rpartition(".")[0], names=", ".join(f"'{name}'" for name in names)
    )
    there: dict[str, set[str]] = {}
    for name, column in query(sql) or ():
        there.setdefault(name, set()).add(column)
    return there
