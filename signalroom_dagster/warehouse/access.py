"""SQL on the warehouse, the same way on every engine."""

import itertools
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

from signalroom_dagster.config import destination_name, work_dir
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.retries import FIRST_WAIT_SECONDS, backoff
from signalroom_dagster.warehouse.engine import Query, Result, engine
from signalroom_dagster.warehouse.errors import (
    DISK_FULL,
    DestinationLostError,
    DestinationUnreachableError,
    LoadError,
)
from signalroom_dagster.warehouse.locks import NOT_WRITABLE
from signalroom_dagster.warehouse.locks import WAIT_SECONDS as LOCK_WAIT_SECONDS
from signalroom_dagster.warehouse.migrations import OwnTable, is_current, migrate

WAIT_SECONDS = 15 * 60.0
LONGEST_PAUSE_SECONDS = 60.0


def exclusive(wait_seconds: float = LOCK_WAIT_SECONDS) -> AbstractContextManager[None]:
    """What a writer holds while it uses the warehouse: DuckDB's lock file; on Postgres nothing."""
    return engine().exclusive(wait_seconds)


def kept_open() -> AbstractContextManager[object]:
    """What a load holds beside dlt's own connections."""
    return engine().kept_open()


def connected() -> AbstractContextManager[Query]:
    """A function that runs one SQL statement with %s parameters and returns its rows.

    On DuckDB the caller holds `exclusive()`. Raises DestinationUnreachableError when Postgres does
    not answer.
    """
    return engine().connected()


@contextmanager
def transaction(subject: str, *, one_state: bool = False) -> Generator[Query]:
    """Like `connected`, in one transaction: committed at the end of the block, undone when the
    block raises. With `one_state` all its queries see the same rows.

    Raises the driver's errors as `explain` words them, with the subject and without row content.
    """
    with connected() as query:
        try:
            query(engine().begin(subject, one_state=one_state))
            yield query
            query("COMMIT")
        except Exception as error:
            # closing the connection undoes what was begun
            raise engine().explain(error, subject) from None


def lock(query: Query, name: str) -> None:
    """Hold other writers of the same thing off until the transaction ends."""
    engine().lock(query, name)


def held(name: str) -> AbstractContextManager[Callable[[], object]]:
    """Hold off others that hold the same name, for as long as the block lasts: minutes, hours.

    What the block is given raises DestinationUnreachableError when that is over.
    """
    return engine().held(name)


def secure_table(query: Query, table: str) -> None:
    """Put row level security on a table that was just created, named as in SQL."""
    engine().secure(query, table)


def is_secured(query: Query, table: str) -> bool:
    """Whether a table has the policy that `secure_table` gives; DuckDB has none to give."""
    return engine().is_secured(query, table)


def create_own_tables(schema: str, tables: Sequence[OwnTable]) -> None:
    """Give a schema our tables that it lacks, and those of an earlier release what they lack.

    Looks first: nothing is locked where nothing is missing. On DuckDB the caller holds
    `exclusive()`, and has no transaction open.
    """
    kind = destination_name()
    with connected() as query:
        if (
            not tables
            or is_current(query, kind, tables)
            and all(is_secured(query, table.name) for table in tables)
        ):
            return

    def change(query: Query) -> None:
        query(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        migrate(query, kind, tables)
        for table in tables:
            secure_table(query, table.name)

    alter(schema, change)


def alter(schema: str, change: Callable[[Query], None]) -> None:
    """Change tables of a schema in a transaction of its own, tried again while they are in use.

    Raises TableInUseError, and what `transaction` raises.
    """

    def once() -> None:
        with transaction(f"the tables of schema {schema}") as query:
            lock_for_ddl(query, schema)
            change(query)

    retried_while_in_use(schema, once)


def lock_for_ddl(query: Query, schema: str) -> None:
    """Keep others from altering a schema's tables; what follows gives up a table that is in use."""
    lock(query, f"ddl|{schema}")
    engine().limit_ddl(query)


def retried_while_in_use(schema: str, once: Callable[[], Result]) -> Result:
    """Repeat a transaction after `lock_for_ddl` while somebody else uses its tables; log who."""

    def ask(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        with connected() as query:
            return query(sql, *parameters)

    return engine().until_free(once, schema, ask)


def comment(query: Query, table: str, about: str, columns: Mapping[str, str]) -> None:
    """Say in the warehouse itself what a table, named as in SQL, and its columns mean."""
    query(f"COMMENT ON TABLE {table} IS {_literal(about)}")
    for name, meaning in columns.items():
        query(f"COMMENT ON COLUMN {table}.{name} IS {_literal(meaning) if meaning else 'NULL'}")


def comment_of(query: Query, table: str) -> str | None:
    """The comment on a table, named as in SQL."""
    rows = query(engine().COMMENT, table)
    return rows[0][0] if rows else None


def wait_until_reachable(
    say: Callable[[str], None],
    wait_seconds: float = WAIT_SECONDS,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the warehouse answers; asks again after 1, 2, 4 … at most 60 s and says so each
    time.

    Raises DestinationLostError after `wait_seconds`.
    """
    give_up = time.monotonic() + wait_seconds
    for attempt in itertools.count(1):
        delay = backoff(attempt, FIRST_WAIT_SECONDS, LONGEST_PAUSE_SECONDS)
        try:
            engine().check_reachable()
            return
        except DestinationUnreachableError as error:
            if time.monotonic() + delay > give_up:
                raise DestinationLostError(
                    f"{error}; waited {wait_seconds:.0f} s. The next schedule or sensor tick asks"
                    " again"
                ) from None
            say(f"{error}; asking again in {delay:.0f} s")
            pause(delay)


def now(query: Query) -> datetime:
    """The warehouse's clock, in UTC: what every machine goes by."""
    return engine().now(query)


def table_exists(query: Query, dataset: str, table: str) -> bool:
    """Whether a table is there yet."""
    sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
    return bool(query(sql, dataset, table))


def add_index(query: Query, table: str, columns: str) -> None:
    """Index a table that was just created, where the engine's tables have indexes."""
    if engine().HAS_INDEXES:
        query(f"CREATE INDEX ON {table} ({columns})")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def told(error: BaseException, subject: str) -> BaseException:
    """What a load ended with, in our words where a driver raised it, or the scratch folder's disk.

    Its own jobs tell theirs themselves: this is for what dlt asks the warehouse.
    """
    if not isinstance(error, OSError):
        return engine().explain(error, subject) if isinstance(error, Exception) else error
    folder = f"{subject}: {work_dir()} (SIGNALROOM_WORK_DIR) cannot be written ({error.strerror})"
    if error.errno in DISK_FULL:
        return LoadError(f"{folder}: free space there")
    if error.errno in NOT_WRITABLE and str(error.filename).startswith(str(work_dir())):
        return ConfigurationError(f"{folder}: let this user write there, or name another folder")
    return error
