"""What a file's header should be, and what becomes of each column: keep, hash, drop, or kept
together with others.
"""

import functools
import hmac
import itertools
import json
import tomllib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from signalroom_dagster.naming import column_name, column_names, numbered_names, snake_case
from signalroom_dagster.sources.files import OTHER_COLUMNS
from signalroom_dagster.sources.s3_exports.fields import quoted, unquoted

Policy = Literal["keep", "hash", "drop"]

_MOST_NAMED = 20  # in a text for people


@dataclass(frozen=True, slots=True)
class Layout:
    """A known export: the columns it always had, by their snake_case names, and the one it cannot
    do without; `written` is how its header has them.
    """

    key: str
    columns: tuple[str, ...]
    written: frozenset[str] = frozenset()

    def difference(self, names: Sequence[str]) -> str | None:
        """How a header differs from this layout, in words; None when it does not (order does not
        count).
        """
        new = [name for name in names if name not in self.columns]
        missing = [name for name in self.columns if name not in names]
        parts = [
            f"{word} columns: {listed(these)}"
            for word, these in (("new", new), ("missing", missing))
            if these
        ]
        return "; ".join(parts) or None


@functools.cache
def layouts() -> Mapping[str, Layout]:
    """Every known layout, by the last part of the prefixes that have it."""
    known = tomllib.loads(
        files(__name__.rpartition(".")[0]).joinpath("layouts.toml").read_text("utf-8")
    )
    return {
        prefix: Layout(
            layout["key"], tuple(column_names(layout["columns"])), frozenset(layout["columns"])
        )
        for layout in known.values()
        for prefix in layout["prefixes"]
    }


def layout_of(prefix: str) -> Layout | None:
    """The layout that a prefix is checked against, or None for one that is loaded as it comes."""
    return layouts().get(prefix.rstrip("/").rpartition("/")[2])


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; of many the first ones."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the columns of a prefix before a file of it is read.

    `written` is how a known header has them, `columns` are those of the table, `renamed` says which
    header cells stand for others, and `watched` names the policies that must meet a column of the
    file.
    """

    written: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    watched: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """What to do with the fields of one file's rows: which positions are dropped, hashed, filtered
    on, or kept with others in one column of JSON, by name.

    For people: `clashing` are the columns that stand in the header twice, `unmet` the policies that
    meet no column, `signed` each new column with a name of its own and the header that it is of,
    `moved` what earlier versions called it, where the table has a column of that name.
    """

    names: tuple[str, ...]
    dropped: tuple[int, ...]
    hashed: tuple[int, ...]
    hash_key: bytes
    filter_at: int | None = None
    filter_values: frozenset[bytes] = frozenset()
    guarded: bool = (
        False  # the policy hides something, or rows are filtered: in this file or in any other
    )
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    taken_out: tuple[
        int, ...
    ] = ()  # dropped and others, the last one first: so they can be deleted one by one
    clashing: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    signed: Mapping[str, str] = field(default_factory=dict[str, str])
    moved: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def touches_rows(self) -> bool:
        """Whether rows hold something that must not be stored: a hidden field, or another client's
        row.
        """
        return bool(self.dropped or self.hashed or self.filter_at is not None)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that reach the warehouse, in the file's order, the one of all others at the
        end.
        """
        own = [
            name for position, name in enumerate(self.names) if position not in set(self.taken_out)
        ]
        return (*own, OTHER_COLUMNS) if self.others else tuple(own)

    @property
    def first_untouched(self) -> int:
        """The first position from which on every field passes through as it is."""
        filtered = () if self.filter_at is None else (self.filter_at,)
        return max((*self.taken_out, *self.hashed, *filtered), default=-1) + 1

    def wanted(self, fields: Sequence[bytes]) -> bool:
        """Whether the row filter, if there is one, lets this row pass."""
        return self.filter_at is None or unquoted(fields[self.filter_at]) in self.filter_values

    def apply(self, fields: list[bytes]) -> None:
        """Drop, hash and put together in place; an empty value stays empty."""
        for position in self.hashed:
            if fields[position]:
                fields[position] = self.digest(unquoted(fields[position]))
        together = self._together(fields) if self.others else b""
        for position in self.taken_out:
            del fields[position]
        if self.others:
            fields.append(together)

    def digest(self, value: bytes) -> bytes:
        """HMAC-SHA256 under the client's key, as hex: equal values stay joinable within one
        client.
        """
        return hmac.digest(self.hash_key, value, "sha256").hex().encode()

    def _together(self, fields: Sequence[bytes]) -> bytes:
        """The values of the other columns as JSON, by name; those that stand there twice as a
        list.
        """
        values: dict[str, str | list[str | None]] = {}
        for name, positions in self.others.items():
            cells = [unquoted(fields[position]).decode("utf-8") or None for position in positions]
            if any(cells):
                values[name] = cells if len(cells) > 1 else str(cells[0])
        return quoted(json.dumps(values, ensure_ascii=False).encode()) if values else b""


