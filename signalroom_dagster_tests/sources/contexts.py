"""A source's context as a run would have it, for tests that read without a warehouse."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.plan import Slice
from signalroom_dagster.sources.resources import Answer, typed_rows
from signalroom_dagster.sources.tables import Replaces, Table
from signalroom_dagster.warehouse.windows import Window

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 3, 10, 16, tzinfo=UTC)
"""Midday of 10 March 2026 in New York: what the context's clock says unless a test sets it."""


def context(folder: Path, **values: Any) -> LoadContext:
    """Client 713, whose first loads begin on 1 March 2026, in its run "now"."""
    given: dict[str, Any] = {
        "client_id": "713",
        "source": "shop",
        "zone": NEW_YORK,
        "currency": "USD",
        "start_date": date(2026, 3, 1),
        "run_id": "now",
        "work_dir": folder,
        "ledger": {},
        "windows": {},
        "started_at": NOON,
        **values,
    }
    return LoadContext(**given)


def read_at(moment: datetime, *days: date, run_id: str = "before") -> Mapping[date, Window]:
    """Windows of days that were read at one moment."""
    return {day: Window(moment, run_id, 1) for day in days}


def march(days: Iterable[int]) -> list[date]:
    """Days of March 2026."""
    return [date(2026, 3, number) for number in days]


def slice_of(
    table: Table,
    read: Callable[[], Answer],
    days: Iterable[date],
    replaces: Replaces = "days",
    **how: Any,
) -> Slice:
    """A slice that is read as a resource would: a vendor's answer, by the table's columns."""
    asked = tuple(days)
    allowed = frozenset(asked) if replaces == "days" else None
    return Slice(
        days=asked,
        rows=lambda reading: typed_rows(table, read(), reading, allowed),
        replaces=replaces,
        **how,
    )
