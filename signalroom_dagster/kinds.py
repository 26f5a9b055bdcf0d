"""The kinds of columns: what a value of a vendor's becomes in one, or why it cannot be held.

Kinds are dlt's data types, `epoch` (a timestamp from seconds since 1970, 0 for none) and `jsontext`
(JSON that comes as text). An empty text is NULL everywhere. Money is decimal with four places,
rounded half up.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from math import isfinite
from typing import Any, TypeAlias

from signalroom_dagster.json_text import checked, clean, encoded

Convert: TypeAlias = Callable[[Any], Any]

PLACES = Decimal("0.0001")
MOST_DIGITS = 40
LARGEST_INTEGER = 2**63 - 1
LARGEST_DECIMAL = Decimal("99999999999999.9999")
UNREADABLE = (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)
"""What a converter raises for a value that its kind cannot hold."""


def as_text(value: Any) -> str | None:
    """Text without NUL and half characters; numbers and flags as text; an empty one is NULL."""
    if isinstance(value, str):
        return clean(value) or None
    if value is None:
        return None
    if isinstance(value, Mapping | list):
        return encoded(value)
    if isinstance(value, Decimal | float) and not isfinite(value):
        raise ValueError("not a finite number")
    return str(value)


def as_integer(value: Any) -> int | None:
    """A whole number, also from text or from a decimal without a fraction."""
    if value is None or value == "":
        return None
    number = int(value) if isinstance(value, int) else _decimal(value)
    if abs(number) > LARGEST_INTEGER:
        raise ValueError("longer than 64 bits")
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


def as_decimal(value: Any) -> Decimal | int | None:
    """An exact number with at most four places, rounded half up."""
    if value is None or value == "":
        return None
    number = value if type(value) is int else _decimal(value)
    if abs(number) > LARGEST_DECIMAL:
        raise ValueError("longer than 18 digits with four places")
    return (
        number
        if isinstance(number, int) or not _is_finer(number)
        else number.quantize(PLACES, ROUND_HALF_UP)
    )


def as_bool(value: Any) -> bool | None:
    """true, false, 0, 1, and both as text."""
    if value is None or value == "":
        return None
    found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("neither true nor false")
    return found


def as_date(value: Any) -> str | None:
    """An ISO date; what follows it (a time) is cut off."""
    if value is None or value == "":
        return None
    try:
        return (
            value.isoformat()[:10]
            if isinstance(value, date)
            else date.fromisoformat(str(value)[:10]).isoformat()
        )
    except ValueError:
        raise ValueError("not a date") from None


def as_timestamp(value: Any) -> str | None:
    """An ISO date and time; one without a zone is UTC."""
    if value is None or value == "":
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("not a date and time") from None


def as_moment(value: Any) -> str | None:
    """Seconds since 1970, in UTC; 0 means that it did not happen."""
    seconds = as_integer(value)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
    except (ValueError, OverflowError, OSError):
        raise ValueError("not seconds since 1970") from None


def as_json(value: Any) -> str | None:
    """A nested value as JSON text."""
    return None if value is None else encoded(value)


def as_json_text(value: Any) -> str | None:
    """JSON that comes as text, or as a value after all."""
    if value is None or value == "":
        return None
    return checked(value) if isinstance(value, str) else encoded(value)


CONVERTERS: Mapping[str, Convert] = {
    "text": as_text,
    "bigint": as_integer,
    "decimal": as_decimal,
    "bool": as_bool,
    "date": as_date,
    "timestamp": as_timestamp,
    "epoch": as_moment,
    "json": as_json,
    "jsontext": as_json_text,
}
DATA_TYPES = {"epoch": "timestamp", "jsontext": "json"}
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _decimal(value: Any) -> Decimal:
    text = str(value).strip()
    try:
        number = value if isinstance(value, Decimal) else Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if "_" in text or not text.isascii():
        raise ValueError(
            "not a number"
        )  # to Python 1_000 and digits of any script are numbers, to vendors they are not
    if not number.is_finite():
        raise ValueError("not a finite number")
    if number.adjusted() > MOST_DIGITS:
        raise ValueError(
            "longer than any number has to be"
        )  # before arithmetic, which would take forever or overflow
    return number


def _is_finer(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent < -4
