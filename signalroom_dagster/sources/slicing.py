"""Slices of a vendor's tables as dlt resources: what to read, in which pieces, and how a piece
becomes a file to load.

A source plans slices for each of its tables; nothing is asked of the vendor until a load job
redeems a slice's ticket. Rows are written as they come, so memory does not grow with a slice.
"""

import csv
import logging
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.slices import Figure, LoadSlice, Replaces
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.days import each_day, finished
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.resources import Reading
from signalroom_dagster.sources.tables import TAGS, Row, Table
from signalroom_dagster.sources.totals import disagreement, missing
from signalroom_dagster.tickets import offer

log = logging.getLogger(__name__)

OF_THE_ACCOUNT = (
    401,
    429,
)  # refusals that meet every table of an account alike: asking on would only be refused again

OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises that meets something else than it expects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One piece of work: the days it covers, which follow each other, what it replaces, how to read
    it, and how many requests that takes at least; how many pages there are, only the vendor knows.

    `rows` reads it by column name, and fills a `Reading` on the way.
    """

    days: tuple[date, ...]
    rows: Callable[[Reading], Iterable[Row]]
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
    tables: Mapping[str, Table],
    plans: Mapping[str, Plan] | None = None,
    context: SourceContext | None = None,
) -> Iterator[DltResource]:
    """One resource per table, and the two that the load keeps beside them; without `plans` an
    outline.
    """
    for name, table in tables.items():
        resource = dlt.resource(
            _slices, name=name, columns=dict(table.hints), primary_key=("_client_id", *table.key)
        )
        hints = {
            "x-load": "slices",
            "x-total": table.total,
            "x-day": table.day,
            "description": table.about,
        }
        hints |= {"x-renamed": dict(table.renamed)} if table.renamed else {}
        hints |= {"x-needed": list(table.needed)} if table.needed else {}
        hints |= {"x-proof": table.proof} if table.proof else {}
        yield resource.apply_hints(additional_table_hints=hints)(
            table, (plans or {}).get(name), context
        )
    yield windows
    yield restatements


def outline_of_tables(name: str, tables: Mapping[str, Table]) -> DltSource:
    """Every resource that a load of these tables has, for whoever declares them; asks nothing."""
    return dlt.source(partial(table_resources, tables), name=name, max_table_nesting=0)()


def planned(plans: Mapping[str, Plan], context: SourceContext) -> Iterator[Planned]:
    """What a load would read, and why, for a preview."""
    for resource, plan in plans.items():
        for piece in plan():
            yield Planned(
                resource,
                piece.what,
                piece.why or _why(resource, piece, context),
                requests=piece.requests,
            )


def _why(resource: str, piece: Slice, context: SourceContext) -> str:
    if piece.replaces == "client":
        return "the whole list"
    if context.span.since or context.span.until:
        return "asked for"
    known, whole = context.windows.get(resource, {}), finished(piece.days, context, resource)
    if any(day not in known for day in piece.days):
        return "never read"
    return (
        "within the look-back"
        if all(day in whole for day in piece.days)
        else "not over when it was read"
    )


@dlt.resource
def windows() -> Iterator[Any]:
    """What was read when: one row per resource and day, with its rows and what the vendor itself
    says of them.
    """
    yield from ()  # written by the load, in the transaction that loads the slice


@dlt.resource
def restatements() -> Iterator[Any]:
    """Figures of days that were over, and that the vendor has changed since: before, after, and
    when it was seen.
    """
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
    """Read a slice, or leave it for the next attempt when another one of its table has failed in
    this.

    What is wrong with one table does not keep the others from being loaded; what is wrong with the
    account does.
    """
    if table.name in context.failures:
        return None
    try:
        return read_slice(table, piece, context)
    except (VendorDataError, VendorError, VendorUnreachableError) as error:
        if getattr(error, "status", None) in OF_THE_ACCOUNT:
            raise
        if (
            context.failures.setdefault(table.name, error) is error
        ):  # the first of those that are read at once
            log.warning("%s; its other slices wait for the next attempt", error)
        return None


@contextmanager
def _in_our_words(table: Table, piece: Slice, context: SourceContext) -> Generator[None]:
    """Say for which client and table what went wrong, and where an answer had another shape than
    its reader takes for granted: Python's own words would quote it.
    """
    try:
        yield
    except (VendorDataError, VendorError, VendorUnreachableError, ConfigurationError) as error:
        said = str(error)
        if said.startswith(f"{table.name}: "):
            error.args = (_subject(table, context, said.removeprefix(f"{table.name}: ")),)
        raise
    except OTHER_SHAPE as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        what = f"{piece.what}: the vendor's answer is of another shape than expected ({where})"
        raise VendorDataError(_subject(table, context, what)) from None


def read_slice(table: Table, piece: Slice, context: SourceContext) -> LoadSlice:
    """Read one slice into a CSV file; once more where it does not add up to the vendor's own
    totals.

    Raises what reading raises, and VendorDataError for rows that cannot be meant, and for totals
    that disagree twice: nothing is replaced then. See `totals` for what agrees.
    """
    for attempt in (1, 2):
        with _in_our_words(table, piece, context):
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
    reading = Reading(began=read_at)
    body = context.work_dir / f"{uuid.uuid4().hex}.rows.csv"
    tags = [context.client_id, context.loaded_at]
    counted: Counter[date] = Counter()
    measured: dict[date, Figure] = {}
    tallies: dict[str, dict[date, Figure]] = {}
    rows = 0
    with body.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_Lines(file), lineterminator="\r\n")
        for row in piece.rows(reading):
            cells = [*tags, *row.values()]
            writer.writerow([*cells, rows] if piece.replaces == "keys" else cells)
            rows += 1
            at = date.fromisoformat(row[table.day]) if table.day else piece.days[-1]
            counted[at] += 1
            measured[at] = measured.get(at, 0) + (
                1 if table.total == "rows" else row[table.total] or 0
            )
            for name in reading.counts:
                tally = tallies.setdefault(name, {})
                tally[at] = tally.get(at, 0) + (row[name] or 0)
    aside = reading.aside
    log.info(
        "%s: %s rows in %.1f s",
        _subject(table, context, piece.what),
        f"{rows:,}",
        time.monotonic() - started,
    )
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
        totals=reading.totals if reading.counted is None else {piece.days[-1]: reading.counted},
        set_aside=aside.by_day(piece.days),
        cursor=reading.cursor,
        finished_days=finished(piece.days, context, table.name),
        read_at=read_at,
        run_id=context.run_id,
        failures=context.failures,
    )
    if reading.notes:
        context.notes[table.name] = reading.notes
    off = disagreement(table, loaded, measured, aside, context.zone)
    return loaded, off or missing(reading.counts, tallies, loaded, aside, context.zone)


class _Lines:
    """Ends lines with a line feed. The csv writer only quotes a carriage return when its own lines
    end with one, and an unquoted one is an error to both databases.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line[:-2] + "\n")


def _subject(table: Table, context: SourceContext, what: str) -> str:
    source = f", source {context.source}" if context.source else ""
    return f"client {context.client_id}{source}, {table.name}: {what}"
