"""What a file's header should be, and what becomes of each column: keep, hash or drop."""

import functools
import hmac
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from signalroom_dagster.naming import SYSTEM_COLUMNS, column_names, snake_case
from signalroom_dagster.sources.s3_exports.fields import unquoted

Policy = Literal["keep", "hash", "drop"]


@dataclass(frozen=True, slots=True)
class Layout:
    """A known export: the columns it always had, by their snake_case names, and the one it cannot do without."""

    key: str
    columns: tuple[str, ...]

    def difference(self, names: Sequence[str]) -> str | None:
        """How a header differs from this layout, in words; None when it does not (order does not count)."""
        new = [name for name in names if name not in self.columns]
        missing = [name for name in self.columns if name not in names]
        parts = [f"{word} columns: {', '.join(found)}" for word, found in (("new", new), ("missing", missing)) if found]
        return "; ".join(parts) or None


@functools.cache
def layout_of(prefix: str) -> Layout | None:
    """The layout that a prefix is checked against, or None for one that is loaded as it comes."""
    known = tomllib.loads(files(__name__.rpartition(".")[0]).joinpath("layouts.toml").read_text("utf-8"))
    for layout in known.values():
        if prefix.rstrip("/").rpartition("/")[2] in layout["prefixes"]:
            return Layout(key=layout["key"], columns=tuple(column_names(layout["columns"])))
    return None


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """What to do with the fields of one file's rows: which positions are dropped, hashed, filtered on."""

    names: tuple[str, ...]
    dropped: tuple[int, ...]  # last one first, so that they can be deleted one by one
    hashed: tuple[int, ...]
    hash_key: bytes
    filter_at: int | None = None
    filter_values: frozenset[bytes] = frozenset()
    guarded: bool = False  # the policy hides something, or rows are filtered: in this file or in any other

    @property
    def touches_rows(self) -> bool:
        """Whether rows hold something that must not be stored: a hidden field, or another client's row."""
        return bool(self.dropped or self.hashed or self.filter_at is not None)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that reach the warehouse, in the file's order."""
        return tuple(name for position, name in enumerate(self.names) if position not in self.dropped)

    @property
    def first_untouched(self) -> int:
        """The first position from which on every field passes through as it is."""
        filtered = () if self.filter_at is None else (self.filter_at,)
        return max((*self.dropped, *self.hashed, *filtered), default=-1) + 1

    def wanted(self, fields: Sequence[bytes]) -> bool:
        """Whether the row filter, if there is one, lets this row pass."""
        return self.filter_at is None or unquoted(fields[self.filter_at]) in self.filter_values

    def apply(self, fields: list[bytes]) -> None:
        """Drop and hash in place; an empty value stays empty."""
        for position in self.hashed:
            if fields[position]:
                fields[position] = self.digest(unquoted(fields[position]))
        for position in self.dropped:
            del fields[position]

    def digest(self, value: bytes) -> bytes:
        """HMAC-SHA256 under the client's key, as hex: equal values stay joinable within one client."""
        return hmac.digest(self.hash_key, value, "sha256").hex().encode()


def plan_columns(
    header: Sequence[str],
    policy: Mapping[str, Policy],
    hash_key: str | None = None,
    row_filter: tuple[str, Sequence[str]] | None = None,
) -> ColumnPlan:
    """Decide what becomes of each column of one file; a policy meets every copy of a repeated header cell."""
    names = tuple(column_names(header, SYSTEM_COLUMNS))
    kinds = [policy.get(name) or policy.get(snake_case(cell)) for name, cell in zip(names, header, strict=True)]
    return ColumnPlan(
        names=names,
        dropped=tuple(reversed([at for at, kind in enumerate(kinds) if kind == "drop"])),
        hashed=tuple(at for at, kind in enumerate(kinds) if kind == "hash"),
        hash_key=(hash_key or "").encode(),
        filter_at=names.index(row_filter[0]) if row_filter and row_filter[0] in names else None,
        filter_values=frozenset(value.encode() for value in row_filter[1]) if row_filter else frozenset(),
        guarded=row_filter is not None or not {"hash", "drop"}.isdisjoint(policy.values()),
    )
