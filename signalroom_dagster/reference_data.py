"""What a source says of a client's reference data, and what the loader says it changed.

Reference data are tables kept as CSV files in git: the file is the truth, the warehouse follows it.
The hand-over between `sources` and `loading`, like `files` for exports and `slices` for vendors.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "integer", "bigint", "decimal", "bool", "date"]
Value: TypeAlias = str | int | Decimal | bool | date | None
Row: TypeAlias = Mapping[str, Value]
"""One row by column; None is NULL."""

OWN_COLUMNS = ("id", "client_id", "_client_id", "created_at", "updated_at")
"""What every reference table has beside the columns of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSchema:
    """One reference table. `key` names one row of a client; each value of a column in `single` goes
    with one value of the column that it is mapped to.
    """

    name: str
    about: str
    key: tuple[str, ...]
    columns: Mapping[str, Kind]
    single: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTable:
    """All rows of one client's file, or none when it has no such file.

    `empty` are the columns that the file lacks or has nothing in. Without rows it empties the
    client's part of the table, and with such a column that column, only when `allow_empty` says so.
    """

    schema: ReferenceSchema
    rows: Sequence[Row]
    file: str | None
    empty: frozenset[str] = frozenset()
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A row whose key stayed and whose values did not."""

    before: Row
    after: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a load changed in one client's part of a table, or would change; `rows` is what is there
    afterwards.
    """

    table: str
    key: tuple[str, ...]
    rows: int
    added: Sequence[Row] = ()
    changed: Sequence[Change] = ()
    removed: Sequence[Row] = ()

    @property
    def summary(self) -> str:
        """The counts, in words."""
        same = self.rows - len(self.added) - len(self.changed)
        return (
            f"{len(self.added)} added, {len(self.changed)} changed, {len(self.removed)} removed,"
            f" {same} as they were"
        )


def difference_lines(client_id: str, differences: Iterable[Difference]) -> Iterator[str]:
    """What was or would be changed, for a terminal: a line for each table, below it one for each
    row.
    """
    for difference in differences:
        yield f"client {client_id}, public.{difference.table}: {difference.summary}"
        for mark, key, told in described(difference):
            yield f"  {mark} {key}: {told}"


def described(difference: Difference) -> Iterator[tuple[str, str, str]]:
    """Each row that differs: `+`, `~` or `-`, its key, and its values or what became of them."""
    for row in difference.added:
        yield "+", _key(difference, row), _values(difference, row)
    for change in difference.changed:
        told = [
            f"{name} {_shown(change.before[name])} → {_shown(new)}"
            for name, new in change.after.items()
            if change.before[name] != new
        ]
        yield "~", _key(difference, change.after), ", ".join(told)
    for row in difference.removed:
        yield "-", _key(difference, row), _values(difference, row)


def _key(difference: Difference, row: Row) -> str:
    return ", ".join(str(row[name]) for name in difference.key)


def _values(difference: Difference, row: Row) -> str:
    return ", ".join(
        f"{name} {_shown(value)}" for name, value in row.items() if name not in difference.key
    )


def _shown(value: Value) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)
