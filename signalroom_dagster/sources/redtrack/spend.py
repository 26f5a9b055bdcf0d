"""Daily spend by traffic source, from the report that RedTrack's own pages show.

https://api.redtrack.io/docs/index.html
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from signalroom_dagster.slices import Figure
from signalroom_dagster.sources.days import days_to_read, stretches
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.redtrack.account import REPORT, Account
from signalroom_dagster.sources.slicing import Answer, Slice
from signalroom_dagster.sources.tables import as_date, as_decimal

LONGEST = 31  # days in a report; no longest one is documented
UNKNOWN = "(unknown)"


def plan_daily_spend(account: Account, amounts: Sequence[str]) -> Iterator[Slice]:
    """Stretches of days, replaced whole; `amounts` names what is summed where several rows share a key."""
    for days in stretches(days_to_read(account.context, "daily_spend", account.settings), LONGEST):
        yield Slice(days=days, read=partial(_read, account, amounts, days), requests=2)


def _read(account: Account, amounts: Sequence[str], days: Sequence[date]) -> Answer:
    rows = _by_key(account, amounts, _rows(account, days))
    return Answer(rows, totals=_totals(account, days))


def _rows(account: Account, days: Sequence[date]) -> Sequence[dict[str, Any]]:
    """The report by source and date; day by day where grouping by date is not honoured."""
    rows = _of_sources(account, "source,date", days[0], days[-1])
    if all(row.get("date") for row in rows):
        return rows
    return [{**row, "date": day} for day in days for row in _of_sources(account, "source", day, day)]


def _of_sources(account: Account, group: str, first: date, last: date) -> Sequence[dict[str, Any]]:
    rows = account.report(group, first, last)
    if any("source_id" not in row for row in rows):  # an aggregate of everything, as for a misspelt parameter
        raise VendorDataError(account.api.about("GET", REPORT, "did not group by source: a row has no source_id"))
    return rows


def _by_key(account: Account, amounts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row per day and source; rows that share both are summed. Sources without an id are one: the unknown."""
    found: dict[tuple[str | None, str], dict[str, Any]] = {}
    for row in rows:
        day = account.read_as(as_date, row["date"], REPORT, "date")
        source = UNKNOWN if row["source_id"] is None else str(row["source_id"]).strip() or UNKNOWN
        before = found.get((day, source))
        found[day, source] = {**(before or row), "date": day, "source_id": source}
        if before:
            found[day, source] |= {name: _sum(account, name, before.get(name), row.get(name)) for name in amounts}
    return list(found.values())


def _sum(account: Account, name: str, *values: Any) -> Figure | None:
    """The sum of what there is; None where there is nothing, because 0 would be a figure."""
    amounts = [account.read_as(as_decimal, value, REPORT, name) for value in values]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _totals(account: Account, days: Sequence[date]) -> dict[date, Figure]:
    """RedTrack's own cost of each day, from a report that is not split by source; no row means none."""
    rows = account.report("date", days[0], days[-1])
    totals: dict[date, Figure] = dict.fromkeys(days, 0)
    if len(days) > 1 and not all(row.get("date") for row in rows):
        return {day: cost for each in days for day, cost in _totals(account, (each,)).items()}
    for row in rows:
        day = account.read_as(as_date, row.get("date") or days[0], REPORT, "date")
        at = date.fromisoformat(day) if day else days[0]
        totals[at] = (_sum(account, "cost", totals.get(at), row.get("cost"))) or 0
    return totals
