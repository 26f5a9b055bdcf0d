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
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import dlt
from dlt.extract import DltResource

from signalroom_dagster.slices import Figure, LoadSlice, Replaces
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.days import each_day, finished
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.row_length import fit
from signalroom_dagster.sources.set_aside import LeftOut, SetAside, key_of
from signalroom_dagster.sources.tables import TAGS, Oddity, Row, Table, cells_of
from signalroom_dagster.sources.totals import Counts, disagreement, missing
from signalroom_dagster.tickets import offer

log = logging.getLogger(__name__)

OF_THE_ACCOUNT = (401, 429)  # refusals that meet every table of an account alike: asking on would only be refused again
LONGEST_KEY = 500  # characters: an index of Postgres takes entries of 2,704 bytes

OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises that meets something else than it expects."""


@dataclass(slots=True)
class Answer:
    """What reading a slice gives: rows, and what is known once they all have been read.

    `totals` is what the vendor itself says of each day, `cursor` the source's mark for its next run; a source may
    fill both while its rows are consumed. `counts` are further totals, by column and day: of rows that bring no money.
    """

    rows: Iterable[Row | LeftOut]
    totals: dict[date, Figure] = field(default_factory=dict[date, Figure])
    cursor: str | None = None
    counts: Counts = field(default_factory=dict[str, Mapping[date, Figure]])


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
        hints |= {"x-renamed": dict(table.renamed)} if table.renamed else {}
        hints |= {"x-needed": list(table.needed)} if table.needed else {}
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
        if context.failures.setdefault(table.name, error) is error:  # the first of those that are read at once
            log.warning("%s; its other slices wait for the next attempt", error)
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
    """Read one slice into a CSV file; once more where it does not add up to the vendor's own totals.

    Raises what reading raises, and VendorDataError for rows that cannot be meant, and for totals that disagree twice:
    nothing is replaced then. See `totals` for what agrees.
    """
    for attempt in (1, 2):
        loaded, off = _read_once(table, piece, context)
        if not off:
            return loaded
        Path(loaded.body).unlink()
        if attempt == 1:
            log.info("%s; read once more", _subject(table, context, off))
    raise VendorDataError(_subject(table, context, f"{off}: what is loaded of {piece.what} stays"))


def _read_once(table: Table, piece: Slice, context: SourceContext) -> tuple[LoadSlice, str]:
    """The slice, and what keeps it from being loaded."""
    read_at, started = context.now(), time.monotonic()
    answer, aside = piece.read(), SetAside()
    body = context.work_dir / f"{uuid.uuid4().hex}.rows.csv"
    counted: Counter[date] = Counter()
    measured: dict[date, Figure] = {}
    places = {name: len(TAGS) + [column.name for column in table.columns].index(name) for name in answer.counts}
    tallies: dict[str, dict[date, Figure]] = {name: {} for name in places}
    with body.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_Lines(file), lineterminator="\r\n")
        days = frozenset(piece.days) if piece.replaces == "days" else None
        rows = 0
        for cells, day, amount in _cells(table, answer.rows, context, days, aside):
            writer.writerow([*cells, rows] if piece.replaces == "keys" else cells)
            rows += 1
            at = day or piece.days[-1]
            counted[at] += 1
            measured[at] = measured.get(at, 0) + amount
            for name, place in places.items():
                tallies[name][at] = tallies[name].get(at, 0) + (cells[place] or 0)
    log.info("%s: %s rows in %.1f s", _subject(table, context, piece.what), f"{rows:,}", time.monotonic() - started)
    if str(aside):
        log.warning("%s", _subject(table, context, f"{piece.what}: {aside}"))
    loaded = LoadSlice(
        client_id=context.client_id,
        table=table.name,
        replaces=piece.replaces,
        key=table.key,
        day=table.day,
        figures=table.figures,
        needed=table.needed,
        days=piece.days,
        columns=(*TAGS, *(column.name for column in table.columns)),
        kinds=(*TAGS.values(), *(column.data_type for column in table.columns)),
        body=str(body),
        rows=rows,
        rows_by_day=counted if table.day else {piece.days[-1]: rows},
        totals=answer.totals,
        set_aside=aside.by_day(piece.days),
        cursor=answer.cursor,
        finished_days=finished(piece.days, context, table.name),
        read_at=read_at,
        run_id=context.run_id,
        failures=context.failures,
    )
    off = disagreement(table, loaded, measured, aside, context.zone)
    return loaded, off or missing(answer.counts, tallies, loaded, aside, context.zone)


class _Lines:
    """Ends lines with a line feed. The csv writer only quotes a carriage return when its own lines end with one, and
    an unquoted one is an error to both databases."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line[:-2] + "\n")


def _cells(
    table: Table, rows: Iterable[Row | LeftOut], context: SourceContext, days: frozenset[date] | None, aside: SetAside
) -> Iterator[tuple[list[Any], date | None, Figure]]:
    """Each row's cells in the table's order, its day, and what it adds to the table's total.

    A row without a key or a day that can be read is left out. Raises VendorDataError where that is most of them: then
    it is not the rows that are odd. Raises it too for a row of a day that was not asked for.
    """
    names = [column.name for column in table.columns]
    values = cells_of(table.columns)
    keys = [names.index(name) for name in table.key]
    at = names.index(table.day) if table.day else None
    summed = names.index(table.total) if table.total != "rows" else None
    tags = [context.client_id, context.loaded_at]
    kept = left_out = 0
    for row in rows:
        if isinstance(row, LeftOut):
            aside.row(row)
            left_out += 1
            continue
        odd: list[Oddity] = []
        found = values(row, odd)
        key = [found[place] for place in keys]
        day = date.fromisoformat(found[at]) if at is not None and found[at] else None
        if reason := _missing(table, key, day, odd):
            left_out += 1
            aside.row(LeftOut(reason, key_of(table.key, key), day))
            continue
        if days is not None and at is not None and day not in days:
            raise VendorDataError(_subject(table, context, f"a row of {day} among those of {min(days)} to {max(days)}"))
        odd += fit(table, found)
        for column, what in odd:
            aside.cell(column, what, key_of(table.key, key), day)
        kept += 1
        yield tags + found, day, 1 if summed is None else found[summed] or 0
    if left_out > kept:
        raise VendorDataError(_subject(table, context, f"only {kept} of {left_out + kept} rows can be read: {aside}"))


def _missing(table: Table, key: Sequence[Any], day: date | None, odd: Sequence[Oddity]) -> str:
    """Why a row cannot be told from others or put to a day; empty when it can."""
    why = "".join(
        f"; {column} is {what.partition(',')[0]}" for column, what in odd if column in {*table.key, table.day}
    )
    if any(cell is None for cell in key):
        return f"without its key ({', '.join(table.key)}){why}"
    if any(isinstance(cell, str) and len(cell) > LONGEST_KEY for cell in key):
        return f"with a key of more than {LONGEST_KEY} characters"
    return "" if day or not table.day else f"without its day ({table.day}){why}"


def _subject(table: Table, context: SourceContext, what: str) -> str:
    source = f", source {context.source}" if context.source else ""
    return f"client {context.client_id}{source}, {table.name}: {what}"
