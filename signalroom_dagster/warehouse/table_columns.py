"""The columns of the tables that files are loaded into, and whose files brought them.

A column that a file brings is marked with a comment as it is added, in the same transaction: so the
client's share of the table's width is known, whatever becomes of the file and its rows. The mark is
a digest, since every client's reader may see a table's comments.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from signalroom_dagster.sources.files import TableColumns
from signalroom_dagster.warehouse.engine import Query, engine

BROUGHT_BY = "x-brought-by"
"""The hint on a column that says which client's file brings it."""


def read_table_columns(
    query: Query, dataset: str, client_id: str, tables: Iterable[str]
) -> Mapping[str, TableColumns]:
    """What tables of a schema have, by name; those that do not exist are left out."""
    if not (names := [*tables]):
        return {}
    rows = query(engine().COLUMNS, dataset, names)
    own = _mark(client_id)
    return {
        table: TableColumns(
            columns=frozenset(
                name for of, name, _, is_dropped in rows if of == table and not is_dropped
            ),
            brought=frozenset(name for of, name, mark, _ in rows if of == table and mark == own),
            width=sum(of == table for of, *_ in rows),
        )
        for table in {row[0] for row in rows}
    }


def marks(table: str, columns: Sequence[Any], quoted: Callable[[str], str]) -> list[str]:
    """The statements that mark new columns of a table, named as in SQL, which a file brought."""
    return [
        f"COMMENT ON COLUMN {table}.{quoted(column['name'])} IS '{_mark(column[BROUGHT_BY])}'"
        for column in columns
        if column.get(BROUGHT_BY)
    ]


def _mark(client_id: str) -> str:
    return f"brought by a file ({blake2b(client_id.encode(), digest_size=6).hexdigest()})"
