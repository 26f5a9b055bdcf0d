"""What the windows and restatements of a schema say: for planning a load, for asset metadata, checks and the CLI."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from signalroom_dagster.loading.tables import RESTATEMENTS, WINDOWS
from signalroom_dagster.loading.warehouse import Query, table_exists
from signalroom_dagster.slices import Window


@dataclass(frozen=True, slots=True)
class ReadDay:
    """One day as a run read it: rows, and what the vendor itself says; `read_at` is UTC-aware."""

    day: date
    rows: int
    vendor_total: Decimal | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Restated:
    """One row of a day that was over, with the figures that the vendor changed; None: there was or is no such row."""

    day: date
    key: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def read_windows(query: Query, dataset: str, client_id: str) -> Mapping[str, Mapping[date, Window]]:
    """What a schema has of one client, by resource and day; empty before the first load."""
    if not table_exists(query, dataset, WINDOWS):
        return {}
    found: dict[str, dict[date, Window]] = {}
    rows = query(
        f"SELECT resource, day, loaded_at, run_id, rows, read_cursor, swept_at FROM {dataset}.{WINDOWS} "
        "WHERE _client_id = %s",
        client_id,
    )
    for resource, day, *window in rows:
        found.setdefault(resource, {})[day] = Window(*window)
    return found


def days_of_run(query: Query, dataset: str, client_id: str, resource: str, run_id: str) -> list[ReadDay]:
    """The days that one run read of a resource, in order; earlier attempts of the same run included."""
    if not table_exists(query, dataset, WINDOWS):
        return []
    rows = query(
        f"SELECT day, rows, vendor_total, loaded_at FROM {dataset}.{WINDOWS} "
        "WHERE _client_id = %s AND resource = %s AND run_id = %s ORDER BY day",
        client_id,
        resource,
        run_id,
    )
    return [ReadDay(*row) for row in rows]


def restated_in_run(query: Query, dataset: str, client_id: str, resource: str, run_id: str) -> list[Restated]:
    """What one run saw restated of a resource, by day and key."""
    rows = query(
        f"SELECT day, key, before, after FROM {dataset}.{RESTATEMENTS} "
        "WHERE _client_id = %s AND resource = %s AND run_id = %s ORDER BY day, key",
        client_id,
        resource,
        run_id,
    )
    return [Restated(day, key, _figures(before), _figures(after)) for day, key, before, after in rows]


def _figures(value: Any) -> Mapping[str, Any] | None:
    return json.loads(value) if isinstance(value, str) else value
