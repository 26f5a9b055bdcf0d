"""A vendor's tables as dlt resources: real ones, which yield pages of rows by column name to any
destination.

A source says how it reads days, a list, or what changed since a cursor; what is learnt on the way
beside the rows (the vendor's own totals, what could not be read) stands in a `Reading` for whoever
hands one in. Loads do: see `loading.windowed`.

https://dlthub.com/docs/general-usage/resource
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from signalroom_dagster.sources.days import ONE_DAY, each_day
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.row_length import fit
from signalroom_dagster.sources.set_aside import LeftOut, SetAside, key_of
from signalroom_dagster.sources.tables import Counts, Figure, Oddity, Row, Table, cells_of

log = logging.getLogger(__name__)

PAGE_ROWS = 5_000
LONGEST_KEY = 500  # characters: an index of Postgres takes entries of 2,704 bytes


@dataclass(slots=True)
class Answer:
    """What asking a vendor gives: rows in its own shape, and what is known once they all have been
    read.

    `totals` is what the vendor itself says of each day, `counts` the same of further columns,
    `counted` how many rows a list has by the vendor's own count, `cursor` up to where was read; a
    source may fill them while its rows are consumed, `counts` apart. `notes` are for a person, by
    topic.
    """

    rows: Iterable[Row | LeftOut]
    totals: dict[date, Figure] = field(default_factory=dict[date, Figure])
    cursor: str | None = None
    counts: Counts = field(default_factory=dict[str, Mapping[date, Figure]])
    counted: int | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Reading:
    """What was learnt while a resource was read: each answer's totals and counts, its last cursor,
    and what could not be read of it. Known when the last row has been taken; counts, when the first
    has. It `began` (UTC) by the clock of whoever reads.
    """

    began: datetime = field(default_factory=partial(datetime.now, UTC))
    totals: dict[date, Figure] = field(default_factory=dict[date, Figure])
    counts: dict[str, dict[date, Figure]] = field(default_factory=dict[str, dict[date, Figure]])
    counted: int | None = None
    cursor: str | None = None
    notes: dict[str, str] = field(default_factory=dict[str, str])
    aside: SetAside = field(default_factory=SetAside)

    def learn(self, answer: Answer) -> None:
        """Take over what an answer says beside its rows."""
        self.totals |= answer.totals
        self.counted = answer.counted
        self.cursor = answer.cursor or self.cursor
        self.notes |= answer.notes
        for column, by_day in answer.counts.items():
            self.counts.setdefault(column, {}).update(by_day)


def days_resource(
    table: Table, read: Callable[[Sequence[date]], Answer], since: date, until: date
) -> DltResource:
    """Days of a table, both ends included, `table.longest` of them in one answer; a day takes its
    own place, or a row that of its key.
    """

    def rows(
        since: date = since, until: date = until, reading: Reading | None = None
    ) -> Iterator[list[Row]]:
        first = since
        while first <= until:
            last = min(until, first + timedelta(days=table.longest - 1))
            days = [*each_day(first, last)]
            allowed = frozenset(days) if table.replaces == "days" else None
            yield from _pages(table, read(days), reading, allowed)
            first = last + ONE_DAY

    return _resource(table, rows)


def list_resource(table: Table, read: Callable[[], Answer]) -> DltResource:
    """A list that is read whole, in the place of what was there."""

    def rows(reading: Reading | None = None) -> Iterator[list[Row]]:
        yield from _pages(table, read(), reading)

    return _resource(table, rows)


def compared_resource(table: Table, read: Callable[[int, str | None], Answer]) -> DltResource:
    """A list that is read whole, and compared with what the last reading left: how many rows, and
    its cursor.
    """

    def rows(
        rows_before: int = 0, cursor: str | None = None, reading: Reading | None = None
    ) -> Iterator[list[Row]]:
        yield from _pages(table, read(rows_before, cursor), reading)

    return _resource(table, rows)


def changes_resource(table: Table, read: Callable[[str | None, datetime], Answer]) -> DltResource:
    """What changed since a cursor that an earlier reading left, or everything; each row takes the
    place of its key.

    `read` is given the cursor, and when this reading began (UTC), for the next one's.
    """

    def rows(cursor: str | None = None, reading: Reading | None = None) -> Iterator[list[Row]]:
        reading = Reading() if reading is None else reading
        yield from _pages(table, read(cursor, reading.began), reading)

    return _resource(table, rows)


def asked_days(
    since: date | str | None, until: date | str | None, zone: ZoneInfo
) -> tuple[date, date]:
    """The first and the last day that a source is asked for; by default yesterday and today, in the
    zone.
    """
    last = _day(until) or datetime.now(zone).date()
    return _day(since) or last - timedelta(days=1), last


def _day(day: date | str | None) -> date | None:
    return date.fromisoformat(day) if isinstance(day, str) else day


def _resource(table: Table, rows: Callable[..., Iterator[list[Row]]]) -> DltResource:
    is_list = table.replaces == "client"
    columns: dict[str, Any] = {
        name: hint for name, hint in table.hints.items() if not name.startswith("_")
    }
    if table.latest:
        columns[table.latest] = {**columns[table.latest], "dedup_sort": "desc"}
    resource = dlt.resource(
        rows,
        name=table.name,
        primary_key=table.key,
        merge_key=[table.day] if table.day and table.replaces == "days" else [],
        write_disposition="replace" if is_list else "merge",
        columns=columns,
        # what a resource is asked for is its caller's to say, not the configuration's
        spec=BaseConfiguration,
    )
    return resource.apply_hints(additional_table_hints={"description": table.about})


def _pages(
    table: Table, answer: Answer, reading: Reading | None, days: frozenset[date] | None = None
) -> Iterator[list[Row]]:
    learnt = Reading() if reading is None else reading
    rows = typed_rows(table, answer, learnt, days)
    while page := list(islice(rows, PAGE_ROWS)):
        yield page
    if reading is None and str(learnt.aside):
        log.warning("%s: %s", table.name, learnt.aside)


def typed_rows(
    table: Table, answer: Answer, reading: Reading, days: frozenset[date] | None = None
) -> Iterator[Row]:
    """An answer's rows by column name, in the table's order, each cell as its column's kind has it.

    A row without a key or a day that can be read is left out. Raises VendorDataError where that is
    most of them: then it is not the rows that are odd. Raises it too for a row of another day than
    of `days`.
    """
    names = [column.name for column in table.columns]
    values = cells_of(table.columns)
    keys = [names.index(name) for name in table.key]
    at = names.index(table.day) if table.day else None
    aside, kept, left_out = reading.aside, 0, 0
    reading.learn(answer)
    for row in answer.rows:
        if isinstance(row, LeftOut):
            aside.row(row)
            left_out += 1
            continue
        odd: list[Oddity] = []
        cells = values(row, odd)
        key = [cells[place] for place in keys]
        day = date.fromisoformat(cells[at]) if at is not None and cells[at] else None
        if reason := _missing(table, key, day, odd):
            left_out += 1
            aside.row(LeftOut(reason, key_of(table.key, key), day))
            continue
        if days is not None and day and day not in days:
            raise VendorDataError(
                f"{table.name}: a row of {day} among those of {min(days)} to {max(days)}"
            )
        odd += fit(table, cells)
        for column, what in odd:
            aside.cell(column, what, key_of(table.key, key), day)
        kept += 1
        yield dict(zip(names, cells, strict=True))
    if left_out > kept:
        raise VendorDataError(
            f"{table.name}: only {kept} of {left_out + kept} rows can be read: {aside}"
        )
    reading.learn(answer)


def _missing(table: Table, key: Sequence[Any], day: date | None, odd: Sequence[Oddity]) -> str:
    """Why a row cannot be told from others or put to a day; empty when it can."""
    if None in key:
        missing = f"without its key ({', '.join(table.key)})"
    elif any(isinstance(cell, str) and len(cell) > LONGEST_KEY for cell in key):
        return f"with a key of more than {LONGEST_KEY} characters"
    elif day or not table.day:
        return ""
    else:
        missing = f"without its day ({table.day})"
    unread = [(column, what) for column, what in odd if column in {*table.key, table.day}]
    return missing + "".join(f"; {column} is {what.partition(',')[0]}" for column, what in unread)
