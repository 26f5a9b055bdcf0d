"""CSV bytes to records, without trusting the file: what is one row, and what is wrong with it.

Records are told apart by the CSV grammar, never parsed further than needed: a line without a quote
is its own record and stays bytes, a line that keeps RFC 4180 to the letter is split at its quotes.
Anything unusual (quoted newlines, quotes inside a field, NUL, bytes that are not UTF-8, stray
carriage returns) goes through Python's csv reader, which decides as Excel and Sticky.io do. A quote
that is never closed costs only the line that opened it.
"""

import csv
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from signalroom_dagster.sources.s3_exports.encoding import UNREADABLE, is_utf8, repaired
from signalroom_dagster.sources.s3_exports.fields import CR, QUOTE, UNUSUAL, count_commas, quoted
from signalroom_dagster.sources.s3_exports.unpacked import (
    BLOCK_BYTES,
    LONGEST_LINE_BYTES,
    UnpackedText,
)

LONGEST_RECORD_BYTES = 1024 * 1024
LONGEST_RECORD_LINES = 1_000
_UNCLOSED = "opens a quote that is never closed"


class Record(NamedTuple):
    """One record: its first physical line (1-based), its bytes, its fields where they had to be
    parsed, its fault.

    Fields are UTF-8 in the form that CSV wants them, in quotes where they need some; an empty one
    is empty. A record without them is in that form already: see `fields`.
    """

    line: int
    raw: bytes
    fields: list[bytes] | None = None
    problem: str | None = None


class Lines(NamedTuple):
    """Records that take a line each and need no parsing: the first one's line (1-based), the bytes
    of each, and how many commas part the fields of each.
    """

    line: int
    raws: list[bytes]
    commas: list[int]

    def records(self) -> Iterator[Record]:
        """One by one."""
        return (Record(line, raw) for line, raw in enumerate(self.raws, self.line))


