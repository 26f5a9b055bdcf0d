"""Slices of a vendor's tables as dlt resources: what to read, in which pieces, and how a piece becomes a file to load.

A source plans slices for each of its tables; nothing is asked of the vendor until a load job redeems a slice's ticket.
Rows are written as they come, so memory does not grow with a slice.
"""

import csv
import logging
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import dlt
from dlt.extract import DltResource

from signalroom_dagster.slices import Figure, LoadSlice, Replaces
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.days import each_day, finished
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.tables import TAGS, Row, Table, cells_of
from signalroom_dagster.tickets import offer

log = logging.getLogger(__name__)

OF_THE_ACCOUNT = (401, 429)
"""Refusals that meet every table of an account alike: asking on would only be refused again."""

OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading raises that meets something else than it expects."""


@dataclass(slots=True)
class Answer:
    """What reading a slice gives: rows, and what is known once they all have been read.

    `totals` is what the vendor itself says of each day, `cursor` the source's mark for its next run; a source may
    fill both while its rows are consumed.
    """

    rows: Iterable[Row]
    totals: dict[date, Figure] = field(default_factory=dict[date, Figure])
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One piece of work: the days it covers, which follow each other, what it replaces, how to read it, and how many
    requests that takes at least; how many pages there are, only the vendor knows."""

    days: tuple[date, ...]
    read: Callable[[], Answer]
    replaces: Replaces = "days"
    why: str = ""
    requests: int = 1

    def __post_init__(self) -> None:
        """Refuse days with a gap: everything from the first to the last is replaced."""
        if self.days != tuple(each_day(self.days[0], self.days[-1])):
            raise ValueError(f"{self.what} is not one stretch of days")

    @property
    def what(self) -> str:
        """The days, for a person."""
        first, last = self.days[0], self.days[-1]
        return f"{first}" if first == last else f"{first} to {last}"


Plan: TypeAlias = Callable[[], Iterable[Slice]]


def table_resources(
    tables: Mapping[str, Table], plans: Mapping[str, Plan] | None = None, context: SourceContext | None = None
) -> Iterator[DltResource]:
    """One resource per table, and the two that the load keeps beside them; without `plans` an outline."""
    for name, table in tables.items():
        resource = dlt.resource(_slices, name=name, columns=dict(table.hints), primary_key=("_client_id", *table.key))
        hints = {"x-load": "slices", "x-total": table.total, "x-day": table.day, "description": table.about}
        yield resource.apply_hints(additional_table_hints=hints)(table, (plans or {}).get(name), context)
    yield windows
    yield restatements


def planned(plans: Mapping[str, Plan], context: SourceContext) -> Iterator[Planned]:
    """What a load would read, and why, for a preview."""
    for resource, plan in plans.items():
        for piece in plan():
            yield Planned(resource, piece.what, piece.why or _why(resource, piece, context), requests=piece.requests)


def _why(resource: str, piece: Slice, context: SourceContext) -> str:
    if piece.replaces == "client":
        return "the whole list"
    if context.span.since or context.span.until:
        return "asked for"
    known, whole = context.windows.get(resource, {}), finished(piece.days, context, resource)
    if any(day not in known for day in piece.days):
        return "never read"
    return "within the look-back" if all(day in whole for day in piece.days) else "not over when it was read"


@dlt.resource
def windows() -> Iterator[Any]:
    """What was read when: one row per resource and day, with its rows and what the vendor itself says of them."""
    yield from ()  # written by the load, in the transaction that loads the slice


@dlt.resource
def restatements() -> Iterator[Any]:
    """Figures of days that were over, and that the vendor has changed since: before, after, and when it was seen."""
    yield from ()  # written by the load, in the transaction that loads the slice


def _slices(table: Table, plan: Plan | None, context: SourceContext | None) -> Iterator[Any]:
    if plan is None or context is None:
        return
    jobs = [partial(_read_unless_failed, table, piece, context) for piece in plan()]
    for job in jobs or [_nothing]:  # something, so that the table comes to be
        yield dlt.mark.with_file_import(str(offer(job, context.work_dir)), "csv", 1)


def _nothing() -> None:
    """No slice to load."""


