"""The SQL models: one SELECT per table in `models/<schema>/<table>.sql`, in Postgres' dialect.

What a model reads, and where each of its columns comes from, is read from its SQL. A comment behind
a column of the outer SELECT is the column's description, the comment on top of the file is the
table's. Beside Postgres' own functions a model may use those of `functions`, which mean exactly the
same on both engines.

https://sqlglot.com/
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeAlias, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.lineage import Node, lineage

from signalroom_dagster.modeling.functions import FUNCTIONS

TableName: TypeAlias = tuple[str, str]
"""Schema and table."""

CLIENT = "__client__"
"""Stands for the client in a tree, until the statement's text has a placeholder for it."""

CLIENT_COLUMN = "_client_id"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its table, its text in the file, what it reads and which columns it gives."""

    name: TableName
    sql: str
    about: str
    reads: Sequence[TableName]
    columns: Mapping[str, str]

    def select(self, dialect: str) -> str:
        """The SELECT for an engine, limited to the client `%s`, once for each table it reads."""
        return limited_text(self.sql, dialect)

    @property
    def places(self) -> int:
        """How many placeholders `select` has."""
        return self.select("postgres").count("%s")

    def lineage(
        self, schema: Mapping[TableName, Sequence[str]]
    ) -> Mapping[str, Sequence[tuple[TableName, str]]]:
        """The columns that each column comes from, given the columns of the tables read."""
        known: dict[str, dict[str, dict[str, str]]] = {}
        for (db, table), columns in schema.items():
            known.setdefault(db, {})[table] = dict.fromkeys(columns, "text")
        nodes = lineage(None, parsed(self.sql), schema=known, dialect="postgres")
        return {column: sorted(set(_sources(nodes[column]))) for column in self.columns}


def models() -> Mapping[TableName, Model]:
    """Every model by its table, in an order in which each comes after those that it reads."""
    return _models()[0]


def refused_models() -> Mapping[TableName, str]:
    """The models left out, and what is wrong with each: its own SQL, or one that it reads."""
    return _models()[1]


@functools.cache
def _models() -> tuple[Mapping[TableName, Model], Mapping[TableName, str]]:
    readable: dict[TableName, Model] = {}
    refused: dict[TableName, str] = {}
    for name, file in _model_files().items():
        try:
            readable[name] = _read(name, file)
        except (ValueError, OSError) as error:
            refused[name] = str(error)
    ordered: dict[TableName, Model] = {}
    while waiting := [
        model for name, model in readable.items() if name not in {*ordered, *refused}
    ]:
        ready = [
            model
            for model in waiting
            if all(read in ordered or read not in readable for read in model.reads)
        ]
        for model in ready:
            if stops := [".".join(read) for read in model.reads if read in refused]:
                refused[model.name] = (
                    f"{file_of(model.name)}: it reads {', '.join(stops)}, which is set aside"
                )
            else:
                ordered[model.name] = model
        for model in () if ready else waiting:
            refused[model.name] = (
                f"{file_of(model.name)}: it reads models that read each other in a circle"
            )
        readable = {name: model for name, model in readable.items() if name not in refused}
    return ordered, refused


def behind(tables: Iterable[TableName]) -> Iterator[TableName]:
    """Tables, and all that they are made from where they are models."""
    for table in tables:
        yield table
        if table in models():
            yield from behind(models()[table].reads)


def file_of(name: TableName) -> str:
    """Where a model's SQL stands, below the package."""
    return f"models/{name[0]}/{name[1]}.sql"


def _model_files() -> Mapping[TableName, Traversable]:
    folders = sorted(files("signalroom_dagster.models").iterdir(), key=lambda folder: folder.name)
    return {
        (folder.name, file.name[:-4]): file
        for folder in folders
        if folder.is_dir()
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql") and not file.name.endswith(".checks.sql")
    }


