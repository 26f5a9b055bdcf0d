"""Vendors' JSON, read and written so that what cannot be stored costs itself alone, however deep or
huge it is.

No database stores NUL or half a character (a lone surrogate, as of an emoji that was cut), numbers
that are none or have no end, nor levels without an end. msgspec reads and writes fast what has none
of these; what it refuses is read more slowly, and only what is broken is taken out. Numbers with a
fraction are Decimal all the way.

https://www.rfc-editor.org/rfc/rfc8259
"""

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import msgspec

LEVELS = 100
"""How deep a value may be nested where it has to be repaired; what lies deeper is left out."""

MOST_DIGITS = 1_000
LARGEST_EXPONENT = 308
UNSTORABLE = (
    f"NUL, half a character, a number without an end, or more than {LEVELS} levels, which was"
    " taken out"
)

_NONE = Decimal("NaN")
_MARKS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class Cleaned(str):
    """Text from which something was taken that no database stores."""

    __slots__ = ()


def decoded(body: bytes | str) -> Any:
    """What JSON says. Numbers that are none or beyond all bounds, and what lies too deep, are
    Decimal NaN.

    Raises ValueError for what is not JSON.
    """
    with suppress(ValueError, RecursionError):
        return _decode(body)
    text = body if isinstance(body, str) else body.decode("utf-8", "surrogateescape")
    parsed = json.loads(
        _without_depths(text),
        parse_float=_number,
        parse_int=_integer,
        parse_constant=lambda _: _NONE,
        strict=False,
    )
    if parsed is _NONE:
        raise ValueError("not JSON")
    return _whole(parsed)


def encoded(value: Any) -> str:
    """A value as JSON text; Cleaned when something of it cannot be stored."""
    with suppress(ValueError, TypeError, RecursionError):
        text = _encode(value).decode()
        if "\\u0000" not in text and "NaN" not in text and "Infinity" not in text:
            return text
    repairs: list[Any] = []
    text = _encode(_storable(value, repairs, 0)).decode()
    return Cleaned(text) if repairs else text


def checked(text: str) -> str:
    """JSON that comes as text, as it is if it can be stored, else Cleaned. Raises ValueError for
    what is not JSON.
    """
    if "\\u0000" not in text:
        with suppress(ValueError, RecursionError):
            _check(text)
            return text
    try:
        again = encoded(decoded(text))
    except ValueError:
        raise ValueError("not JSON") from None
    return again if isinstance(again, Cleaned) else text


def clean(text: str) -> str:
    """Text without NUL and half characters; Cleaned when it had any."""
    if type(text) is not str or (text.isascii() and "\0" not in text):
        return text
    cleaned = _HALF_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text.replace("\0", ""))
    return text if cleaned == text else Cleaned(cleaned)


def shortened(text: str, longest: int) -> str:
    """JSON text without the texts in it that are longer than so many characters: they are null."""

    def without(value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) <= longest else None
        if isinstance(value, list):
            return [without(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {
                key[:longest]: without(item) for key, item in cast("dict[str, Any]", value).items()
            }
        return value

    return _encode(without(_storable(decoded(text), [], 0))).decode()


def _number(text: str) -> Decimal:
    if len(text) > MOST_DIGITS:
        return _NONE
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return _NONE
    return number if not number or abs(number.adjusted()) <= LARGEST_EXPONENT else _NONE


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= MOST_DIGITS else _NONE


def _storable_number(text: str) -> Decimal:
    number = _number(text)
    if number is _NONE:
        raise ValueError("a number without an end")
    return number


_decode = msgspec.json.Decoder(float_hook=_number).decode
_check = msgspec.json.Decoder(float_hook=_storable_number).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _without_depths(text: str) -> str:
    """The same JSON with NaN where more than LEVELS levels begin; by its marks, because parsers
    call themselves.
    """
    level, kept, start = 0, list[str](), 0
    for mark in _MARKS.finditer(text):
        if mark[0] in ("[", "{"):
            level += 1
            if level == LEVELS + 1:
                kept.append(text[start : mark.start()])
        elif mark[0] in ("]", "}"):
            if level == LEVELS + 1:
                kept.append("NaN")
                start = mark.end()
            level -= 1
    if level:
        raise ValueError("not JSON")
    return "".join([*kept, text[start:]])


def _whole(value: Any) -> Any:
    """A value with its texts cleaned of half characters."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {clean(key): _whole(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _storable(value: Any, repairs: list[Any], level: int) -> Any:
    """A copy that can be written and stored; notes each repair."""
    if isinstance(value, str):
        text = clean(value)
        if isinstance(text, Cleaned):
            repairs.append(text)
        return str(text)
    if isinstance(value, Mapping | list) and level >= LEVELS:
        repairs.append(value)
        return None
    if isinstance(value, list):
        return [_storable(item, repairs, level + 1) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {
            _storable(key, repairs, level): _storable(item, repairs, level + 1)
            for key, item in items
        }
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        repairs.append(value)
        return None
    return value
