"""Whether a source's own tables in the warehouse have the columns and the key that this release
declares.

A table of an earlier release keeps its rows: columns that have another name since are renamed as
`tables.toml` says (`renamed`), and the index on the key is made anew where the key is another one.
What is not known here is told, by `doctor` and by the load, which then does not try: a table that
cannot take a row never will.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.registry.catalog import TableFacts, table_facts
from signalroom_dagster.warehouse.access import connected, lock, transaction
from signalroom_dagster.warehouse.bookkeeping import OURS, move_aside
from signalroom_dagster.warehouse.engine import Query, engine

_COLUMNS = (
    "SELECT table_name, column_name, lower(data_type), is_nullable = 'NO' AND column_default IS"
    " NULL FROM information_schema.columns WHERE table_schema = %s"
)
_KEYS = (
    "SELECT t.relname::text, c.relname::text, "
    "array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum)) "
    "FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid "
    "JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid "
    "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
    "WHERE c.relnamespace = to_regnamespace(%s) AND i.indisunique GROUP BY 1, 2"
)
_TAKES: Mapping[str, Sequence[str]] = {
    "text": ("character varying", "varchar", "text"),
    "bigint": ("bigint", "numeric", "decimal", "character varying", "varchar", "text"),
    "decimal": ("numeric", "decimal", "character varying", "varchar", "text"),
    "bool": ("boolean", "character varying", "varchar", "text"),
    "date": ("date", "timestamp", "character varying", "varchar", "text"),
    "timestamp": ("timestamp", "character varying", "varchar", "text"),
    "json": ("json", "character varying", "varchar", "text"),
}
"""How the types begin whose columns take a kind's values."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A column as it stands in the warehouse; `needed` when a row without it is refused."""

    kind: str
    needed: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What is to be done to one table, or why nothing can be; `blocks` when dlt itself would
    stumble over it.
    """

    table: str
    statements: Sequence[str] = ()
    problem: str = ""
    blocks: bool = False


def fit_tables(source: str) -> Mapping[str, ConfigurationError]:
    """Give a source's tables of an earlier release the columns and keys that this one declares, in
    one transaction.

    Looks first. Returns by table what no load can fill, while the others are loaded; raises
    ConfigurationError for a table that keeps all of them from it.
    """
    with connected() as query:
        off = [*shapes(query, source)]
    for shape in off:
        if shape.blocks:
            raise ConfigurationError(f"{source}.{shape.table} {shape.problem}")
    if any(shape.statements for shape in off):
        with transaction(f"the tables of schema {source}") as query:
            lock(query, f"ddl|{source}")
            for shape in [*shapes(query, source)]:
                for statement in shape.statements:
                    query(statement)
    problems = {
        shape.table: f"{source}.{shape.table} {shape.problem}" for shape in off if shape.problem
    }
    return {table: ConfigurationError(problem) for table, problem in problems.items()}


def shapes(query: Query, source: str) -> Iterator[Shape]:
    """Those of a source's tables that do not fit what is declared; not those that another system
    made.
    """
    there: dict[str, dict[str, Stored]] = {}
    for table, column, kind, needed in query(_COLUMNS, source):
        there.setdefault(table, {})[column] = Stored(kind, bool(needed))
    unique = (
        {(table, index): tuple(names) for table, index, names in query(_KEYS, source)}
        if engine().HAS_INDEXES
        else {}
    )
    for table, facts in table_facts(source).items():
        columns = there.get(table, {})
        if facts.load != "slices" or not {*columns} >= OURS:
            continue
        renamed = [*_renamed(query, f"{source}.{table}", facts, columns)]
        if problem := _problem(facts, columns):
            aside = f"{move_aside(source, table)}; DELETE FROM {source}._dlt_version"
            advice = f"Keep it aside with {aside}: the next load makes it anew"
            problem = f"is of another release: {problem}. Nothing was changed. {advice}"
            yield Shape(table, problem=problem, blocks=not {*facts.key} <= {*columns})
        elif statements := [*renamed, *_key_statements(source, table, facts, unique)]:
            yield Shape(table, statements)


def _renamed(
    query: Query, name: str, facts: TableFacts, columns: dict[str, Stored]
) -> Iterator[str]:
    """What gives columns of an earlier release their name of today; `columns` is then as the table
    will be.
    """
    for new, old in facts.renamed.items():
        if old not in columns or old in facts.columns:
            continue
        if (
            new in columns
        ):  # added by a load that failed then: the old one has all values, or it is not this case
            if query(f"SELECT 1 FROM {name} WHERE {old} IS NULL LIMIT 1"):
                continue
            yield f"ALTER TABLE {name} DROP COLUMN {new}"
        yield f"ALTER TABLE {name} RENAME COLUMN {old} TO {new}"
        columns[new] = columns.pop(old)


def _problem(facts: TableFacts, columns: Mapping[str, Stored]) -> str:
    """Why no row could be written."""
    without = [name for name in facts.key if name not in columns]
    unfilled = [
        name for name, column in columns.items() if column.needed and name not in facts.columns
    ]
    parts = [
        (
            f"it has no column {', '.join(without)}, which its rows are told apart by"
            if without
            else ""
        ),
        (
            f"its column {', '.join(unfilled)} may not be empty, and nothing fills it"
            if unfilled
            else ""
        ),
    ]
    for name, kind in facts.columns.items():
        if name in columns and not columns[name].kind.startswith(tuple(_TAKES.get(kind, ("",)))):
            parts.append(f"its column {name} is {columns[name].kind}, and has to take {kind}")
    return "; ".join(filter(None, parts))


def _key_statements(
    source: str, table: str, facts: TableFacts, unique: Mapping[tuple[str, str], Sequence[str]]
) -> Iterator[str]:
    """What makes the unique index one on the declared key; DuckDB has no such index."""
    names = {old: new for new, old in facts.renamed.items() if old not in facts.columns}
    keys = {at: tuple(names.get(name, name) for name in columns) for at, columns in unique.items()}
    has_key = any(of == table and key == facts.key for (of, _), key in keys.items())
    if has_key or not engine().HAS_INDEXES:
        return
    index, taken = f"{table}_key", {name for _, name in unique}
    if (table, index) in unique:
        yield f"DROP INDEX {source}.{index}"
    elif index in taken:  # by a table that was kept aside
        index += "_anew"
    yield f"CREATE UNIQUE INDEX {index} ON {source}.{table} ({', '.join(facts.key)})"