class RecordReader:
    """Reads the records of one file from a binary stream, gzip or plain, in bounded memory.

    `watch` is shown the lines of every block as they pass, and leaves them as they are;
    `block_bytes` is how much is read at a time. Where another `delimiter` parts the fields, it and
    the comma change places in all that is read. `text` is the file itself: where reading stopped
    early, the line it stopped in has the reason as its problem. After the last record, `recoded`
    is the number of those with a cell that was not UTF-8.
    """

    def __init__(
        self,
        stream: BinaryIO,
        watch: Callable[[list[bytes]], None],
        block_bytes: int | None = None,
        delimiter: str | None = None,
    ) -> None:
        csv.field_size_limit(LONGEST_LINE_BYTES)
        self.text = UnpackedText(stream, block_bytes or BLOCK_BYTES, delimiter)
        self._watch = watch
        self._careful = False  # the lines at hand hold something that only the csv reader may judge
        self._parsing = False
        self._cut_was_noted = False
        self._lines = 0
        self.recoded = 0

    @property
    def missing(self) -> Record | None:
        """After the last record: what stands for the rest of a file that breaks off between two of
        them, or None.
        """
        if not self.text.truncated or self._cut_was_noted:
            return None
        return Record(self._lines + 1, b"", problem=f"is missing: {self.text.truncated}")

    def __iter__(self) -> Iterator[Record]:
        for found in self.in_stretches():
            if isinstance(found, Record):
                yield found
            else:
                yield from found.records()

    def in_stretches(self) -> Iterator[Lines | Record]:
        """The records in stretches where each takes a line, which nearly all do; the others one by
        one.
        """
        blocks = self._blocks()
        first_line = 0
        for lines in blocks:
            first_line = first_line or self.text.first_line
            raws, commas = _told_apart(lines) if not self._careful else ([], [])
            at = 0
            while at < len(lines):
                odd = commas.index(UNUSUAL, at) if at < len(commas) else at
                if odd > at:
                    yield Lines(first_line + at, raws[at:odd], commas[at:odd])
                    at = odd
                else:
                    taken, record = self._one(lines, at, first_line + at, blocks)
                    if record:
                        yield record
                    at += taken
            first_line += len(lines)
        self._lines = max(first_line - 1, 0)

    def _one(
        self, lines: list[bytes], at: int, line: int, more: Iterator[list[bytes]]
    ) -> tuple[int, Record | None]:
        """How many lines the record at `lines[at]` takes, and the record; None for a blank line."""
        if not self._careful:
            raw, taken = _to_the_last_quote(lines, at) if QUOTE in lines[at] else (lines[at], 1)
            raw = raw.removesuffix(b"\r")
            if not raw:
                return 1, None
            if count_commas(raw) != UNUSUAL:
                return taken, self._judged(Record(line, raw))
        return self._parse(lines, at, line, more)

    def _blocks(self) -> Iterator[list[bytes]]:
        for block in self.text.whole_lines():
            lines = block.split(b"\n")
            self._careful = self._needs_care(block) or (self._parsing and self._careful)
            self._watch(lines)
            yield lines

    def _needs_care(self, block: bytes) -> bool:
        is_odd = len(block) > LONGEST_RECORD_BYTES or b"\0" in block or not is_utf8(block)
        return self.text.ends_within_a_line or is_odd

    def _parse(
        self, lines: list[bytes], at: int, line: int, more: Iterator[list[bytes]]
    ) -> tuple[int, Record | None]:
        """One record that starts at `lines[at]` by the csv grammar, and how many lines it takes."""
        taken = 0
        pieces: list[bytes] = []

        def supply() -> Iterator[str]:
            nonlocal taken
            while taken < LONGEST_RECORD_LINES:
                if at + taken == len(lines):
                    if (block := next(more, None)) is None:
                        return
                    lines.extend(block)
                raw = lines[at + taken]
                taken += 1
                pieces.append(raw)
                yield raw.decode("utf-8", UNREADABLE) + "\n"

        problem: str | None = None
        fields: list[str] = []
        self._parsing = True
        try:
            fields = next(csv.reader(supply(), strict=True), [])
        except csv.Error as error:
            problem = _explain(str(error))
        finally:
            self._parsing = False
        if problem and taken > 1:
            # what the reader complains of is further down, in a line that is read again
            problem = _UNCLOSED
            del pieces[1:]
            taken = 1
        if not (problem or fields):
            return taken, None
        raw = b"\n".join(pieces).removesuffix(b"\r")
        if self.text.ends_within_a_line and at + taken == len(lines):
            self._cut_was_noted = True
            problem = f"is cut off: {self.text.truncated}"
        return taken, self._judged(
            Record(line, raw, [quoted(repaired(field)) for field in fields], problem)
        )

    def _judged(self, record: Record) -> Record:
        problem = "holds a NUL byte" if b"\0" in record.raw else record.problem
        if problem := problem or (
            "is longer than 1 MiB" if len(record.raw) > LONGEST_RECORD_BYTES else None
        ):
            return record._replace(fields=None, problem=problem)
        self.recoded += not is_utf8(record.raw)
        return record


def _to_the_last_quote(lines: list[bytes], at: int) -> tuple[bytes, int]:
    """A line with those that it may go on in, up to the one that evens out its quotes, and how many
    these are.
    """
    raw, odd, end = lines[at], lines[at].count(b'"') % 2, at + 1
    while odd and end < min(len(lines), at + LONGEST_RECORD_LINES):
        odd ^= lines[end].count(b'"') % 2
        end += 1
    return (raw, 1) if odd or end == at + 1 else (b"\n".join(lines[at:end]), end - at)


def _told_apart(lines: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Lines as records, and how many commas part the fields of each: UNUSUAL for what has to be
    looked at on its own, and once more behind the last.
    """
    raws = [line.removesuffix(b"\r") for line in lines]
    commas = [
        count_commas(raw) if QUOTE in raw or CR in raw else raw.count(b",") if raw else UNUSUAL
        for raw in raws
    ]
    return raws, [*commas, UNUSUAL]


def _explain(error: str) -> str:
    if "unexpected end of data" in error:
        return _UNCLOSED
    if "expected after" in error:
        return "has text after a closing quote"
    if "new-line character" in error:
        return "has a carriage return outside quotes"
    return f"is not valid CSV: {error}"
