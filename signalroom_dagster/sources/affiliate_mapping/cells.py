"""One cell of a reference file as the value of a column's kind."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal

from signalroom_dagster.reference_data import Kind, Value

NO_VALUE = frozenset({"", "n/a"})
"""What stands for NULL, in whatever case."""

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,14}(\.[0-9]{1,4})?\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_SHOWN = 40


def read_cell(cell: str, kind: Kind) -> Value:
    """The value of a cell without the spaces around it, None for an empty one and for `n/a`.

    Raises ValueError saying what the cell should have been.
    """
    text = cell.strip()
    if text.lower() in NO_VALUE:
        return None
    value = _READERS[kind](text)
    if value is None:
        raise ValueError(f"{text[:_SHOWN]!r} is not {_WANTED[kind]}")
    return value


def _within(bits: int) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        number = int(text) if _NUMBER.match(text) else None
        return (
            number
            if number is not None and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)
            else None
        )

    return read


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if _DECIMAL.match(text) else None


def _day(text: str) -> date | None:
    if not _DAY.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


_READERS: Mapping[Kind, Callable[[str], Value]] = {
    "text": str,
    "integer": _within(32),
    "bigint": _within(64),
    "decimal": _decimal,
    "bool": lambda text: _TRUTH.get(text.lower()),
    "date": _day,
}
_WANTED: Mapping[Kind, str] = {
    "text": "text",
    "integer": "a whole number of 32 bits",
    "bigint": "a whole number of 64 bits",
    "decimal": "a number with at most 14 digits before the point and 4 after it",
    "bool": "true, false, yes, no, 1 or 0",
    "date": "a day such as 2026-03-01",
}
