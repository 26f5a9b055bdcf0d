"""The sheets of one service account, read whole, and believed only when they still look like what
they were.

The sheets of one spreadsheet are read together, once, whichever of them is loaded first: people
change several tabs at a time, and the quota counts requests.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.sources.google_sheets.guard import (
    SheetChangedError,
    SheetLoadingError,
    check_rows,
)
from signalroom_dagster.sources.google_sheets.header import HeaderError
from signalroom_dagster.sources.google_sheets.once import Once
from signalroom_dagster.sources.google_sheets.rows import Values, has_numbers_as_text, read_rows
from signalroom_dagster.sources.google_sheets.settings import Guard, Sheet
from signalroom_dagster.sources.google_sheets.spreadsheets import (
    Account,
    Book,
    read_as_shown,
    read_book,
)
from signalroom_dagster.sources.google_sheets.totals import LeftOut
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster.sources.resources import Answer

log = logging.getLogger(__name__)


class SheetError(VendorDataError):
    """A sheet that a person has to mend, or its settings: asking again would not help."""

    retried = False


class UnknownZoneError(SignalRoomError):
    """The spreadsheet is in a time zone that cannot be looked up."""

    told = False


@dataclass(frozen=True)
class Library:
    """Sheets by name, when they are not believed, and their spreadsheets by id, none of them asked
    for yet.
    """

    sheets: Mapping[str, Sheet]
    guard: Guard
    books: Mapping[str, Once[Book]]
    api: Once[Account]


def open_library(
    open_api: Callable[[], Account], sheets: Mapping[str, Sheet], guard: Guard
) -> Library:
    """Sheets to be read with one token; one request reads all wanted ranges of a spreadsheet."""
    ranges: dict[str, list[str]] = {}
    for sheet in sheets.values():
        ranges.setdefault(sheet.spreadsheet_id, []).append(sheet.range)
    api = Once(open_api)

    def read(spreadsheet_id: str) -> Book:
        return read_book(api(), spreadsheet_id, ranges[spreadsheet_id])

    return Library(sheets, guard, {book: Once(partial(read, book)) for book in ranges}, api)


def read_sheet(library: Library, name: str, rows_before: int, cursor: str | None) -> Answer:
    """The whole sheet; `rows_before` and the cursor are what the last reading of it left."""
    sheet = library.sheets[name]
    book = library.books[sheet.spreadsheet_id]()
    values = book.ranges[sheet.range]
    if isinstance(values, VendorError):
        advice, tabs = _misplaced(sheet, book, str(values))
        raise VendorError(
            f"{values}; sheet {name} {advice}{tabs}", values.status, words=[tabs, *values.words]
        )
    texts: Values = ()
    if has_numbers_as_text(values, sheet.columns):
        texts = read_as_shown(library.api(), sheet.spreadsheet_id, sheet.range)
    try:
        zone = _zone(book.zone if "datetime" in sheet.columns.values() else "UTC")
        found = read_rows(
            values, sheet.columns, zone, texts, LeftOut(sheet.skip_rows, sheet.stop_at), book.locale
        )
        filled_before = json.loads(cursor)["filled"] if cursor else {}
        check_rows(found, sheet.guarded(library.guard), rows_before, filled_before)
    except (HeaderError, SheetChangedError, UnknownZoneError) as error:
        where = f"sheet {name} of spreadsheet {sheet.spreadsheet_id}, {sheet.range}"
        kind = VendorDataError if isinstance(error, SheetLoadingError) else SheetError
        raise kind(
            f"source google_sheets: {where} cannot be loaded: {error}", words=[f": {error}"]
        ) from None
    if notes := found.notes():
        log.info(
            "sheet %s: %s", name, "; ".join(f"{topic}: {text}" for topic, text in notes.items())
        )
    mark = {
        "filled": {column.name: column.filled for column in found.columns},
        "totals": found.totals,
    }
    return Answer(found.rows, counted=len(found.rows), cursor=json.dumps(mark), notes=notes)


def _misplaced(sheet: Sheet, book: Book, said: str) -> tuple[str, str]:
    """What may be wrong with a range, and the tabs that there are instead."""
    if "grid limits" in said:
        return (
            (
                f"reads {sheet.range}, beyond its tab's last row or column: leave the end open, as"
                " in A1:Z"
            ),
            "",
        )
    tabs = f" The spreadsheet has {', '.join(book.tabs)}"
    return f"reads {sheet.range}: was its tab renamed or removed?", tabs


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UnknownZoneError(
            f"its time zone {name} is unknown here: choose a city's in its settings"
        ) from None
