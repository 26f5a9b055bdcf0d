"""Reads a CSV file as spreadsheets write it: byte-order mark, CRLF, Windows-1252, spaces around
cells, empty lines.

A file is read whole or not at all: whatever is wrong with it is collected, so that a person mends
it once.
"""

import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.naming import snake_case
from signalroom_dagster.reference_data import Row, Value
from signalroom_dagster.sources.affiliate_mapping.cells import read_cell
from signalroom_dagster.sources.affiliate_mapping.schemas import Layout

log = logging.getLogger(__name__)

Record = tuple[int, list[str]]
"""The line a record begins in (the first is 1), and its cells."""


class UnreadableFileError(SignalRoomError):
    """The file is not what its schema says; `problems` are all that was found, each with its
    line.
    """

    told = False

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_rows(path: Path, shown: str, layout: Layout) -> tuple[list[Row], frozenset[str]]:
    """Every row of a file, typed, and the columns that it lacks or that are empty in every row;
    `n/a` is not empty.

    Raises UnreadableFileError; its messages name headers and lines, not other cells.
    """
    records = list(_records(path.read_bytes(), shown))
    if not records:
        raise UnreadableFileError(["has no header"])
    line, header = records[0]
    places = _places(header, line, layout)
    problems: list[str] = []
    rows: list[tuple[int, Row]] = []
    for line, cells in records[1:]:
        if len(cells) != len(header):
            problems.append(f"line {line}: has {len(cells)} cells, the header has {len(header)}")
        else:
            rows.append((line, _row(line, cells, places, layout, problems)))
    problems += _repeated(rows, layout)
    if problems:
        raise UnreadableFileError(problems)
    filled = {
        name for name, at in places.items() if any(cells[at].strip() for _, cells in records[1:])
    }
    return [row for _, row in rows], frozenset(layout.schema.columns.keys() - filled)


def _records(body: bytes, shown: str) -> Iterator[Record]:
    """The records that hold anything. Strict, so that a quote left open is an error and not one
    long cell.
    """
    reader = csv.reader(io.StringIO(_text(body, shown), newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableFileError([f"line {line}: not a CSV record: {error}"]) from None


def _text(body: bytes, shown: str) -> str:
    if b"\0" in body:
        raise UnreadableFileError(["is not a CSV file in UTF-8 (is it UTF-16, or a workbook?)"])
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
    try:
        text = body.decode("cp1252")
    except UnicodeDecodeError:
        raise UnreadableFileError([f"line {line}: neither UTF-8 nor Windows-1252"]) from None
    log.warning("%s: line %d is not UTF-8; the file is read as Windows-1252", shown, line)
    return text


def _places(header: Sequence[str], line: int, layout: Layout) -> Mapping[str, int]:
    """Where each column stands in the file; spelling counts only as far as the column's name
    does.
    """
    names = [snake_case(cell) for cell in header]
    known = layout.headers
    problems = [
        f"line {line}: header {at} ({cell.strip() or 'empty'}) is not in the schema"
        for at, (name, cell) in enumerate(zip(names, header, strict=True), start=1)
        if name not in known
    ]
    problems += [
        f"line {line}: header {known[name]} stands there twice"
        for name in known
        if names.count(name) > 1
    ]
    problems += [
        f"line {line}: header {known[name]} is missing"
        for name in known
        if name not in names and name not in layout.optional
    ]
    if problems:
        raise UnreadableFileError(problems)
    return {name: at for at, name in enumerate(names)}


def _row(
    line: int, cells: Sequence[str], places: Mapping[str, int], layout: Layout, problems: list[str]
) -> Row:
    row: dict[str, Value] = {}
    for name, kind in layout.schema.columns.items():
        try:
            row[name] = read_cell(cells[places[name]], kind) if name in places else None
            if row[name] is None and name in layout.schema.key:
                problems.append(
                    f"line {line}: {layout.headers[name]} is empty, but rows are known by it"
                )
        except ValueError as error:
            row[name] = None
            problems.append(f"line {line}: {layout.headers[name]}: {error}")
    return row


def _repeated(rows: Sequence[tuple[int, Row]], layout: Layout) -> Iterator[str]:
    first: dict[tuple[Value, ...], int] = {}
    for line, row in rows:
        key = tuple(row[name] for name in layout.schema.key)
        if None in key:
            continue
        if key in first:
            named = ", ".join(f"{layout.headers[name]} {row[name]}" for name in layout.schema.key)
            yield f"lines {first[key]} and {line}: both have {named}"
        first.setdefault(key, line)
