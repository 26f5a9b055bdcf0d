"""Rows of a sheet that are no data: those that its settings leave out, and those that look like
totals of others.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from signalroom_dagster.sources.google_sheets.cells import is_blank
from signalroom_dagster.sources.google_sheets.header import folded

FEWEST_ADDED = 3
_TOTAL = re.compile(
    r"(?:(?:grand|overall|running) |sub[- ]?)?totals?(?:"
    r" (?:cost|spend|amount|sum|for|of)\b.*)?\s*[:=]?|sum\s*[:=]?"
)


class LeftOut(NamedTuple):
    """Which rows a sheet's settings leave out, by a cell's text: single ones, and one with all that
    is below it.
    """

    skip_rows: Sequence[str] = ()
    stop_at: str | None = None

    def skips(self, row: Sequence[Any]) -> bool:
        """Whether a row is left out."""
        return any(_says(row, word) for word in self.skip_rows)

    def ends(self, row: Sequence[Any]) -> bool:
        """Whether the data end above this row."""
        return self.stop_at is not None and _says(row, self.stop_at)


NOTHING = LeftOut()


def is_total(row: Sequence[Any]) -> bool:
    """Whether a cell says that this is a total."""
    return any(_TOTAL.fullmatch(text) for text in _texts(row))


def adds_up(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> bool:
    """Whether the last row has no day, and a number that is the sum of all above it: a total
    without a word.
    """
    *above, last = rows
    if any(last[name] is not None for name, kind in kinds.items() if kind in ("date", "datetime")):
        return False
    for name in (
        name for name, kind in kinds.items() if kind in ("integer", "decimal") and last[name]
    ):
        added = [Decimal(row[name]) for row in above if row[name]]
        if len(added) >= FEWEST_ADDED and sum(added) == last[name]:
            return True
    return False


def _says(row: Sequence[Any], word: str) -> bool:
    """Whether a cell is this word, or the first cell that is not blank begins with it."""
    wanted, texts = folded(word), _texts(row)
    first = next((cell for cell in row if not is_blank(cell)), None)
    begins = isinstance(first, str) and re.match(re.escape(wanted) + r"(?!\w)", folded(first))
    return bool(begins) or wanted in texts


def _texts(row: Sequence[Any]) -> list[str]:
    """A row's texts as they are compared, without a colon behind them."""
    return [
        folded(cell).rstrip(" :") for cell in row if isinstance(cell, str) and not is_blank(cell)
    ]
