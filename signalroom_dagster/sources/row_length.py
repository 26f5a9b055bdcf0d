"""How long a row may be: what both databases take in one piece. The longest cells of a longer one
are given up.
"""

from typing import Any

from signalroom_dagster.json_text import shortened
from signalroom_dagster.sources.tables import Oddity, Table

LONGEST_ROW = 1_000_000
"""Characters: DuckDB takes lines of 4 MiB, and a character may be four bytes or two quotes."""

LONGEST_TEXT = 10_000
"""Characters of a text within JSON that has to become shorter."""


def fit(table: Table, cells: list[Any]) -> list[Oddity]:
    """Shorten a row's cells, key and day apart, until it is short enough; what was done to which
    column.
    """
    odd: list[Oddity] = []
    kept = {*table.key, table.day}
    while _length(cells) > LONGEST_ROW:
        given_up = {name for name, _ in odd}
        places = [
            place
            for place, column in enumerate(table.columns)
            if column.name not in {*kept, *given_up}
        ]
        longest = max(
            places, key=lambda place: len(cells[place]) if isinstance(cells[place], str) else 0
        )
        column, text = table.columns[longest], cells[longest]
        cells[longest] = shortened(text, LONGEST_TEXT) if column.data_type == "json" else None
        what = f"texts of more than {LONGEST_TEXT:,} characters, which became null"
        if cells[longest] is None or len(cells[longest]) > LONGEST_ROW // 2:
            cells[longest], what = (
                None,
                f"more than a row of {LONGEST_ROW:,} characters can hold, which became NULL",
            )
        odd.append((column.name, what))
    return odd


def _length(cells: list[Any]) -> int:
    return sum(len(cell) for cell in cells if isinstance(cell, str))
