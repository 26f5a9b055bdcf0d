"""What of a slice could not be read: cells that are NULL for it or were cleaned, and rows that were
left out.

It travels with the slice into `windows`, so that the asset and a check can tell of it by table,
column and key. Values are never kept: what cannot be read may still be personal.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

KEYS = 5
"""How many rows are named for each reason."""

LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that a source cannot hand over, among those it can: why, its key as far as it is known,
    and its day.
    """

    reason: str
    key: str = ""
    day: date | None = None


@dataclass(slots=True)
class SetAside:
    """Counts by day (None: not known), column ("" for whole rows) and reason, and the first keys of
    each.
    """

    _counts: dict[tuple[date | None, str, str], int] = field(
        default_factory=dict[tuple[date | None, str, str], int]
    )
    _keys: dict[tuple[date | None, str, str], list[str]] = field(
        default_factory=dict[tuple[date | None, str, str], list[str]]
    )

    def cell(self, column: str, reason: str, key: str, day: date | None) -> None:
        """A cell that is NULL or was cleaned."""
        place = (day, column, reason)
        self._counts[place] = self._counts.get(place, 0) + 1
        keys = self._keys.setdefault(place, [])
        if len(keys) < KEYS:
            keys.append(key)

    def row(self, row: LeftOut) -> None:
        """A row that was left out."""
        self.cell("", row.reason, row.key, row.day)

    def rows_of(self, day: date) -> int:
        """How many rows that may be of a day were left out."""
        return sum(
            n for (at, column, _), n in self._counts.items() if not column and at in (day, None)
        )

    def has(self, column: str, day: date) -> bool:
        """Whether a column of a day has cells that could not be read."""
        return any(name == column and at in (day, None) for at, name, _ in self._counts)

    def by_day(self, days: Sequence[date]) -> Mapping[date, str]:
        """JSON for each day's row in `windows`; what is of none of the days stands with the
        last.
        """
        entries: dict[date, list[dict[str, Any]]] = {}
        for (at, column, reason), count in self._counts.items():
            entry = {
                "column": column,
                "reason": reason,
                "count": count,
                "keys": self._keys[at, column, reason],
            }
            entries.setdefault(at if at and at in days else days[-1], []).append(entry)
        return {day: json.dumps(found) for day, found in entries.items()}

    def __str__(self) -> str:
        """For the log: how much of which column, and why."""
        summed: dict[tuple[str, str], int] = {}
        for (_, column, reason), count in self._counts.items():
            summed[column, reason] = summed.get((column, reason), 0) + count
        return "; ".join(told(column, reason, count) for (column, reason), count in summed.items())


def told(column: str, reason: str, count: int, keys: Sequence[str] = ()) -> str:
    """One sentence's worth: `3 cells of date_modified: not a date and time, which became NULL
    (id=7, id=9, ...)`.
    """
    plural = "" if count == 1 else "s"
    what = f"{count} cell{plural} of {column}" if column else f"{count} row{plural} left out"
    named = ", ".join([*keys, "..."] if count > len(keys) else keys)
    return f"{what}: {reason}" + (f" ({named})" if keys else "")


def key_of(names: Sequence[str], cells: Sequence[Any]) -> str:
    """A row's key in words, without what may be an address or is no name of anything."""
    return ", ".join(f"{name}={_shown(cell)}" for name, cell in zip(names, cells, strict=True))


def _shown(cell: Any) -> str:
    is_name = cell is None or (
        isinstance(cell, str | int | date) and "@" not in str(cell)[:LONGEST_KEY]
    )
    return str(cell)[:LONGEST_KEY] if is_name else "***"
