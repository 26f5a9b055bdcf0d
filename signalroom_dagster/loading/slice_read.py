"""How a slice becomes a file that both databases read: its rows are written as they come, so memory
does not grow with it, and held against the vendor's own totals before anything is replaced.
"""

import csv
import logging
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TextIO

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.plan import Slice, finished
from signalroom_dagster.loading.totals import disagreement
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.resources import Reading
from signalroom_dagster.sources.tables import TAGS, Figure, Table

log = logging.getLogger(__name__)

OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises that meets something else than it expects."""


@dataclass(slots=True, kw_only=True)
class ReadSlice:
    """One slice as it was read, ready to load.

    `body` is a CSV file without a header; an unquoted empty cell is NULL. Rows that replace by key
    end with their number, so that of two with one key the later stands. `measured` is what the rows
    of a day add up to where the table's `total` names a column, `tallies` the same of further
    columns that the vendor counts.
    """

    table: Table
    piece: Slice
    context: LoadContext
    reading: Reading
    body: Path
    rows_by_day: Counter[date] = field(default_factory=Counter[date])
    measured: dict[date, Figure] = field(default_factory=dict[date, Figure])
    tallies: dict[str, dict[date, Figure]] = field(default_factory=dict[str, dict[date, Figure]])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.rows_by_day.total()

    @property
    def kinds(self) -> Mapping[str, str]:
        """The columns of `body` in their order, with their dlt types."""
        return {**TAGS, **{column.name: column.data_type for column in self.table.columns}}

    @property
    def totals(self) -> Mapping[date, Figure]:
        """What the vendor itself says of each day."""
        counted = self.reading.counted
        return self.reading.totals if counted is None else {self.piece.days[-1]: counted}

    @property
    def set_aside(self) -> Mapping[date, str]:
        """What of a day could not be read, as JSON; see `sources.set_aside`."""
        return self.reading.aside.by_day(self.piece.days)

    @property
    def finished_days(self) -> frozenset[date]:
        """Those of its days that were over when they were last read."""
        return finished(self.piece.days, self.context, self.table.name)


def read_slice(table: Table, piece: Slice, context: LoadContext) -> ReadSlice:
    """Read one slice into a CSV file; once more where it does not add up to the vendor's own
    totals.

    Raises what reading raises, and VendorDataError for rows that cannot be meant, and for totals
    that disagree twice: nothing is replaced then. See `totals` for what agrees.
    """
    for attempt in (1, 2):
        with _in_our_words(table, piece, context):
            read = _read_once(table, piece, context)
        if not (off := disagreement(read)):
            return read
        read.body.unlink()
        if attempt == 1:
            log.info("%s; read once more", _subject(table, context, off))
    raise VendorDataError(_subject(table, context, f"{off}: what is loaded of {piece.what} stays"))


def _read_once(table: Table, piece: Slice, context: LoadContext) -> ReadSlice:
    started = time.monotonic()
    reading = Reading(began=context.now())
    body = context.work_dir / f"{uuid.uuid4().hex}.rows.csv"
    read = ReadSlice(table=table, piece=piece, context=context, reading=reading, body=body)
    with body.open("w", encoding="utf-8", newline="") as file:
        _write_rows(read, file)
    what = f"{piece.what}: {read.rows:,} rows in {time.monotonic() - started:.1f} s"
    log.info("%s", _subject(table, context, what))
    if aside := str(reading.aside):
        log.warning("%s", _subject(table, context, f"{piece.what}: {aside}"))
    if reading.notes:
        context.notes[table.name] = reading.notes
    return read


def _write_rows(read: ReadSlice, file: TextIO) -> None:
    """Write a slice's rows as they come, and count them by day."""
    tags = [read.context.client_id, read.context.loaded_at]
    day, total = read.table.day, read.table.total
    is_numbered = read.piece.replaces == "keys"
    at, counts = read.piece.days[-1], read.reading.counts
    write = csv.writer(_Lines(file), lineterminator="\r\n").writerow
    for number, row in enumerate(read.piece.rows(read.reading)):
        write([*tags, *row.values(), number] if is_numbered else [*tags, *row.values()])
        if day:
            at = date.fromisoformat(row[day])
        read.rows_by_day[at] += 1
        if total != "rows":
            read.measured[at] = read.measured.get(at, 0) + (row[total] or 0)
        for name in counts:
            tally = read.tallies.setdefault(name, {})
            tally[at] = tally.get(at, 0) + (row[name] or 0)


@contextmanager
def _in_our_words(table: Table, piece: Slice, context: LoadContext) -> Generator[None]:
    """Say for which client and table what went wrong, and where an answer had another shape than
    its reader takes for granted: Python's own words would quote it.
    """
    try:
        yield
    except (VendorDataError, VendorError, VendorUnreachableError, ConfigurationError) as error:
        words = str(error)
        if words.startswith(f"{table.name}: "):
            error.args = (_subject(table, context, words.removeprefix(f"{table.name}: ")),)
        raise
    except OTHER_SHAPE as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        what = f"{piece.what}: the vendor's answer is of another shape than expected ({where})"
        raise VendorDataError(_subject(table, context, what)) from None


class _Lines:
    """Ends lines with a line feed. The csv writer only quotes a carriage return when its own lines
    end with one, and an unquoted one is an error to both databases.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line[:-2] + "\n")


def _subject(table: Table, context: LoadContext, what: str) -> str:
    return f"client {context.client_id}, source {context.source}, {table.name}: {what}"
