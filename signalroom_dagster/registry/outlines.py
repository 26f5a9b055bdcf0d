"""The tables of a source as dlt describes them: their columns and keys, and which lane loads them
(the hint `x-load`). An outline's resources yield nothing; a lane's are the same with their tickets.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource, DltSource

from signalroom_dagster.sources.tables import Table

Tickets: TypeAlias = Callable[[], Iterator[Any]]

KEPT_BESIDE: Mapping[str, Mapping[str, str]] = {
    "files": {
        "files": "The ledger: one row per file ever seen, with its version, counts, status and the"
        " reason for it.",
        "rejected_rows": "Records that could not be read, with the reason, the line in the file"
        " and, where allowed, the raw text.",
    },
    "slices": {
        "windows": "What was read when: one row per resource and day, with its rows and what the"
        " vendor itself says of them.",
        "restatements": "Figures of days that were over, and that the vendor has changed since:"
        " before, after, and when it was seen.",
    },
}
"""What each lane writes beside a source's tables, in the transaction of a file or slice."""


def outline(name: str, lane: str, resources: Iterable[DltResource]) -> DltSource:
    """A source of these resources, and of what their lane keeps beside them."""
    kept = [_resource(*table, {}) for table in KEPT_BESIDE[lane].items()]
    return dlt.source(lambda: [*resources, *kept], name=name, max_table_nesting=0)()


def outline_of_slices(name: str, tables: Mapping[str, Table]) -> DltSource:
    """The outline of a source that the windowed lane loads."""
    return outline(name, "slices", map(slices_resource, tables.values()))


def outline_of_files(name: str, tables: Mapping[str, Mapping[str, str]]) -> DltSource:
    """The outline of a source that the file lane loads, from its tables' columns."""
    return outline(name, "files", [files_resource(*table) for table in tables.items()])


def slices_resource(table: Table, tickets: Tickets = lambda: iter(())) -> DltResource:
    """A table that the windowed lane loads."""
    hints: dict[str, Any] = {"x-load": "slices", "x-total": table.total, "x-day": table.day}
    hints |= {"x-renamed": dict(table.renamed)} if table.renamed else {}
    hints |= {"x-needed": list(table.needed)} if table.needed else {}
    hints |= {"x-proof": table.proof} if table.proof else {}
    resource = _resource(table.name, table.about, hints, tickets)
    resource.apply_hints(columns=dict(table.hints), primary_key=("_client_id", *table.key))
    return resource


def files_resource(
    name: str, columns: Mapping[str, str], tickets: Tickets = lambda: iter(())
) -> DltResource:
    """A table that the file lane loads, from its columns' dlt types."""
    about = "One row per CSV record of the files under one prefix, all columns as text."
    hints: Any = {column: {"name": column, "data_type": kind} for column, kind in columns.items()}
    return _resource(name, about, {"x-load": "files"}, tickets).apply_hints(columns=hints)


def _resource(
    name: str, about: str, hints: Mapping[str, Any], tickets: Tickets = lambda: iter(())
) -> DltResource:
    def rows() -> Iterator[Any]:
        yield from tickets()

    resource = dlt.resource(rows, name=name, spec=BaseConfiguration)
    return resource.apply_hints(additional_table_hints={**hints, "description": about})
