"""One stored object to two CSV files: its rows, tagged and ready for COPY, and the records that
were rejected.

A row without quotes is never parsed: its commas are counted and the tags put in front of its bytes.
Rows with quotes are written anew, so that what one CSV dialect allows and another does not (`5"
pipe`) never reaches the database. An empty field becomes NULL, quoted or not.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.sources.files import FileStatus, TaggedFile
from signalroom_dagster.sources.s3_exports.fields import (
    COMMA,
    count_fields,
    exchange,
    quoted,
    split_fields,
    unquoted,
)
from signalroom_dagster.sources.s3_exports.headers import Form, Header, PlanColumns, judge_header
from signalroom_dagster.sources.s3_exports.layouts import Layout
from signalroom_dagster.sources.s3_exports.record_count import RecordCount
from signalroom_dagster.sources.s3_exports.records import Lines, Record, RecordReader
from signalroom_dagster.sources.s3_exports.remarks import reason_of

AS_EXPECTED = Form()
HEADER_BLOCK_BYTES = 64 * 1024
LONGEST_RAW = 10_000
_LONG_NUMBER = re.compile(r"(?:\d[\0 -]?){11,}\d")


class UnpacksTooFarError(SignalRoomError):
    """A gzip unpacks to more than it may: nothing of it is loaded. Its message is the reason."""

    told = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What is the same for every row of one file."""

    client_id: str
    file_name: str
    file_date: str
    loaded_at: str

    def around(self) -> tuple[bytes, bytes]:
        """The CSV text before and after the row number."""
        head = _csv_line([self.client_id, self.file_name])
        tail = _csv_line([self.file_date, self.loaded_at])
        return head + b",", b"," + tail


def tag_file(
    stream: BinaryIO,
    *,
    tags: Tags,
    plan: PlanColumns,
    layout: Layout | None,
    filter_column: str | None,
    body: Path,
    rejects: Path,
    most_unpacked: int | None = None,
    form: Form = AS_EXPECTED,
) -> TaggedFile:
    """Read `stream` once and write its rows to `body` and its unreadable records to `rejects`.

    A file without its key column, or without the column that says whose rows these are, is
    quarantined: all its records are rejected. Raises what the stream raises; nothing half-written
    is ever loaded, because the caller hands over a file only after this returns. Of a gzip that
    unpacks to more than `most_unpacked` bytes it raises UnpacksTooFarError.
    """
    count = RecordCount()
    unpacked = 0

    def watch(lines: list[bytes]) -> None:
        nonlocal unpacked
        unpacked += sum(map(len, lines)) + len(lines)
        # a plain file is never larger than what was read of it
        if most_unpacked and unpacked > max(most_unpacked, reader.text.bytes_read):
            raise UnpacksTooFarError(f"its gzip unpacks to more than {most_unpacked:,} bytes")
        count.add(lines)

    reader = RecordReader(stream, watch, delimiter=form.delimiter)
    records = reader.in_stretches()
    first, further = _first(records)
    header = judge_header(first, reader, plan, layout, filter_column, form)
    fault = header.fault or (reader.text.truncated if first is None else None)
    count.has_header = not header.is_row
    with body.open("wb") as rows, rejects.open("wb") as rejected:
        writer = _Writer(tags, header, fault, exchange(reader.text.delimiter), rows, rejected)
        writer.write(itertools.chain([first] if first and header.is_row else [], further, records))
        # counts as one record: no check passes for a file in part
        missing = reader.missing if first else None
        writer.write([missing] if missing else [])
    columns = header.columns
    status: FileStatus = "quarantined" if fault else "loaded" if writer.seen else "empty"
    facts = [fault, layout.difference(columns.names) if layout and first and not fault else None]
    if reader.text.truncated and reader.text.truncated not in (fault or ""):
        facts.append(reader.text.truncated)
    if reader.recoded:
        facts.append(f"{reader.recoded} records were not UTF-8 and were read as cp1252")
    return TaggedFile(
        status=status,
        reason=reason_of(facts, None if fault else columns, set_aside=writer.set_aside > 0),
        columns=() if fault else columns.kept,
        rows_in_file=count.total + (missing is not None),
        rows_loaded=writer.loaded,
        rows_rejected=writer.rejected,
        rows_filtered=writer.filtered,
        bytes_read=reader.text.bytes_read,
    )


def read_columns(
    stream: BinaryIO,
    plan: PlanColumns,
    layout: Layout | None,
    filter_column: str | None,
    form: Form = AS_EXPECTED,
) -> tuple[str, ...]:
    """The columns that `tag_file` will find, from the first line alone; none for a file that it
    will quarantine.
    """
    header = read_header(stream, plan, layout, filter_column, form)
    return () if header.fault else header.columns.kept


