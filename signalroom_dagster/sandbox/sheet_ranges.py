"""A1 notation as Google reads it: which cells of which tab a range is, and what of them is sent.

https://developers.google.com/workspace/sheets/api/guides/concepts#cell
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

GRID_ROWS, GRID_COLUMNS = 1_000, 26
_CORNER = r"([A-Z]*)(\d*)"
_BOX = re.compile(f"{_CORNER}(?::{_CORNER})?")


class RangeError(Exception):
    """What Google says of a range that there is not."""


def cells_of(
    tabs: Mapping[str, Sequence[Sequence[Any]]], wanted: str
) -> tuple[str, list[list[Any]]]:
    """The range as Google echoes it, clipped to the grid, and its rows without the empty ends.
    Raises RangeError.
    """
    title, box = _split(wanted)
    found = _BOX.fullmatch(box)
    if title not in tabs or not found:
        raise RangeError(f"Unable to parse range: {wanted}")
    first_column, first_row = _column(found[1]) if found[1] else 0, int(found[2] or 1) - 1
    last_column = _column(found[3]) + 1 if found[3] else GRID_COLUMNS
    last_row = int(found[4]) if found[4] else GRID_ROWS
    if max(first_row + 1, last_row) > GRID_ROWS or last_column > GRID_COLUMNS:
        raise RangeError(
            f"Range ({wanted}) exceeds grid limits. Max rows: {GRID_ROWS}, max columns:"
            f" {GRID_COLUMNS}"
        )
    rows = [
        _trimmed(list(row[first_column:last_column])) for row in tabs[title][first_row:last_row]
    ]
    quoted = title.replace("'", "''")
    return (
        f"'{quoted}'!{_letter(first_column)}{first_row + 1}:{_letter(last_column - 1)}{last_row}",
        _trimmed(rows),
    )


def _split(wanted: str) -> tuple[str, str]:
    """The tab's title and the rest; a title that looks like a cell is one only in quotes."""
    if quoted := re.fullmatch(r"'((?:[^']|'')+)'(?:!(.*))?", wanted):
        return quoted[1].replace("''", "'"), quoted[2] or ""
    title, _, box = wanted.partition("!")
    plain = re.fullmatch(r"\w+", title) and not re.fullmatch(r"[A-Za-z]{1,3}\d+", title)
    return (title if plain else "", box)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _letter(column: int) -> str:
    return chr(ord("A") + column)


def _trimmed(cells: list[Any]) -> list[Any]:
    """Without the empty cells, or rows, at the end."""
    while cells and cells[-1] in ("", None, []):
        cells.pop()
    return cells