def _read(name: TableName, file: Traversable) -> Model:
    """Raises ValueError for what is not the SELECT of a model."""
    if not all(map(_NAME.match, name)):
        raise ValueError(
            f"{file_of(name)}: schema and table are lower case, with digits and underscores"
        )
    text = file.read_text("utf-8-sig")
    tree = select_of(text, file_of(name))
    about = " ".join(line[2:].strip() for line in re.match(r"(--.*\n)*", text)[0].splitlines())  # pyright: ignore[reportOptionalSubscript]
    if CLIENT_COLUMN not in tree.named_selects:
        raise ValueError(
            f"{file_of(name)}: no column {CLIENT_COLUMN}: each row says by it whose it is"
        )
    return Model(name, text, about, tables_read(tree), _columns(tree))


def select_of(text: str, where: str, first_line: int = 1) -> exp.Select:
    """The tree of one SELECT that gives named columns of named tables.

    Raises ValueError with `where` it stands, line and column; `first_line` is the text's line in
    its file.
    """
    try:
        trees = [
            tree
            for tree in sqlglot.parse(text, dialect="postgres")
            if tree and tree.key != "semicolon"
        ]
    except ParseError as error:
        raise ValueError(f"{where}{_problem(error, first_line)}") from None
    except TokenError as error:
        open_at = re.search(
            r"(.+) from \d+:(\d+)", str(error.__cause__)
        )  # the latter counts from the text's begin
        before = text[: int(open_at[2])] if open_at else ""
        place = (
            f", line {before.count(chr(10)) + first_line}, column"
            f" {len(before) - before.rfind(chr(10))}"
        )
        raise ValueError(
            f"{where}{place if open_at else ''}: {open_at[1] if open_at else 'not SQL'}"
        ) from None
    except RecursionError:
        raise ValueError(f"{where}: nested too deep") from None
    if len(trees) != 1 or trees[0].key not in ("select", "union"):
        raise ValueError(f"{where}: not a SELECT, or more than one")
    tree = cast("exp.Select", trees[0])
    columns = tree.named_selects
    if "*" in columns or not all(columns) or len({*columns}) < len(columns):
        raise ValueError(f"{where}: give every column a name of its own, and no *")
    if nameless := [table for table in _tables(tree) if not table.db]:
        line = nameless[0].this.meta.get("line", 0) + first_line - 1
        raise ValueError(f"{where}, line {line}: {nameless[0].name} lacks its schema")
    return tree


def _problem(error: ParseError, first_line: int) -> str:
    """Where sqlglot stopped reading and what it expected, without its underlining and dumps."""
    first = error.errors[0]
    text, end = str(first.get("highlight") or ""), int(first.get("col") or 0)
    expected = str(first.get("description")).partition(" but got ")[0]
    line = int(first.get("line") or 1) + first_line - 1
    return f", line {line}, column {max(1, end - len(text) + 1)}: {expected} near {text!r}"


def parsed(text: str) -> exp.Select:
    """The tree of one SELECT in Postgres' dialect."""
    return cast("exp.Select", sqlglot.parse_one(text, dialect="postgres"))


def tables_read(tree: exp.Select) -> Sequence[TableName]:
    """The tables that a SELECT reads, its own WITH queries aside."""
    return sorted({(table.db, table.name) for table in _tables(tree)})


@functools.lru_cache(maxsize=256)
def limited_text(text: str, dialect: str) -> str:
    """A SELECT's text for an engine, limited to the client `%s`; made once for all clients."""
    return (
        limited_to_client(parsed(text), dialect)
        .sql(dialect=dialect, comments=False)
        .replace(CLIENT, "%s")
    )


def limited_to_client(tree: exp.Select, dialect: str) -> exp.Select:
    """The SELECT for an engine, each table that it reads limited to the client CLIENT."""
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
    for item in tree.selects:
        comments = [text for part in item.walk() for text in part.comments or ()]
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
        arguments = {
            f"_{number}": value.transform(expand)
            for number, value in enumerate(node.expressions, start=1)
        }
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
