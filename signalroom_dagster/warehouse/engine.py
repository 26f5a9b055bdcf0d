"""What each engine does its own way. The modules `postgres` and `duckdb` are the two there are; a
third is one more module with these names.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from signalroom_dagster.config import destination_name

Query: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]
"""Runs one statement with %s parameters; its rows."""
Result = TypeVar("Result")


class Engine(Protocol):
    """One kind of warehouse. Its driver's exceptions become ours by `explain`."""

    HAS_ROLES: bool
    """Whether it is a server with roles, rights and policies."""
    HAS_INDEXES: bool
    """Whether our tables have indexes: a DuckDB table that has one cannot be altered."""
    CLOCK: str
    """The time as SQL."""
    COLUMNS: str
    """SELECT table, column, comment and whether it was dropped, of a schema's tables."""
    COMMENT: str
    """SELECT the comment of a table, named as in SQL."""
    COPY_OF_CLIENT: str
    """The type of a column that holds what `client_id` holds."""

    RUNNING_NUMBER: str
    """The type of a column of running numbers, from `{sequence}`."""

    def exclusive(self, wait_seconds: float) -> AbstractContextManager[None]:
        """What a writer holds while it uses the warehouse."""
        ...

    def kept_open(self) -> AbstractContextManager[object]:
        """What a load holds beside its own connections."""
        ...

    def connected(self) -> AbstractContextManager[Query]:
        """A connection on which each statement is a transaction, until one begins with BEGIN."""
        ...

    def check_reachable(self) -> None:
        """Raises DestinationUnreachableError when the warehouse does not answer."""
        ...

    def begin(self, subject: str, *, one_state: bool) -> str:
        """What a transaction begins with; with `one_state` all its queries see the same rows."""
        ...

    def lock(self, query: Query, name: str) -> None:
        """Hold other writers of the same thing off until the transaction ends."""
        ...

    def held(self, name: str) -> AbstractContextManager[Callable[[], object]]:
        """Hold others off for longer than a transaction may last; gives what checks that."""
        ...

    def limit_ddl(self, query: Query) -> None:
        """Let what follows give up a table that is in use, instead of waiting for it."""
        ...

    def until_free(self, change: Callable[[], Result], schema: str, query: Query) -> Result:
        """Do a transaction again and again while somebody else uses the schema's tables."""
        ...

    def secure(self, query: Query, table: str) -> None:
        """Let a table's readers see the rows of their own clients alone."""
        ...

    def is_secured(self, query: Query, table: str) -> bool:
        """Whether there is nothing left for `secure` to do."""
        ...

    def create_sequence(self, query: Query, name: str) -> None:
        """Create what a running number is taken from, where its type does not."""
        ...

    def now(self, query: Query) -> datetime:
        """The clock that every machine goes by, in UTC."""
        ...

    def json_rows(self, types: Mapping[str, str]) -> str:
        """Reads a JSON list of rows (%s) as a table: five times as fast as a value at a time."""
        ...

    def explain(self, error: Exception, what: str) -> Exception:
        """A driver's error as one of ours, without row content; any other as it is."""
        ...


def writers_pool() -> str | None:
    """Dagster's pool for those that write; None where many may write at once. Asked while
    definitions load, which is why no engine is imported for it.
    """
    return "duckdb" if destination_name() == "duckdb" else None


def engine() -> Engine:
    """The configured one. Drivers are imported only where they are used."""
    if destination_name() == "duckdb":
        from signalroom_dagster.warehouse import duckdb as chosen
    else:
        from signalroom_dagster.warehouse import postgres as chosen
    return chosen
