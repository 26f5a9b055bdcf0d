"""Bytes of a file as text: UTF-8 where they are, and only what is not is repaired."""

UNREADABLE = "surrogateescape"
"""How a line is decoded so that bytes which are no UTF-8 come through a csv reader: as half
characters.
"""


def is_utf8(text: bytes) -> bool:
    """Whether bytes are UTF-8 throughout."""
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def repaired(cell: str) -> bytes:
    """A cell that was decoded as UNREADABLE says, as UTF-8.

    A cell that is UTF-8 stays. One without any letter of UTF-8 was written in cp1252 (or latin-1,
    for the five bytes that cp1252 leaves undefined). In any other a character was cut: it becomes
    U+FFFD, the letters beside it stay.
    """
    raw = cell.encode("utf-8", UNREADABLE)
    if is_utf8(raw):
        return raw
    if not all(sign.isascii() or "\udc80" <= sign <= "\udcff" for sign in cell):
        return raw.decode("utf-8", "replace").encode("utf-8")
    try:
        return raw.decode("cp1252").encode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode("utf-8")
