"""The SQL models: one SELECT per table in `models/<schema>/<table>.sql`, in Postgres' dialect, for both engines.

What a model reads, and where each of its columns comes from, is read from its SQL. A comment behind a column of the
outer SELECT is the column's description, the comment on top of the file is the table's. Beside Postgres' own functions
a model may use those of `FUNCTIONS`, which mean exactly the same on both engines.

https://sqlglot.com/
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import ascii_lowercase, ascii_uppercase
from typing import Any, TypeAlias, cast

import sqlglot
from sqlglot import exp
from sqlglot.lineage import Node, lineage

TableName: TypeAlias = tuple[str, str]
"""Schema and table."""

CLIENT = "__client__"
"""Stands for the client in a tree, until the statement's text has a placeholder for it."""

_DAY = (
    "CASE WHEN _1 ~ '^(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/[12][0-9]{3}' "
    "THEN SUBSTRING(_1, 7, 4) || SUBSTRING(_1, 1, 2) || SUBSTRING(_1, 4, 2) "
    "WHEN _1 ~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])' "
    "THEN SUBSTRING(_1, 1, 4) || SUBSTRING(_1, 6, 2) || SUBSTRING(_1, 9, 2) END"
)
_MONTH = f"MAKE_DATE(CAST(SUBSTRING({_DAY}, 1, 4) AS INT), CAST(SUBSTRING({_DAY}, 5, 2) AS INT), 1)"
_DATE = f"({_MONTH} + (CAST(SUBSTRING({_DAY}, 7, 2) AS INT) - 1))"

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What Python's `strip` takes away, as the mapping's load does: the engines' own TRIM differ from it and each other."""

MOST_MONEY = "99999999999999.9999"
"""The largest amount that NUMERIC(18, 4) holds."""

FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "trimmed": {"postgres": f"TRIM(BOTH '{_SPACES}' FROM _1)"},
    "capitals": {"postgres": f"TRANSLATE(_1, '{ascii_lowercase}', '{ascii_uppercase}')"},
    "bytewise": {"postgres": '_1 COLLATE "C"', "duckdb": "_1"},
    "as_money": {
        "postgres": f"CAST(CASE WHEN ABS(_1) <= {MOST_MONEY} THEN _1 END AS NUMERIC(18, 4))",
        "duckdb": "TRY_CAST(_1 AS DECIMAL(18, 4))",
    },
    "safe_ratio": {
        "postgres": "as_money(ROUND(CAST(_1 AS NUMERIC) / NULLIF(_2, 0), 4))",
        # DuckDB divides decimals as doubles: half a cent would fall to either side. So in whole ten-thousandths.
        "duckdb": "as_money(CAST(CAST(SIGN(_1) * SIGN(_2) AS HUGEINT) * ((2 * CAST(ABS(_1) * 10000 AS HUGEINT) * 10000 "
        "+ CAST(ABS(_2) * 10000 AS HUGEINT)) // NULLIF(2 * CAST(ABS(_2) * 10000 AS HUGEINT), 0)) AS DECIMAL(32, 0)) "
        "* CAST(0.0001 AS DECIMAL(5, 4)))",
    },
    "as_decimal": {
        "postgres": "CAST(CASE WHEN trimmed(_1) ~ '^-?([0-9]{1,13}(\\.[0-9]+)?|[0-9]{14}(\\.[0-9]{1,4})?)$' "
        "THEN CAST(trimmed(_1) AS NUMERIC(18, 4)) END AS NUMERIC(18, 4))"
    },
    "as_integer": {"postgres": "CASE WHEN trimmed(_1) ~ '^-?[0-9]{1,18}$' THEN CAST(trimmed(_1) AS BIGINT) END"},
    "as_flag": {
        "postgres": "CASE capitals(trimmed(_1)) WHEN 'YES' THEN TRUE WHEN '1' THEN TRUE WHEN 'NO' THEN FALSE "
        "WHEN '0' THEN FALSE END"
    },
    "as_day": {
        "postgres": f"CASE WHEN EXTRACT(DAY FROM {_DATE}) = CAST(SUBSTRING({_DAY}, 7, 2) AS INT) THEN {_DATE} END"
    },
    "present": {"postgres": "CASE WHEN capitals(trimmed(_1)) NOT IN ('', 'N/A', 'NA') THEN _1 END"},
    "is_unread": {"postgres": "CASE WHEN _2 IS NULL AND present(_1) IS NOT NULL THEN 1 ELSE 0 END"},
    "newest_of": {
        # of texts that begin with their place the first, which costs Postgres less than an ordered list of them
        "postgres": "SUBSTRING(MIN(LPAD(CAST(_2 AS TEXT), 12, '0') || bytewise(_1)), 13)",
        "duckdb": "ARG_MIN(_1, _2)",
    },
    "older_name": {"postgres": "CASE WHEN COUNT(_1) > 0 AND COUNT(_1) FILTER (WHERE _2) = 0 THEN _3 END"},
}
"""What a model may call beside Postgres' own functions, per engine; `postgres` serves both where it stands alone. They
may call each other.

`safe_ratio(a, b)` is a / b rounded half up to four places, NULL when b is 0. `as_money` is an amount of four places as
NUMERIC(18, 4), NULL for one too large for it. `trimmed` takes every kind of space off a text's ends, `capitals` has a
to z in upper case, `bytewise` is a text to be ordered by, or to be the MIN or MAX of: by itself, each engine and each
database orders text in its own way. `as_decimal`, `as_integer`, `as_flag` (YES, NO, 1, 0) and `as_day` (MM/DD/YYYY or
YYYY-MM-DD, a time behind it cut off) read text and give NULL for any other; `present` is the text that says something,
so not N/A, and `is_unread(text, value)` is 1 where text says something and was not read, else 0.

`newest_of(text, place)` gives, in a group, the text of the lowest place that has one; `older_name(text, is_newest,
name)` the name when only rows that are not the newest have one, else NULL.
"""


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its table, its text as it stands in the file, what it reads and which columns it gives."""

    name: TableName
    sql: str
    about: str
    reads: Sequence[TableName]
    columns: Mapping[str, str]

    def select(self, dialect: str) -> str:
        """The SELECT for an engine, limited to the client of the placeholder `%s`, once for each table it reads."""
        return limited_text(self.sql, dialect)

    @property
    def places(self) -> int:
        """How many placeholders `select` has."""
        return self.select("postgres").count("%s")

    def lineage(self, schema: Mapping[TableName, Sequence[str]]) -> Mapping[str, Sequence[tuple[TableName, str]]]:
        """The columns that each column comes from, given the columns of the tables that are read."""
        known: dict[str, dict[str, dict[str, str]]] = {}
        for (db, table), columns in schema.items():
            known.setdefault(db, {})[table] = dict.fromkeys(columns, "text")
        nodes = lineage(None, parsed(self.sql), schema=known, dialect="postgres")
        return {column: sorted(set(_sources(nodes[column]))) for column in self.columns}


@functools.cache
def models() -> Mapping[TableName, Model]:
    """Every model by its table, in an order in which each comes after those that it reads."""
    found = {(folder.name, file.name[:-4]): _read(folder.name, file) for folder, file in _model_files()}
    ordered: dict[TableName, Model] = {}
    while len(ordered) < len(found):
        ready = [m for m in found.values() if m.name not in ordered
                 and all(read in ordered or read not in found for read in m.reads)]  # fmt: skip
        if not ready:
            raise ValueError(f"models read each other in a circle: {sorted(set(found) - set(ordered))}")
        ordered.update({model.name: model for model in ready})
    return ordered


def behind(tables: Iterable[TableName]) -> Iterator[TableName]:
    """Tables, and all that they are made from where they are models."""
    for table in tables:
        yield table
        if table in models():
            yield from behind(models()[table].reads)


def _model_files() -> Iterator[tuple[Traversable, Traversable]]:
    folders = sorted(files("signalroom_dagster.models").iterdir(), key=lambda folder: folder.name)
    for folder in folders:
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".sql") and not file.name.endswith(".checks.sql"):
                    yield folder, file


def _read(schema: str, file: Traversable) -> Model:
    text = file.read_text("utf-8")
    tree = parsed(text)
    about = " ".join(line[2:].strip() for line in re.match(r"(--.*\n)*", text)[0].splitlines())  # pyright: ignore[reportOptionalSubscript]
    return Model((schema, file.name[:-4]), text, about, tables_read(tree), _columns(tree))


def parsed(text: str) -> exp.Select:
    """The tree of one SELECT in Postgres' dialect."""
    return cast("exp.Select", sqlglot.parse_one(text, dialect="postgres"))