def plan_columns(
    header: Sequence[str],
    policy: Mapping[str, Policy],
    hash_key: str | None = None,
    row_filter: tuple[str, Sequence[str]] | None = None,
    *,
    known: Known = Known(),
    admitted: Container[str] | None = None,
) -> ColumnPlan:
    """Decide what becomes of each column of one file; a policy meets every copy of a repeated
    header cell.

    Columns that are not among the `admitted` ones, and those that cannot be told apart, are kept
    together in one.
    """
    cells = [known.renamed.get(cell.strip(), cell) for cell in header]
    names = tuple(column_names(cells, known.columns, known.written))
    before = numbered_names(header)
    called = [
        (name, column_name(cell), snake_case(cell), snake_case(text), numbered)
        for name, cell, text, numbered in zip(names, cells, header, before, strict=True)
    ]
    kinds = [_policy_of(each, policy) for each in called]
    dropped = [at for at, kind in enumerate(kinds) if kind == "drop"]
    times = Counter(name for name, kind in zip(names, kinds, strict=True) if kind != "drop")
    others: dict[str, tuple[int, ...]] = {}
    for at, name in enumerate(names):
        if kinds[at] != "drop" and (times[name] > 1 or not (admitted is None or name in admitted)):
            others[name] = (*others.get(name, ()), at)
    signed = {
        name: cell
        for name, cell in zip(names, cells, strict=True)
        if name not in (snake_case(cell), "unnamed")
    }
    return ColumnPlan(
        names=names,
        dropped=tuple(reversed(dropped)),
        hashed=tuple(at for at, kind in enumerate(kinds) if kind == "hash"),
        hash_key=(hash_key or "").encode(),
        filter_at=_only_one(names, called, row_filter[0]) if row_filter else None,
        filter_values=(
            frozenset(value.encode() for value in row_filter[1]) if row_filter else frozenset()
        ),
        guarded=row_filter is not None or not {"hash", "drop"}.isdisjoint(policy.values()),
        others=others,
        taken_out=tuple(sorted({*dropped, *itertools.chain(*others.values())}, reverse=True)),
        clashing=tuple(name for name in others if times[name] > 1),
        unmet=tuple(sorted(known.watched.difference(known.columns, *called))),
        signed={name: cell for name, cell in signed.items() if name not in known.columns},
        moved={
            name: old
            for name, old in zip(names, before, strict=True)
            if old in known.columns and old not in names and name not in known.columns
        },
    )


def _only_one(names: Sequence[str], called: Sequence[Sequence[str]], column: str) -> int | None:
    """Where a column stands by its own name, else by any that it is called; None if it stands twice
    or not at all.
    """
    places = [at for at, name in enumerate(names) if name == column]
    places = places or [at for at, each in enumerate(called) if column in each]
    return places[0] if len(places) == 1 else None


def _policy_of(called: Sequence[str], policy: Mapping[str, Policy]) -> Policy | None:
    """The policy of a column's own name, else the strictest of those that its header and earlier
    versions give it.
    """
    if own := policy.get(called[0]):
        return own
    found = {policy.get(name) for name in called}
    return "drop" if "drop" in found else "hash" if "hash" in found else None