def read_header(
    stream: BinaryIO,
    plan: PlanColumns,
    layout: Layout | None,
    filter_column: str | None,
    form: Form,
) -> Header:
    """What the first record of a file tells of it."""
    reader = RecordReader(stream, lambda _: None, HEADER_BLOCK_BYTES, form.delimiter)
    return judge_header(next(iter(reader), None), reader, plan, layout, filter_column, form)


class _Writer:
    """Decides per record: a row, a reject, or another client's."""

    def __init__(
        self,
        tags: Tags,
        header: Header,
        fault: str | None,
        places: bytes,
        rows: BinaryIO,
        rejected: BinaryIO,
    ) -> None:
        self._head, self._tail = tags.around()
        self._columns = columns = header.columns
        self._fault = fault
        self._places = places if places[COMMA] != COMMA else None
        self._split = len(columns.names) if self._places else columns.first_untouched
        self._before_row = self._tail + (b"," if columns.kept else b"")
        self._hides_raw = (
            columns.touches_rows or header.is_unknown or (columns.guarded and fault is not None)
        )
        self._rows, self._rejects = rows, rejected
        self.seen = self.loaded = self.rejected = self.filtered = self.set_aside = 0

    def write(self, found: Iterable[Lines | Record]) -> None:
        """Write what was found, in the file's order, which numbers the rows."""
        split = self._split
        for one in found:
            if isinstance(one, Record):
                self._write_one(one)
            elif self._are_sound(one):
                self._write_rows(
                    [self._kept(split_fields(raw, split)) for raw in one.raws]
                    if split
                    else one.raws
                )
            else:
                for record in one.records():
                    self._write_one(record)

    def _are_sound(self, found: Lines) -> bool:
        """Whether all of them have as many fields as the header, in a file that can be loaded."""
        return not self._fault and found.commas.count(len(self._columns.names) - 1) == len(
            found.commas
        )

    def _write_one(self, record: Record) -> None:
        line, raw, fields, problem = record
        if reason := self._fault or problem:
            self._reject(line, raw, reason)
        elif (found := len(fields or ()) or count_fields(raw)) != (
            width := len(self._columns.names)
        ):
            self._reject(line, raw, f"has {found} fields, the header has {width}")
        else:
            self._write_rows([self._kept(fields or split_fields(raw, self._split))])

    def _kept(self, fields: list[bytes]) -> bytes | None:
        """What is stored of a record; None for one of another client."""
        if self._places:
            fields = [quoted(unquoted(field).translate(self._places)) for field in fields]
        if not self._columns.wanted(fields):
            return None
        self._columns.apply(fields)
        self.set_aside += bool(self._columns.others and fields[-1])
        return b",".join(fields)

    def _write_rows(self, records: Sequence[bytes | None]) -> None:
        before, after, end = self._head, self._before_row, b"\n"
        pieces: list[bytes] = []
        for number, raw in enumerate(records, self.seen + 1):
            if raw is not None:
                pieces += (before, b"%d" % number, after, raw, end)
        self._rows.write(b"".join(pieces))
        others = records.count(None)
        self.seen += len(records)
        self.filtered += others
        self.loaded += len(records) - others

    def _reject(self, line: int, raw: bytes, reason: str) -> None:
        self.seen += 1
        self.rejected += 1
        text = "" if self._hides_raw else _masked(raw.translate(self._places))
        self._rejects.write(
            self._head
            + b"%d" % self.seen
            + self._tail
            + b","
            + _csv_line([reason, str(line), text])
        )
        self._rejects.write(b"\n")


def _first(found: Iterator[Lines | Record]) -> tuple[Record | None, list[Lines]]:
    """The first record, and what was found along with it."""
    first = next(found, None)
    if first is None or isinstance(first, Record):
        return first, []
    return Record(first.line, first.raws[0]), [
        Lines(first.line + 1, first.raws[1:], first.commas[1:])
    ]


def _csv_line(cells: Sequence[str]) -> bytes:
    return b",".join([quoted(cell.encode("utf-8")) for cell in cells])


def _masked(raw: bytes) -> str:
    """A rejected record as storable text: runs of 12 or more digits (card numbers) never
    survive.
    """
    text = _LONG_NUMBER.sub(
        lambda run: "*" * len(run.group()), raw.decode("utf-8", "backslashreplace")
    )
    text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    return text if len(text) <= LONGEST_RAW else f"{text[:LONGEST_RAW]}… ({len(raw)} bytes)"
