"""What a schema's windows and restatements say: for planning, metadata, checks and the CLI."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from signalroom_dagster.sources.set_aside import told as told_aside
from signalroom_dagster.warehouse.access import Query, now, table_exists
from signalroom_dagster.warehouse.bookkeeping import RESTATEMENTS, WINDOWS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """What the warehouse knows of one day of one resource: when it was read (UTC), by which run,
    and up to where.

    `cursor` is the source's own mark, for resources that are read by change and not by day;
    `swept_at` (UTC) is when the client's rows were last replaced whole.
    """

    loaded_at: datetime
    run_id: str
    rows: int
    cursor: str | None = None
    swept_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReadDay:
    """One day as a run read it: rows, what the vendor itself says, and what could not be read (see
    `sources.set_aside`); `read_at` is UTC-aware."""

    day: date
    rows: int
    vendor_total: Decimal | None
    read_at: datetime
    set_aside: Sequence[Mapping[str, Any]] = ()

    @property
    def rows_left_out(self) -> int:
        """How many of the day's rows could not be loaded."""
        return sum(entry["count"] for entry in self.set_aside if not entry["column"])

    @property
    def remarks(self) -> list[str]:
        """What could not be read, a line for each column and reason."""
        return [f"{self.day}: {told_aside(**entry)}" for entry in self.set_aside]


@dataclass(frozen=True, slots=True)
class Restated:
    """One row of a past day with the figures that the vendor changed; None: no such row."""

    day: date
    key: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def read_windows(query: Query, dataset: str, client_id: str) -> Mapping[str, Mapping[date, Window]]:
    """What a schema has of one client, by resource and day; empty before the first load.

    A day that was read in the future, by a machine whose clock was ahead, counts as not read.
    """
    if not table_exists(query, dataset, WINDOWS):
        return {}
    found: dict[str, dict[date, Window]] = {}
    present, to_come = now(query), list[str]()
    rows = query(
        "SELECT resource, day, loaded_at, run_id, coalesce(rows, 0), read_cursor, swept_at FROM"
        f" {dataset}.{WINDOWS} WHERE _client_id = %s AND loaded_at IS NOT NULL AND day IS NOT NULL",
        client_id,
    )
    for resource, day, loaded_at, run_id, count, cursor, swept_at in rows:
        if loaded_at > present:
            to_come.append(f"{resource} of {day} at {loaded_at:%Y-%m-%d %H:%M %Z}")
            continue
        swept = swept_at if swept_at and swept_at <= present else None
        found.setdefault(resource, {})[day] = Window(loaded_at, run_id, count, cursor, swept)
    if to_come:
        log.warning(
            "client %s, %s: %d days were read by a machine whose clock was ahead (%s): they count"
            " as not read",
            client_id,
            dataset,
            len(to_come),
            to_come[0],
        )
    return found


def days_of_run(
    query: Query, dataset: str, resource: str, client_id: str, run_id: str
) -> list[ReadDay]:
    """The days that one run read of a resource, in order, its earlier attempts included."""
    if not table_exists(query, dataset, WINDOWS):
        return []
    return _days(query, dataset, "run_id = %s", resource, client_id, run_id)


def set_aside_days(
    query: Query, dataset: str, resource: str, client_id: str, first: date, last: date
) -> list[ReadDay]:
    """Those days of a stretch of which something could not be read, in order."""
    which = "set_aside IS NOT NULL AND day BETWEEN %s AND %s"
    return _days(query, dataset, which, resource, client_id, first, last)


def _days(query: Query, dataset: str, which: str, *parameters: Any) -> list[ReadDay]:
    rows = query(
        f"SELECT day, rows, vendor_total, loaded_at, set_aside FROM {dataset}.{WINDOWS} "
        f"WHERE resource = %s AND _client_id = %s AND {which} ORDER BY day",
        *parameters,
    )
    return [
        ReadDay(day, count, total, read_at, _json(aside) or ())
        for day, count, total, read_at, aside in rows
    ]


def figures_by_day(
    query: Query,
    dataset: str,
    table: str,
    client_id: str,
    day: str,
    figures: Sequence[str],
    days: Sequence[date],
) -> Mapping[date, Mapping[str, Any]]:
    """What a table's figures add up to on some days: whole numbers as int, money as Decimal."""
    sums = ", ".join(f"sum({name})" for name in figures)
    rows = query(
        f"SELECT {day}, {sums} FROM {dataset}.{table} WHERE _client_id = %s AND {day} BETWEEN %s"
        " AND %s GROUP BY 1",
        client_id,
        min(days),
        max(days),
    )
    return {
        found: dict(zip(figures, map(_number, amounts), strict=True)) for found, *amounts in rows
    }


def restated_in_run(
    query: Query, dataset: str, resource: str, client_id: str, run_id: str
) -> list[Restated]:
    """What one run saw restated of a resource, by day and key."""
    rows = query(
        f"SELECT day, key, before, after FROM {dataset}.{RESTATEMENTS} "
        "WHERE _client_id = %s AND resource = %s AND run_id = %s ORDER BY day, key",
        client_id,
        resource,
        run_id,
    )
    return [Restated(day, key, _json(before), _json(after)) for day, key, before, after in rows]


def told(restated: Sequence[Restated], totals: Mapping[date, Mapping[str, Any]]) -> list[str]:
    """A line for each restated day: counts as before and after, money as the difference.

    `totals` are the day's figures as they stand now.
    """
    changes: dict[date, dict[str, Decimal]] = {}
    for row in restated:
        day = changes.setdefault(row.day, {})
        for figure in {**(row.before or {}), **(row.after or {})}:
            change = _amount(row.after, figure) - _amount(row.before, figure)
            day[figure] = day.get(figure, Decimal(0)) + change
    return [
        f"{day:%d %b}: {_said(change, totals.get(day, {}))}"
        for day, change in sorted(changes.items())
    ]


def _said(changes: Mapping[str, Decimal], now: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for figure, change in changes.items():
        if (
            change.as_tuple().exponent == 0
        ):  # a count: money has places, also where no row of the day is left
            after = int(now.get(figure) or 0)
            parts.append(f"{figure} {after - int(change):,} → {after:,}")
        else:
            parts.append(f"{figure} {'+' if change >= 0 else '−'}{abs(change):,.2f}")
    return (
        ", ".join(part for part, change in zip(parts, changes.values(), strict=True) if change)
        or "other rows"
    )


def _number(amount: Any) -> Any:
    """Postgres sums whole numbers to decimals without places; money has four."""
    if isinstance(amount, Decimal) and amount.as_tuple().exponent == 0:
        return int(amount)
    return amount


def _amount(figures: Mapping[str, Any] | None, name: str) -> Decimal:
    return Decimal(str((figures or {}).get(name) or 0))


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
