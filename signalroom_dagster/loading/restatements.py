"""What a vendor changes on days that were over: the loaded figures before and after a slice, and
the rows of `restatements` that say so, in the slice's own transaction.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from signalroom_dagster.loading.courier import LoadClient
from signalroom_dagster.loading.slice_read import ReadSlice
from signalroom_dagster.warehouse.bookkeeping import RESTATEMENTS, insert

Figures: TypeAlias = Mapping[tuple[Any, ...], Mapping[str, Any]]
"""A day's figures by day and key."""


def loaded_figures(client: LoadClient, read: ReadSlice) -> Figures:
    """The loaded figures of the slice's days that were over when last read."""
    table, days, sql = read.table, read.finished_days, client.sql_client
    if not (days and table.figures and table.day):
        return {}
    names = (table.day, *_names(read))
    rows = sql.execute_sql(
        f"SELECT {', '.join((*names, *table.figures))} FROM"
        f" {sql.make_qualified_table_name(table.name)} WHERE _client_id = %s AND {table.day}"
        " BETWEEN %s AND %s",
        read.context.client_id,
        min(days),
        max(days),
    )
    return {
        tuple(row[: len(names)]): dict(zip(table.figures, row[len(names) :], strict=True))
        for row in rows
        if row[0] in days
    }


def note_restatements(client: LoadClient, read: ReadSlice, before: Figures, after: Figures) -> None:
    """Write a row for each day and key whose figures are not what they were."""
    sql = client.sql_client
    for place in sorted({*before, *after}, key=str):
        old, new = before.get(place), after.get(place)
        if old == new:
            continue
        key = zip(_names(read), place[1:], strict=True)
        row = {
            "_client_id": read.context.client_id,
            "resource": read.table.name,
            "day": place[0],
            "key": ", ".join(f"{name}={value}" for name, value in key),
            "before": _changed(old, new),
            "after": _changed(new, old),
            "seen_at": read.reading.began,
            "run_id": read.context.run_id,
        }
        sql.execute_sql(insert(sql.make_qualified_table_name(RESTATEMENTS), row), *row.values())


def _names(read: ReadSlice) -> list[str]:
    return [name for name in read.table.key if name != read.table.day]


def _changed(figures: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> str | None:
    """Those figures that are not the same on the other side, as JSON; NULL when there is no row on
    this side.
    """
    if figures is None:
        return None
    changed = {name: value for name, value in figures.items() if not other or other[name] != value}
    return json.dumps(changed, default=str)