def tables_read(tree: exp.Select) -> Sequence[TableName]:
    """The tables that a SELECT reads, its own WITH queries aside."""
    return sorted({(table.db, table.name) for table in _tables(tree)})


@functools.lru_cache(maxsize=256)
def limited_text(text: str, dialect: str) -> str:
    """A SELECT's text for an engine, limited to the client of the placeholder `%s`; made once, for every client."""
    return limited_to_client(parsed(text), dialect).sql(dialect=dialect, comments=False).replace(CLIENT, "%s")


def limited_to_client(tree: exp.Select, dialect: str) -> exp.Select:
    """The SELECT for an engine, with each table that it reads limited to the client that CLIENT stands for."""
    limited = _expanded(tree, dialect)
    for table in _tables(limited):
        table.replace(_of_client(table))
    return limited


def _tables(tree: exp.Select) -> Sequence[exp.Table]:
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    return [table for table in tree.find_all(exp.Table) if table.db or table.name not in ctes]


def _columns(tree: exp.Select) -> Mapping[str, str]:
    """The columns that a model gives, each with the comment behind it."""
    found: dict[str, str] = {}
    for item in tree.expressions:
        comments = [text for part in item.walk() for text in (part.comments or ())]
        found[item.alias_or_name] = " ".join(text.strip() for text in comments)
    return found


def _of_client(table: exp.Table) -> exp.Subquery:
    """A table limited to one client, under the name that the model calls it by."""
    plain = exp.Table(this=exp.to_identifier(table.name), db=exp.to_identifier(table.db))
    limited = exp.select("*").from_(plain).where(exp.column("_client_id").eq(exp.Var(this=CLIENT)))
    return limited.subquery(table.alias or table.name)


def _expanded(tree: exp.Select, dialect: str) -> exp.Select:
    """The tree with our own functions written out for an engine."""

    def expand(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Anonymous) or node.name.lower() not in FUNCTIONS:
            return node
        texts = FUNCTIONS[node.name.lower()]
        written = "duckdb" if dialect == "duckdb" and "duckdb" in texts else "postgres"
        body = sqlglot.parse_one(texts[written], dialect=written).transform(expand)
        arguments = {f"_{number}": value.transform(expand) for number, value in enumerate(node.expressions, start=1)}
        return body.transform(functools.partial(_argument, arguments=arguments))

    return cast("exp.Select", tree.transform(expand))


def _argument(part: Any, arguments: Mapping[str, exp.Expr]) -> Any:
    if isinstance(part, exp.Column) and part.name in arguments:
        return exp.paren(arguments[part.name].copy())
    return part


def _sources(node: Node) -> Iterator[tuple[TableName, str]]:
    for part in node.walk():
        if isinstance(part.source, exp.Table) and part.source.db:
            yield (part.source.db, part.source.name), part.name.rpartition(".")[2]
