"""The SELECTs of a report: named sections of one `query.sql`, in Postgres' dialect, for both
engines.

`-- name: days` begins a query; a file without sections is one query named `rows`. `:date` is the
reported day, any other `:name` a parameter of the subscription, NULL where it gives none. Values
are bound, never written into the text, and every table is limited to the client as in the SQL
models.

https://sqlglot.com/
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from signalroom_dagster.modeling.sql import (
    CLIENT,
    TableName,
    limited_to_client,
    parsed,
    select_of,
    tables_read,
)

DATE = "date"
"""The parameter that every query has: the day that is reported."""

_SECTION = re.compile(r"^-- name: *([a-z][a-z0-9_]*) *$", re.MULTILINE)
_PLACE = re.compile(rf"{CLIENT}|__bound_([a-z0-9_]+)__")


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """One SELECT of a report: the tables that it reads, the columns that it gives, the parameters
    that it takes; and the line of its file on which its text begins.
    """

    name: str
    sql: str
    reads: Sequence[TableName]
    columns: Sequence[str]
    parameters: frozenset[str]
    line: int

    def statement(
        self, dialect: str, client_id: str, values: Mapping[str, Any]
    ) -> tuple[str, list[Any]]:
        """The text for an engine with `%s` for every value, and the values in their order."""
        text, bound = _with_places(self.sql, dialect), list[Any]()

        def bind(place: re.Match[str]) -> str:
            bound.append(values.get(place[1]) if place[1] else client_id)
            return "%s"

        return _PLACE.sub(bind, text), bound


@functools.lru_cache(maxsize=256)
def _with_places(sql: str, dialect: str) -> str:
    """The text for an engine, with a word that `_PLACE` finds for every value."""
    tree = limited_to_client(parsed(sql), dialect)
    for place in list(tree.find_all(exp.Placeholder)):
        place.replace(exp.Var(this=f"__bound_{place.name}__"))
    text = tree.sql(dialect=dialect, comments=False)
    if dialect == "postgres" and _PLACE.search(text):
        return text.replace("%", "%%")  # the driver takes a lone one for a place
    return text


def read_queries(text: str, where: str = "query.sql") -> Mapping[str, ReportQuery]:
    """The queries of a file by name, in its order.

    Raises ValueError for what is not a SELECT that can be run, with `where` it stands, line and
    column.
    """
    sections = list(_SECTION.finditer(text))
    ends = [section.start() for section in sections[1:]] + [len(text)]
    places = [
        (section[1], section.end(), end) for section, end in zip(sections, ends, strict=False)
    ]
    queries: dict[str, ReportQuery] = {}
    for name, start, end in places or [("rows", 0, len(text))]:
        if name in queries:
            raise ValueError(f"{where}: two queries have the same name, {name}")
        queries[name] = _query(name, text[start:end], where, text.count("\n", 0, start) + 1)
    return queries


def _query(name: str, sql: str, where: str, line: int) -> ReportQuery:
    tree = select_of(sql, f"{where}: query {name}", line)
    if "%s" in sql:
        raise ValueError(
            f"{where}: query {name}: %s is what values are bound to; write the pattern otherwise"
        )
    places = frozenset(place.name for place in tree.find_all(exp.Placeholder))
    return ReportQuery(name, sql, tables_read(tree), tree.named_selects, places, line)
