"""As much of HogQL as SignalRoom asks for, over events in memory: pages behind a place, counts, and
a constant.

What it does not know it refuses, like the vendor what it does not allow.
https://posthog.com/docs/sql
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Event: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Callable[[Event], bool]

LIMIT_WITHOUT_ONE = 100
_LITERAL = r"toDateTime64\('([^']+)', 6(?:, '([^']+)')?\)"
_LIMIT = re.compile(r"^(.*?)(?: LIMIT (\d+))?$")
_PAGE = re.compile(r"^SELECT (.+?) FROM events WHERE (.+?)(?: ORDER BY (.+))?$")
_COUNT = re.compile(
    r"^SELECT sum\(times\) AS places, (.+) FROM \(SELECT uuid, max\(created_at\) AS latest,"
    r" uniqExact\(created_at\) "
    r"AS times FROM events WHERE (.+) GROUP BY uuid\)$"
)
_COMPARED = re.compile(rf"^(\w+) (>=|<=|<|>) {_LITERAL}$")
_BEHIND = re.compile(rf"^\(created_at, toString\(uuid\)\) > \({_LITERAL}, '([^']+)'\)$")
_DAY = re.compile(r"countIf\((.+?)\) AS (\w+)(?:, |$)")


@dataclass(frozen=True)
class Table:
    """A query's answer; `types` are ClickHouse's."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[Any]]


def run(hogql: str, events: Iterable[Event], zone: str, clamp: int) -> Table:
    """Answer a query. Raises ValueError for one that is not understood or not allowed."""
    if re.search(r"\bOFFSET\b", hogql):
        raise ValueError(
            "OFFSET is not supported in API queries: page with a WHERE condition on a cursor"
        )
    found = _LIMIT.match(hogql)
    text, limit = (
        (found[1], int(found[2] or LIMIT_WITHOUT_ONE)) if found else (hogql, LIMIT_WITHOUT_ONE)
    )
    if text == "SELECT 1 AS one":
        return Table(["one"], ["UInt8"], [[1]])
    if count := _COUNT.match(text):
        return _counted(count[1], _where(events, count[2], zone), zone)
    if page := _PAGE.match(text):
        rows = _ordered(_where(events, page[2], zone), page[3])[: min(limit, clamp)]
        return _selected(page[1], rows, zone)
    raise ValueError("Syntax error")


def _counted(days: str, events: Iterable[Event], zone: str) -> Table:
    taken_in: dict[str, set[datetime]] = {}
    for event in events:
        taken_in.setdefault(event["uuid"], set()).add(event["created_at"])
    latest = [{"latest": max(times)} for times in taken_in.values()]
    columns, row = ["places"], [sum(map(len, taken_in.values()))]
    for condition, name in _DAY.findall(days):
        columns.append(name)
        row.append(len(_where(latest, condition, zone)))
    return Table(columns, ["UInt64"] * len(columns), [row])


def _selected(selected: str, events: Iterable[Event], zone: str) -> Table:
    cells = [_cell(part, zone) for part in selected.split(", ")]
    rows = [[value(event) for _, _, value in cells] for event in events]
    return Table([name for name, _, _ in cells], [kind for _, kind, _ in cells], rows)


def _cell(part: str, zone: str) -> tuple[str, str, Callable[[Event], Any]]:
    expression, _, alias = part.partition(" AS ")
    if expression.startswith("properties.$"):
        name = expression.removeprefix("properties.")
        return (
            alias or expression,
            "Nullable(String)",
            lambda event: json.loads(event["properties"]).get(name),
        )
    if expression in ("timestamp", "created_at"):
        return expression, f"DateTime64(6, '{zone}')", lambda event: _shown(event[expression], zone)
    if expression in ("uuid", "event", "distinct_id", "person_id", "properties"):
        return (
            expression,
            "UUID" if expression == "uuid" else "String",
            lambda event: event[expression],
        )
    raise ValueError(f"Unable to resolve field: {expression}")


def _shown(moment: datetime, zone: str) -> str:
    text = moment.astimezone(ZoneInfo(zone)).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z") if zone == "UTC" else text


def _where(events: Iterable[Event], conditions: str, zone: str) -> list[Event]:
    tests = [_condition(text, zone) for text in conditions.split(" AND ")]
    return [event for event in events if all(test(event) for test in tests)]


def _condition(text: str, zone: str) -> Condition:
    if behind := _BEHIND.match(text):
        place = (_instant(behind[1], behind[2] or zone), behind[3])
        return lambda event: (event["created_at"], event["uuid"]) > place
    if compared := _COMPARED.match(text):
        column, moment = compared[1], _instant(compared[3], compared[4] or zone)
        test = _TESTS[compared[2]]
        return lambda event: test(event[column], moment)
    raise ValueError(f"Syntax error near {text[:20]}")


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
}


def _instant(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _by_text(event: Event) -> Any:
    return event["created_at"], event["uuid"]


def _by_halves(event: Event) -> Any:
    """As ClickHouse orders bare UUIDs: by the second half first."""
    return event["created_at"], event["uuid"][19:], event["uuid"][:18]


_ORDERS = {"created_at, toString(uuid)": _by_text, "created_at, uuid": _by_halves}


def _ordered(events: list[Event], by: str | None) -> list[Event]:
    if by is None:
        return events
    if by not in _ORDERS:
        raise ValueError(f"Unable to order by {by}")
    return sorted(events, key=_ORDERS[by])
