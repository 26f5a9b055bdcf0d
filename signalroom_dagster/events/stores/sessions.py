"""One transaction of a store in SQL, as both databases have it: what differs between them is said
here once.

Statements are written with `?` and the schema `events.`; each session makes of them what its
database takes.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

KEYS_AT_ONCE = 500


class Session(Protocol):
    """One transaction."""

    cursor: Any
    locked: str
    """Ends a SELECT whose rows this transaction goes on to change, without waiting for those that
    others hold.
    """

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows. Datetimes and sets of names are stored as the database
        has them.
        """
        ...

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement that returns none; how many rows it touched."""
        ...

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement that has no values, as it is; its rows, if it returns any."""
        ...

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row of values."""
        ...

    def now(self) -> datetime:
        """The database's clock."""
        ...

    def time(self, stored: Any) -> datetime:
        """A stored time."""
        ...

    def names(self, stored: Any) -> frozenset[str]:
        """A stored set of names."""
        ...


class Transactions(Protocol):
    """Where sessions come from."""

    def __call__(self, *, reads_only: bool = False) -> AbstractContextManager[Session]:
        """A transaction for the length of the block: committed at its end, undone when it raises.

        Raises StoreError for whatever the database refuses.
        """
        ...


def values_of(rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """`VALUES (?, ?), (?, ?)` and its values, for `(a, b) IN (...)`."""
    row = f"({', '.join('?' * len(rows[0]))})"
    return f"VALUES {', '.join([row] * len(rows))}", list(chain.from_iterable(rows))


def pieces(rows: Iterable[Sequence[Any]]) -> Iterable[Sequence[Sequence[Any]]]:
    """Rows in pieces that one statement takes."""
    every = list(rows)
    return (every[start : start + KEYS_AT_ONCE] for start in range(0, len(every), KEYS_AT_ONCE))
