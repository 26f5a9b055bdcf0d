"""From the cells of a range to rows: the header found, blank rows left out, each cell of its column's kind.

Rows keep the number that they have below the header, so one that is blank leaves a gap and moves nobody. Only the first
cell of merged ones has a value; the others are blank, and stay so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.google_sheets.cells import converter, is_blank, is_error, is_rounded
from signalroom_dagster.sources.google_sheets.header import find_columns, shown

Values: TypeAlias = Sequence[Sequence[Any]]

ROW_ID = "_row_id"
SHOWN_ROWS = 5


@dataclass(slots=True)
class ReadColumn:
    """One column as it is read: where it stands, and in which rows there is what cannot be loaded as it is."""

    header: str
    kind: str
    place: int
    convert: Callable[[Any], Any]
    filled: int = 0
    failed: list[int] = field(default_factory=list[int])
    misfits: list[int] = field(default_factory=list[int])
    rounded: list[int] = field(default_factory=list[int])

    def value(self, cell: Any, number: int) -> Any:
        """The cell's value, or None for one that has none; remembers what was wrong with it in which row."""
        if is_blank(cell):
            return None
        self.filled += 1
        if is_error(cell):
            self.failed.append(number)
            return None
        if self.kind in ("text", "integer") and is_rounded(cell):
            self.rounded.append(number)
        try:
            return self.convert(cell)
        except ValueError:
            self.misfits.append(number)
            return None

    def remarks(self) -> Iterator[str]:
        """What a person should know of the column, without what stands in it."""
        for numbers, what in (
            (self.failed, "with the error of a formula, loaded as NULL"),
            (self.misfits, f"not a {self.kind}, loaded as NULL"),
            (self.rounded, "with a number of more than 15 digits, which Sheets rounds"),
        ):
            if numbers:
                rest = ", ..." if len(numbers) > SHOWN_ROWS else ""
                where = ", ".join(map(str, numbers[:SHOWN_ROWS])) + rest
                yield f"{self.header}: {_many(len(numbers), 'cell')} {what} (row {where})"


@dataclass(slots=True)
class ReadRows:
    """A sheet's rows, and what was seen of it: columns, headers that nobody asked for, blank rows."""

    rows: list[dict[str, Any]]
    columns: Sequence[ReadColumn]
    ignored: str = ""
    nameless: int = 0
    blank: int = 0

    def notes(self) -> dict[str, str]:
        """What a person should know of the sheet, by topic; empty where there is nothing to say."""
        nameless = f"{_many(self.nameless, 'row')} with data in a column without a header" if self.nameless else ""
        topics = {
            "ignored_columns": self.ignored,
            "columns_without_header": nameless,
            "blank_rows": str(self.blank or ""),
            "cells": "; ".join(remark for column in self.columns for remark in column.remarks()),
        }
        return {topic: text for topic, text in topics.items() if text}


def read_rows(values: Values, kinds: Mapping[str, str], zone: ZoneInfo) -> ReadRows:
    """The rows below the first row that is not blank. Raises HeaderError when that is not the configured header."""
    top = next((at for at, row in enumerate(values) if not all(map(is_blank, row))), 0)
    header = values[top] if values else ()
    places = find_columns(header, kinds)
    columns = [ReadColumn(name, kind, places[name], converter(kind, zone)) for name, kind in kinds.items()]
    names = [snake_case(column.header) for column in columns]
    named = {place for place, cell in enumerate(header) if not is_blank(cell)}
    ignored = [header[place] for place in sorted(named - set(places.values()))]
    found = ReadRows([], columns, shown(ignored) if ignored else "")
    for number, row in enumerate(values[top + 1 :], start=1):
        found.nameless += any(not is_blank(cell) for place, cell in enumerate(row) if place not in named)
        cells = [row[column.place] if column.place < len(row) else None for column in columns]
        if all(map(is_blank, cells)):
            found.blank += 1
            continue
        read = [column.value(cell, number) for column, cell in zip(columns, cells, strict=True)]
        found.rows.append({ROW_ID: number, **dict(zip(names, read, strict=True))})
    return found


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
