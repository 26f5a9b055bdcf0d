"""What a report is made from: the rows of its queries, how far its sources reach, and what changed
since the last one.

Read in one go from one state of the warehouse; whatever is written from it is written without
asking again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from signalroom_dagster.config import destination_name, shown
from signalroom_dagster.freshness.coverage import Coverage, whole_days
from signalroom_dagster.modeling.planning import check_plan
from signalroom_dagster.reports.queries import DATE
from signalroom_dagster.reports.subscriptions import ReportDay
from signalroom_dagster.reports.templates import QUERIES
from signalroom_dagster.warehouse.access import Query

Row: TypeAlias = Mapping[str, Any]

DAYS = "days"
"""A query of this name has one row a day, by `date`, of the 14 days up to the reported one: what
days are compared in, and what restatements are found in.
"""
DAYS_BACK = 14


@dataclass(frozen=True, slots=True)
class RestatedDay:
    """A day that an earlier report told of and that has other figures now: before and after, by
    column.

    `late`: it was not whole when that report was made, so it is news more than a change. A day
    without a row has no figures: None.
    """

    day: date
    changes: Mapping[str, tuple[Any, Any]]
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """See the module's text. `day` is the reported one; `whole` are the days that every source
    covers.
    """

    day: date
    rows: Mapping[str, Sequence[Row]]
    coverage: Sequence[Coverage]
    restated: Sequence[RestatedDay] = ()
    whole: frozenset[date] = field(default_factory=frozenset[date])

    def inputs(self) -> Mapping[str, Any]:
        """What is kept of it with the report, as JSON."""
        return {
            "date": str(self.day),
            "rows": {name: [_as_json(row) for row in rows] for name, rows in self.rows.items()},
            "coverage": {
                item.source: {
                    "read_at": item.read_at.isoformat() if item.read_at else None,
                    "last_whole": str(item.last_whole) if item.last_whole else None,
                }
                for item in self.coverage
            },
            "whole": [str(day) for day in _window(self.day) if day in self.whole],
        }


def figures(
    query: Query, due: ReportDay, reach: Sequence[Coverage], last: Mapping[str, Any] | None = None
) -> Figures:
    """Everything that a report of one client says of a day.

    `reach` is what the sources covered before the models were made, `last` the inputs of the report
    before this one. The caller holds `warehouse.exclusive()`, and the tables that the template
    reads exist.
    """
    values = {**due.subscription.params, DATE: due.day}
    engine = destination_name()
    rows: dict[str, Sequence[Row]] = {}
    for item in due.template.queries.values():
        text, bound = item.statement(engine, due.client.id, values)
        where = f"{shown(due.template.folder / QUERIES)}: query {item.name}"
        check_plan(query, text, bound, written=item.sql, where=where, first_line=item.line)
        rows[item.name] = [
            dict(zip(item.columns, map(_plain, row), strict=True)) for row in query(text, *bound)
        ]
    restated = list(_restated(due.day, rows[DAYS], last)) if last and DAYS in rows else ()
    whole = whole_days(reach)
    return Figures(day=due.day, rows=rows, coverage=reach, restated=restated, whole=whole)


def _restated(day: date, now: Sequence[Row], last: Mapping[str, Any]) -> Iterator[RestatedDay]:
    """The days that both reports tell of, where their figures differ."""
    before = {date.fromisoformat(row["date"]): row for row in last["rows"].get(DAYS, ())}
    after = {row["date"]: row for row in now}
    whole = {date.fromisoformat(each) for each in last["whole"]}
    for each in _window(day):
        changes = dict(_changes(before.get(each), after.get(each)))
        if changes and each <= date.fromisoformat(last["date"]):
            yield RestatedDay(each, changes, late=each not in whole)


def _window(day: date) -> Sequence[date]:
    return [day - timedelta(days=back) for back in reversed(range(DAYS_BACK))]


def _changes(before: Row | None, after: Row | None) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in after or before or {}:
        if name != "date":
            new = (after or {}).get(name)
            old = _like((before or {}).get(name), new)
            if old != new:
                yield name, (old, new)


def _like(stored: Any, now: Any) -> Any:
    """A stored value as what it was: decimals are kept as text."""
    try:
        return Decimal(stored) if isinstance(stored, str) and not isinstance(now, str) else stored
    except InvalidOperation:
        return stored


def _plain(value: Any) -> Any:
    """Postgres sums whole numbers to decimals without places."""
    return int(value) if isinstance(value, Decimal) and value.as_tuple().exponent == 0 else value


def _as_json(row: Row) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Decimal | date) else value
        for name, value in row.items()
    }
