"""Daily spend by traffic source, from the report that RedTrack's own pages show.

https://api.redtrack.io/docs/index.html
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Any

from signalroom_dagster.kinds import UNREADABLE, as_date, as_decimal
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.redtrack.account import REPORT, Account
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.set_aside import LeftOut, key_of
from signalroom_dagster.sources.tables import Figure, Row

COUNTED = ("clicks", "conversions", "total_conversions")
"""Columns that the totals are compared in beside the cost."""
UNKNOWN = "(unknown)"


def read_daily_spend(account: Account, amounts: Sequence[str], days: Sequence[date]) -> Answer:
    """Some days' spend, with RedTrack's own totals of it; `amounts` are summed where several rows
    share a key.
    """
    rows = _by_key(amounts, _rows(account, days))
    totals, counts, unread = _totals(account, days)
    return Answer([*rows, *unread], totals=totals, counts={} if unread else counts)


def _rows(account: Account, days: Sequence[date]) -> Sequence[dict[str, Any]]:
    """The report by source and date; day by day where grouping by date is not honoured."""
    rows = _of_sources(account, "source,date", days[0], days[-1])
    if all(row.get("date") for row in rows):
        return rows
    return [
        {**row, "date": day} for day in days for row in _of_sources(account, "source", day, day)
    ]


def _of_sources(account: Account, group: str, first: date, last: date) -> Sequence[dict[str, Any]]:
    rows = account.report(group, first, last)
    if rows and not any(
        "source_id" in row for row in rows
    ):  # an aggregate of everything, as for a misspelt parameter
        raise VendorDataError(
            account.api.about("GET", REPORT, "did not group by source: no row has a source_id")
        )
    return rows


def _by_key(amounts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row | LeftOut]:
    """One row per day and source; rows that share both are summed. Sources without an id are one:
    the unknown.
    """
    found: dict[tuple[str | None, str], dict[str, Any]] = {}
    left_out: list[Row | LeftOut] = []
    for row in rows:
        day, source = _day(row), row.get("source_id")
        if day is None or "source_id" not in row:
            left_out.append(
                LeftOut(
                    "without its key (date, source_id)",
                    key_of(("date", "source_id"), (day, source)),
                )
            )
            continue
        name = UNKNOWN if source is None else str(source).strip() or UNKNOWN
        before = found.get((day, name))
        found[day, name] = {**(before or row), "date": day, "source_id": name}
        if before:
            found[day, name] |= {
                amount: _sum(before.get(amount), row.get(amount)) for amount in amounts
            }
    return [*found.values(), *left_out]


def _day(row: Row) -> str | None:
    try:
        return as_date(row.get("date"))
    except UNREADABLE:
        return None


def _sum(*values: Any) -> Figure | None:
    """The sum of what there is; None where there is nothing, because 0 would be a figure; NaN where
    one of them cannot be read.
    """
    try:
        amounts = [as_decimal(value) for value in values]
    except UNREADABLE:
        return Decimal("NaN")
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _totals(
    account: Account, days: Sequence[date]
) -> tuple[dict[date, Figure], dict[str, dict[date, Figure]], list[LeftOut]]:
    """RedTrack's own cost of each day, from a report that is not split by source, how many clicks
    and conversions it counts, and the totals that cannot be read.

    No row means none.
    """
    rows = account.report("date", days[0], days[-1])
    totals: dict[date, Figure] = dict.fromkeys(days, 0)
    if len(days) > 1 and not all(row.get("date") for row in rows):
        parts = [_totals(account, (each,)) for each in days]
        costs = {day: cost for part, _, _ in parts for day, cost in part.items()}
        merged = {
            name: {day: each for _, part, _ in parts for day, each in part[name].items()}
            for name in COUNTED
        }
        return costs, merged, [each for _, _, part in parts for each in part]
    counts: dict[str, dict[date, Figure]] = {name: {} for name in COUNTED}
    unread: list[LeftOut] = []
    for row in rows:
        day = _day(row) if row.get("date") else days[0].isoformat()
        at = date.fromisoformat(day) if day else None
        cost = _sum(totals.get(at, 0) if at else None, row.get("cost"))
        if at is None or (cost is not None and not isfinite(cost)):
            unread.append(LeftOut("a total of RedTrack's own that cannot be read", day=at))
        else:
            totals[at] = cost or 0
            for name in COUNTED:
                count = _sum(counts[name].get(at, 0), row.get(name))
                counts[name][at] = count if count is not None and isfinite(count) else 0
    if any(total.day is None for total in unread):
        return {}, dict.fromkeys(COUNTED, dict[date, Figure]()), unread
    return (
        {day: cost for day, cost in totals.items() if day not in {total.day for total in unread}},
        counts,
        unread,
    )