def _read_unless_failed(table: Table, piece: Slice, context: SourceContext) -> LoadSlice | None:
    """Read a slice, or leave it for the next attempt when another one of its table has failed in this.

    What is wrong with one table does not keep the others from being loaded; what is wrong with the account does.
    """
    if table.name in context.failures:
        return None
    try:
        with _answers_in_words(table, piece, context):
            return read_slice(table, piece, context)
    except (VendorDataError, VendorError, VendorUnreachableError) as error:
        if getattr(error, "status", None) in OF_THE_ACCOUNT:
            raise
        log.warning("%s; its other slices wait for the next attempt", error)
        context.failures.setdefault(table.name, error)
        return None


@contextmanager
def _answers_in_words(table: Table, piece: Slice, context: SourceContext) -> Generator[None]:
    """Say where an answer had another shape than its reader takes for granted: Python's own words would quote it, and
    name neither client nor table."""
    try:
        yield
    except OTHER_SHAPE as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        what = f"{piece.what}: the vendor's answer is of another shape than expected ({where})"
        raise VendorDataError(_subject(table, context, what)) from None


def read_slice(table: Table, piece: Slice, context: SourceContext) -> LoadSlice:
    """Read one slice into a CSV file. Raises what reading raises, and VendorDataError for rows that cannot be meant."""
    read_at, started = datetime.now(UTC), time.monotonic()
    answer = piece.read()
    body = context.work_dir / f"{uuid.uuid4().hex}.rows.csv"
    counted: Counter[date] = Counter()
    with body.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_Lines(file), lineterminator="\r\n")
        days = frozenset(piece.days) if piece.replaces == "days" else None
        merged = piece.replaces == "keys"
        rows = 0
        for cells, day in _cells(table, answer.rows, context, days):
            writer.writerow([*cells, rows] if merged else cells)
            rows += 1
            if day:
                counted[day] += 1
    log.info("%s: %s rows in %.1f s", _subject(table, context, piece.what), f"{rows:,}", time.monotonic() - started)
    return LoadSlice(
        client_id=context.client_id,
        table=table.name,
        replaces=piece.replaces,
        key=table.key,
        day=table.day,
        figures=table.figures,
        days=piece.days,
        columns=(*TAGS, *(column.name for column in table.columns)),
        kinds=(*TAGS.values(), *(column.data_type for column in table.columns)),
        body=str(body),
        rows=rows,
        rows_by_day=counted if table.day else {piece.days[-1]: rows},
        totals=answer.totals,
        cursor=answer.cursor,
        finished_days=finished(piece.days, context, table.name),
        read_at=read_at,
        run_id=context.run_id,
        failures=context.failures,
    )


class _Lines:
    """Ends lines with a line feed. The csv writer only quotes a carriage return when its own lines end with one, and
    an unquoted one is an error to both databases."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line[:-2] + "\n")


def _cells(
    table: Table, rows: Iterable[Row], context: SourceContext, days: frozenset[date] | None
) -> Iterator[tuple[list[Any], date | None]]:
    """Each row's cells in the table's order, and its day; checked against the key and the days that were asked for."""
    names = [column.name for column in table.columns]
    values = cells_of(table.columns)
    keys = [names.index(name) for name in table.key]
    at = names.index(table.day) if table.day else None
    tags = [context.client_id, context.loaded_at]
    for row in rows:
        try:
            found = values(row)
        except ValueError as error:
            raise VendorDataError(_subject(table, context, _bad_cell(table, row, error))) from None
        if any(found[key] is None for key in keys):
            raise VendorDataError(_subject(table, context, f"a row without its key ({', '.join(table.key)})"))
        day = date.fromisoformat(found[at][:10]) if at is not None and found[at] else None
        if days is not None and day not in days:
            raise VendorDataError(_subject(table, context, f"a row of {day} among those of {min(days)} to {max(days)}"))
        yield tags + found, day


def _bad_cell(table: Table, row: Row, error: ValueError) -> str:
    for column in table.columns:
        try:
            column.value(row)
        except ValueError:
            return f"column {column.name} is {column.kind}, and a row has there what is {error}"
    return str(error)


def _subject(table: Table, context: SourceContext, what: str) -> str:
    source = f", source {context.source}" if context.source else ""
    return f"client {context.client_id}{source}, {table.name}: {what}"
