"""Finding the configured columns in a sheet's header, whatever people did to it: moved, spaced,
capitalised, doubled.

What stands there may be a row of data, when somebody deleted the header: so a row without any of
the configured columns is not shown, and any other without numbers, addresses and long text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.sources.google_sheets.cells import as_text, is_blank

LONGEST_HEADER = 40
SHOWN = 30
_PERSONAL = re.compile(r"\S*@\S*|\+?(?:\d[\s().-]*){7,}")


class HeaderError(SignalRoomError):
    """The header does not have each configured column exactly once."""

    told = False


def folded(header: str) -> str:
    """A header as it is compared: without spaces around it, line breaks, doubled spaces and
    capitals.
    """
    return " ".join(header.split()).casefold()


def find_columns(header: Sequence[Any], wanted: Iterable[str]) -> Mapping[str, int]:
    """Where each configured header stands in the row. Raises HeaderError for one that is missing or
    there twice.
    """
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(header):
        places.setdefault(_text(cell), []).append(place)
    found = {name: places.get(folded(name), []) for name in wanted}
    if not any(found.values()):
        raise HeaderError(
            f"none of the columns {', '.join(found)} stands in the first row; was the header"
            " removed?"
        )
    if missing := [name for name, at in found.items() if not at]:
        raise HeaderError(
            f"no column {', '.join(missing)}; renamed or removed? The header has: {shown(header)}"
        )
    if twice := [name for name, at in found.items() if len(at) > 1]:
        raise HeaderError(
            f"more than one column {', '.join(twice)}; the header has: {shown(header)}"
        )
    return {name: at[0] for name, at in found.items()}


def shown(header: Iterable[Any]) -> str:
    """Headers for a person."""
    texts = [
        " ".join(str(as_text(cell)).split())
        for cell in header
        if isinstance(cell, str) and not is_blank(cell)
    ]
    names = [_PERSONAL.sub("***", text)[:LONGEST_HEADER] for text in texts[:SHOWN]]
    return (
        ", ".join(names) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")
        or "no text"
    )


def _text(cell: Any) -> str:
    return "" if is_blank(cell) else folded(str(as_text(cell)))
