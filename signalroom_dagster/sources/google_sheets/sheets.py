"""One client's sheets in one run: each read whole, and loaded only when it still looks like what it was.

The sheets of one spreadsheet are read together, once, whichever of them is loaded first: people change several tabs at
a time, and the quota counts requests.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.days import is_read
from signalroom_dagster.sources.google_sheets.guard import SheetChangedError, SheetLoadingError, check_rows
from signalroom_dagster.sources.google_sheets.header import HeaderError
from signalroom_dagster.sources.google_sheets.once import Once
from signalroom_dagster.sources.google_sheets.rows import Values, has_numbers_as_text, read_rows
from signalroom_dagster.sources.google_sheets.service_account import ServiceAccount
from signalroom_dagster.sources.google_sheets.settings import Settings, Sheet
from signalroom_dagster.sources.google_sheets.spreadsheets import Account, Book, open_api, read_as_shown, read_book
from signalroom_dagster.sources.google_sheets.totals import LeftOut
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster.sources.slicing import Answer, Slice

log = logging.getLogger(__name__)


class SheetError(VendorDataError):
    """A sheet that a person has to mend, or its settings: asking again would not help."""


class UnknownZoneError(Exception):
    """The spreadsheet is in a time zone that cannot be looked up."""


@dataclass(frozen=True)
class Sheets:
    """A client's sheets, and their spreadsheets by id, none of them asked for yet."""

    settings: Settings
    context: SourceContext
    books: Mapping[str, Once[Book]]
    api: Once[Account]


def open_sheets(account: ServiceAccount, settings: Settings, context: SourceContext) -> Sheets:
    """The sheets of one run. One token serves it; one request reads all wanted ranges of a spreadsheet."""
    ranges: dict[str, list[str]] = {}
    for sheet in settings.sheets.values():
        ranges.setdefault(sheet.spreadsheet_id, []).append(sheet.range)
    api = Once(partial(open_api, account, settings))

    def read(spreadsheet_id: str) -> Book:
        return read_book(api(), spreadsheet_id, ranges[spreadsheet_id])

    return Sheets(settings, context, {book: Once(partial(read, book)) for book in ranges}, api)


def plan_sheet(sheets: Sheets, name: str) -> Iterator[Slice]:
    """The whole sheet, in the place of what is there."""
    if not is_read(sheets.context, name):
        read = partial(_read, sheets, name)
        yield Slice(days=(sheets.context.today,), read=read, replaces="client", why="read whole")


def _read(sheets: Sheets, name: str) -> Answer:
    sheet, context = sheets.settings.sheets[name], sheets.context
    subject = f"client {context.client_id}, source google_sheets: sheet {name}"
    book = sheets.books[sheet.spreadsheet_id]()
    values = book.ranges[sheet.range]
    if isinstance(values, VendorError):
        advice, tabs = _misplaced(sheet, book, str(values))
        raise VendorError(f"{values}; sheet {name} {advice}{tabs}", values.status, words=[tabs, *values.words])
    texts: Values = ()
    if has_numbers_as_text(values, sheet.columns):
        texts = read_as_shown(sheets.api(), sheet.spreadsheet_id, sheet.range)
    try:
        zone = _zone(book.zone if "datetime" in sheet.columns.values() else "UTC")
        found = read_rows(values, sheet.columns, zone, texts, LeftOut(sheet.skip_rows, sheet.stop_at), book.locale)
        check_rows(found, sheets.settings.guard(name), *_before(context, name))
    except (HeaderError, SheetChangedError, UnknownZoneError) as error:
        said = f"{subject} of spreadsheet {sheet.spreadsheet_id}, {sheet.range} cannot be loaded: {error}"
        kind = VendorDataError if isinstance(error, SheetLoadingError) else SheetError
        raise kind(said, words=[f": {error}"]) from None
    if notes := found.notes():
        context.notes[name] = notes
        log.info("%s: %s", subject, "; ".join(f"{topic}: {text}" for topic, text in notes.items()))
    mark = {"filled": {column.name: column.filled for column in found.columns}, "totals": found.totals}
    return Answer(found.rows, totals={context.today: len(found.rows)}, cursor=json.dumps(mark))


def _before(context: SourceContext, name: str) -> tuple[int, Mapping[str, int]]:
    """How many rows the last load left, and how many cells of each column had something in them."""
    windows = context.windows.get(name, {}).values()
    if not windows:
        return 0, {}
    last = max(windows, key=lambda window: window.loaded_at)
    return last.rows, json.loads(last.cursor)["filled"] if last.cursor else {}


def _misplaced(sheet: Sheet, book: Book, said: str) -> tuple[str, str]:
    """What may be wrong with a range, and the tabs that there are instead."""
    if "grid limits" in said:
        return f"reads {sheet.range}, beyond its tab's last row or column: leave the end open, as in A1:Z", ""
    tabs = f" The spreadsheet has {', '.join(book.tabs)}"
    return f"reads {sheet.range}: was its tab renamed or removed?", tabs


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UnknownZoneError(f"its time zone {name} is unknown here: choose a city's in its settings") from None
