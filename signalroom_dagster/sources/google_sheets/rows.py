"""From the cells of a range to rows: the header found, blank rows left out, each cell of its
column's kind.

Rows keep the number that they have below the header, so one that is blank leaves a gap and moves
nobody. Only the first cell of merged ones has a value; the others are blank, and stay so. A cell of
a text column is the text that is shown: `007` and a date are numbers to Google, and nobody means
those.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.google_sheets.cells import (
    converter,
    is_blank,
    is_error,
    is_loading,
    is_rounded,
)
from signalroom_dagster.sources.google_sheets.header import find_columns, folded, shown
from signalroom_dagster.sources.google_sheets.locales import AMERICAN
from signalroom_dagster.sources.google_sheets.totals import NOTHING, LeftOut, adds_up, is_total

Values: TypeAlias = Sequence[Sequence[Any]]

ROW_ID = "_row_id"
SHOWN_ROWS = 5


@dataclass(slots=True)
class ReadColumn:
    """One column as it is read: where it stands, and in which rows there is what cannot be loaded
    as it is.
    """

    header: str
    kind: str
    place: int
    convert: Callable[[Any], Any]
    filled: int = 0
    failed: list[int] = field(default_factory=list[int])
    misfits: list[int] = field(default_factory=list[int])
    rounded: list[int] = field(default_factory=list[int])
    loading: int = 0

    @property
    def name(self) -> str:
        """The column's name in the warehouse."""
        return snake_case(self.header)

    def value(self, cell: Any, number: int, shown_text: Any = None) -> Any:
        """The cell's value, or None for one that has none; remembers what was wrong with it in
        which row.
        """
        if is_blank(cell):
            return None
        self.filled += 1
        if is_error(cell):
            self.failed.append(number)
            self.loading += is_loading(cell)
            return None
        if self.kind in ("text", "integer") and is_rounded(cell):
            self.rounded.append(number)
        try:
            return self.convert(
                shown_text if self.kind == "text" and not is_blank(shown_text) else cell
            )
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
    """A sheet's rows, and what was seen of it: columns, headers that nobody asked for, blank
    rows.
    """

    rows: list[dict[str, Any]]
    columns: Sequence[ReadColumn]
    ignored: str = ""
    nameless: int = 0
    blank: int = 0
    skipped: int = 0
    totals: list[int] = field(default_factory=list[int])

    def notes(self) -> dict[str, str]:
        """What a person should know of the sheet, by topic; empty where there is nothing to say."""
        nameless = (
            f"{_many(self.nameless, 'row')} with data in a column without a header"
            if self.nameless
            else ""
        )
        topics = {
            "ignored_columns": self.ignored,
            "columns_without_header": nameless,
            "blank_rows": str(self.blank or ""),
            "skipped_rows": str(self.skipped or ""),
            "looks_like_totals": ", ".join(f"row {number}" for number in self.totals),
            "cells": "; ".join(remark for column in self.columns for remark in column.remarks()),
        }
        return {topic: text for topic, text in topics.items() if text}


def has_numbers_as_text(values: Values, kinds: Mapping[str, str]) -> bool:
    """Whether the header or a text column has a cell that is no text to Google, so that how it is
    shown matters.
    """
    top, header = _header(values)
    wanted = {folded(name) for name, kind in kinds.items() if kind == "text"}
    places = [
        place
        for place, cell in enumerate(header)
        if isinstance(cell, str) and folded(cell) in wanted
    ]
    cells = [row[place] for row in values[top + 1 :] for place in places if place < len(row)]
    return not all(cell is None or isinstance(cell, str) for cell in (*header, *cells))


def read_rows(
    values: Values,
    kinds: Mapping[str, str],
    zone: ZoneInfo,
    shown_values: Values = (),
    left_out: LeftOut = NOTHING,
    locale: str = AMERICAN,
) -> ReadRows:
    """The rows below the first row that is not blank. `shown_values` are the same cells as people
    see them.

    Raises HeaderError when that row is not the configured header.
    """
    top, header = _header(values)
    if len(shown_values) > top:
        header = [
            cell if isinstance(cell, str) else _at(shown_values[top], at)
            for at, cell in enumerate(header)
        ]
    places = find_columns(header, kinds)
    columns = [
        ReadColumn(name, kind, places[name], converter(kind, zone, locale))
        for name, kind in kinds.items()
    ]
    named = {place for place, cell in enumerate(header) if not is_blank(cell)}
    ignored = [header[place] for place in sorted(named - set(places.values()))]
    found = ReadRows([], columns, shown(ignored) if ignored else "")
    for number, row in enumerate(values[top + 1 :], start=1):
        if left_out.ends(row):
            found.skipped += sum(not all(map(is_blank, below)) for below in values[top + number :])
            break
        if left_out.skips(row):
            found.skipped += 1
            continue
        found.nameless += any(
            not is_blank(cell) for place, cell in enumerate(row) if place not in named
        )
        cells = [_at(row, column.place) for column in columns]
        if all(map(is_blank, cells)):
            found.blank += 1
            continue
        texts = _shown_row(
            row, shown_values[top + number] if len(shown_values) > top + number else ()
        )
        read = [
            column.value(cell, number, _at(texts, column.place))
            for column, cell in zip(columns, cells, strict=True)
        ]
        found.rows.append(
            {ROW_ID: number, **dict(zip([column.name for column in columns], read, strict=True))}
        )
        if is_total(row):
            found.totals.append(number)
    if (
        found.rows
        and not found.totals
        and adds_up(found.rows, {column.name: column.kind for column in columns})
    ):
        found.totals.append(found.rows[-1][ROW_ID])
    return found


def _header(values: Values) -> tuple[int, Sequence[Any]]:
    """Where the first row that is not blank stands, and its cells."""
    top = next((at for at, row in enumerate(values) if not all(map(is_blank, row))), 0)
    return top, values[top] if values else ()


def _at(row: Sequence[Any], place: int) -> Any:
    return row[place] if place < len(row) else None


def _shown_row(row: Sequence[Any], shown_row: Sequence[Any]) -> Sequence[Any]:
    """The texts of a row; none when they are of another one, because the sheet was changed between
    the two readings.
    """
    texts = [
        (cell, _at(shown_row, place))
        for place, cell in enumerate(row)
        if isinstance(cell, str) and cell
    ]
    return shown_row if all(cell == text for cell, text in texts) else ()


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
