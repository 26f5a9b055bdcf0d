"""The fields of a CSV record in bytes: told apart by commas and quotes where no csv reader has
to.
"""

import re

QUOTE, COMMA, CR, LF = b'",\r\n'  # numbers: `b'"' in line` takes four times as long
UNUSUAL = -1
_NEEDS_QUOTES = re.compile(rb'[",\r\n]').search


def split_fields(raw: bytes, most: int = -1) -> list[bytes]:
    """The fields of a record that came without: those in quotes keep them. `most` as in
    `bytes.split`.
    """
    if QUOTE not in raw:
        return raw.split(b",", most)
    pieces = raw.split(b'"')
    fields = pieces[0].split(b",", most)
    for at in range(1, len(pieces), 2):
        if len(fields) == most + 1:
            fields[-1] += b'"' + b'"'.join(pieces[at:])
            break
        behind = pieces[at + 1].split(b",", most - len(fields) + 1 if most >= 0 else -1)
        fields[-1] += b'"' + pieces[at] + b'"' + behind[0]
        fields += behind[1:]
    return fields


def count_fields(raw: bytes) -> int:
    """How many fields a record has that came without them."""
    if QUOTE in raw:
        return sum([piece.count(b",") for piece in raw.split(b'"')[::2]]) + 1
    return raw.count(b",") + 1


def count_commas(raw: bytes) -> int:
    """The commas that part a record's fields; UNUSUAL unless quotes hold whole fields, none of them
    empty, and no line end stands outside them.
    """
    pieces = raw.split(b'"')
    if len(pieces) % 2 == 0 or (b"" in pieces[1::2] and _has_empty_quotes(pieces)):
        return UNUSUAL
    outside = pieces[::2]
    if len(pieces) > 1 and (
        outside[0][-1:] not in (b"", b",") or outside[-1][:1] not in (b"", b",")
    ):
        return UNUSUAL
    for piece in outside[1:-1]:
        if piece and (
            piece[0] != COMMA or piece[-1] != COMMA
        ):  # nothing between two quotes: one, doubled
            return UNUSUAL
    if (CR in raw or LF in raw) and any([CR in piece or LF in piece for piece in outside]):
        return UNUSUAL
    return sum([piece.count(b",") for piece in outside])


def _has_empty_quotes(pieces: list[bytes]) -> bool:
    """Whether a field is just two quotes; nothing between quotes is else a part of a doubled
    one.
    """
    last = len(pieces) - 1
    return any(
        not pieces[at] and (at == 1 or pieces[at - 1]) and (at + 1 == last or pieces[at + 1])
        for at in range(1, last, 2)
    )


def quoted(field: bytes) -> bytes:
    """A field as CSV wants it: in quotes only where it needs them."""
    if _NEEDS_QUOTES(field) is None:
        return field
    return b'"' + field.replace(b'"', b'""') + b'"'


def unquoted(field: bytes) -> bytes:
    """What a field of a record stands for."""
    return field[1:-1].replace(b'""', b'"') if field[:1] == b'"' else field


def exchange(delimiter: str) -> bytes:
    """A table for `bytes.translate` by which a delimiter and the comma change places: to read, and
    to write again.
    """
    return bytes.maketrans(b"," + delimiter.encode(), delimiter.encode() + b",")
