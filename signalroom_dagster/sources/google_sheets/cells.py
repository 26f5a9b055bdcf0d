"""What a cell says, as the kind of its column. Cells come unformatted: text, true, false, int or
Decimal.

A date comes as a serial number, days since 1899-12-30 with the time of day as a fraction, in the
spreadsheet's own time zone; nothing tells it from a plain number. Formulas that fail come as text.
Every function here raises ValueError for a cell that is not of its kind.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/DateTimeRenderOption
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.sources.google_sheets.locales import AMERICAN, MONTH_FIRST, american

LOADING = frozenset({"Loading...", "Loading…"})
ERRORS = LOADING | {"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#ERROR!"}
EPOCH = datetime(1899, 12, 30)
DAY_SECONDS = 86_400
LAST_SERIAL = 2_958_465  # 9999-12-31
LARGEST_INTEGER = 2**63
LARGEST_DECIMAL = 10**14
EXACT = 10**15  # Sheets keeps 15 digits of a number
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].+)?")
_NUMBER = re.compile(
    r"([-−]?)\s*[$€£]?\s*([-−]?)((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)", re.ASCII
)


def converter(kind: str, zone: ZoneInfo, locale: str = AMERICAN) -> Callable[[Any], Any]:
    """The function that makes a cell a value of this kind; `zone` and `locale` are the
    spreadsheet's.
    """
    if kind == "datetime":
        return partial(as_datetime, zone=zone, locale=locale)
    return partial(CONVERTERS[kind], locale=locale) if kind in LOCAL else CONVERTERS[kind]


def is_blank(cell: Any) -> bool:
    """Whether there is nothing in a cell, or only spaces."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def is_error(cell: Any) -> bool:
    """Whether a formula failed, or is still waiting for its data."""
    return isinstance(cell, str) and cell.strip() in ERRORS


def is_loading(cell: Any) -> bool:
    """Whether a formula is still waiting for its data."""
    return isinstance(cell, str) and cell.strip() in LOADING


def is_rounded(cell: Any) -> bool:
    """Whether a number has more digits than Sheets keeps: an id that should have been typed as
    text.
    """
    return isinstance(cell, int | Decimal) and not isinstance(cell, bool) and abs(cell) >= EXACT


def as_text(cell: Any) -> str:
    """Text as it is; a number without the fraction that it does not have; flags as Sheets shows
    them.
    """
    if isinstance(cell, bool):
        return str(cell).upper()
    return format(Decimal(cell).normalize(), "f") if isinstance(cell, int | Decimal) else str(cell)


def as_decimal(cell: Any, locale: str = AMERICAN) -> Decimal:
    """A number, also typed as text: `1,234.50`, `$ 12`, `(3.20)` for a negative one; `1.234,50`
    where the locale has it so."""
    number = _number(cell, locale)
    if abs(number) >= LARGEST_DECIMAL:
        raise ValueError("a number too large")
    return number


def as_integer(cell: Any, locale: str = AMERICAN) -> int:
    """A number without a fraction, also one that comes as 12.0."""
    number = _number(cell, locale)
    if number != number.to_integral_value() or abs(number) >= LARGEST_INTEGER:
        raise ValueError("not a whole number")
    return int(number)


def as_bool(cell: Any) -> bool:
    """A checkbox, or true, false, yes, no, 1, 0 in any capitals."""
    found = FLAGS.get(as_text(cell).strip().lower())
    if found is None:
        raise ValueError("neither true nor false")
    return found


def as_date(cell: Any, locale: str = AMERICAN) -> date:
    """The day of a serial number or of a date that was typed as text: ISO, month/day/year in
    America, elsewhere day/month/year, or day.month.year.
    """
    return _moment(cell, locale).date()


def as_datetime(cell: Any, zone: ZoneInfo, locale: str = AMERICAN) -> datetime:
    """An instant in UTC; what is typed with an offset of its own keeps it, all else is in the
    spreadsheet's zone.
    """
    moment = _moment(cell, locale)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


CONVERTERS: dict[str, Callable[..., Any]] = {
    "text": as_text,
    "integer": as_integer,
    "decimal": as_decimal,
    "bool": as_bool,
    "date": as_date,
}
LOCAL = frozenset({"integer", "decimal", "date"})
"""Kinds whose text is read as the spreadsheet's locale has it."""


def _number(cell: Any, locale: str) -> Decimal:
    if isinstance(cell, int | Decimal) and not isinstance(cell, bool):
        return Decimal(cell)
    text = cell.strip() if isinstance(cell, str) else ""
    negative = text.startswith("(") and text.endswith(")")
    text = text[1:-1] if negative else text
    found = _NUMBER.fullmatch(american(text, locale))
    if not found:
        raise ValueError("not a number")
    number = Decimal(found[3].replace(",", ""))
    return -number if negative or found[1] or found[2] else number


def _moment(cell: Any, locale: str) -> datetime:
    if isinstance(cell, str):
        return _typed(" ".join(cell.split()), locale)
    if isinstance(cell, bool) or not 1 <= cell < LAST_SERIAL:
        raise ValueError("not a date")
    return EPOCH + timedelta(seconds=round(cell * DAY_SECONDS))


def _typed(text: str, locale: str) -> datetime:
    if _ISO.fullmatch(text):
        return datetime.fromisoformat(text)
    for day in ("%m/%d/%Y" if locale in MONTH_FIRST else "%d/%m/%Y", "%d.%m.%Y"):
        for time in TIMES:
            try:
                return datetime.strptime(text, day + time)
            except ValueError:
                continue
    raise ValueError("not a date")
