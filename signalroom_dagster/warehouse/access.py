"""SQL on the warehouse, the same way on both engines: ledger, counts, checks, and what is written
without dlt.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeAlias

from signalroom_dagster.config import destination_name, work_dir
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.files import LedgerEntry
from signalroom_dagster.retries import FIRST_WAIT_SECONDS, backoff
from signalroom_dagster.warehouse.bookkeeping import LEDGER
from signalroom_dagster.warehouse.errors import (
    DISK_FULL,
    DestinationLostError,
    DestinationUnreachableError,
    LoadError,
)
from signalroom_dagster.warehouse.locks import NOT_WRITABLE, writer_lock
from signalroom_dagster.warehouse.locks import WAIT_SECONDS as LOCK_WAIT_SECONDS
from signalroom_dagster.warehouse.migrations import OwnTable, is_current, migrate
from signalroom_dagster.warehouse.places import duckdb_path, postgres_url
from signalroom_dagster.warehouse.row_security import POLICY, secure
from signalroom_dagster.warehouse.transactions import (
    IDLE_SECONDS,
    Result,
    asking,
    ddl_limit,
    limits,
    take_lock,
    until_free,
)

Query: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]

WAIT_SECONDS = 15 * 60.0
LONGEST_PAUSE_SECONDS = 60.0


def exclusive(wait_seconds: float = LOCK_WAIT_SECONDS) -> AbstractContextManager[None]:
    """Whatever a writer must hold while it uses the warehouse: DuckDB's lock file; on Postgres
    nothing.
    """
    return (
        writer_lock(duckdb_path(), wait_seconds)
        if destination_name() == "duckdb"
        else nullcontext()
    )


def kept_open() -> AbstractContextManager[object]:
    """What a load holds beside dlt's own connections: on DuckDB one more, so that the file is not
    closed, and with it checkpointed, after every load job; on Postgres nothing.
    """
    return _duckdb() if destination_name() == "duckdb" else nullcontext()


@contextmanager
def connected() -> Generator[Query]:
    """A function that runs one SQL statement with %s parameters and returns its rows.

    On DuckDB the caller holds `exclusive()`. Raises DestinationUnreachableError when Postgres does
    not answer.
    """
    with _duckdb() if destination_name() == "duckdb" else _postgres() as query:
        yield query


@contextmanager
def transaction(subject: str) -> Generator[Query]:
    """Like `connected`, in one transaction: committed at the end of the block, undone when the
    block raises.

    Raises the driver's errors as `explain` tells them, with the subject and without row content.
    """
    with connected() as query:
        try:
            query(f"BEGIN; {limits(subject)}" if destination_name() == "postgres" else "BEGIN")
            yield query
            query("COMMIT")
        except Exception as error:
            raise _explain(error, subject) from None  # closing the connection undoes what was begun


def lock(query: Query, name: str) -> None:
    """Hold other writers of the same thing off until the transaction ends; on DuckDB `exclusive`
    does already.
    """
    if destination_name() == "postgres":
        take_lock(query, name)


@contextmanager
def held(name: str) -> Generator[Callable[[], object]]:
    """Hold off others that hold the same name, for as long as the block lasts: minutes, hours. On
    DuckDB `exclusive` does already.

    The lock lasts as long as a transaction of its own, in which there is a word from time to time.
    What the block is given raises DestinationUnreachableError when that is over.
    """
    if destination_name() == "duckdb":
        yield lambda: None
        return
    over = threading.Event()
    with connected() as query:
        query(f"BEGIN; {limits(name)}")
        lock(query, name)

        def check() -> object:
            try:
                return query("SELECT 1")
            except Exception as error:
                raise _explain(error, name) from None

        def keep() -> None:
            while not over.wait(IDLE_SECONDS / 4):
                with contextlib.suppress(Exception):  # the next check tells
                    query("SELECT 1")

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield check
        finally:
            over.set()
            keeper.join()


def secure_table(query: Query, table: str) -> None:
    """Put row level security on a table that was just created, named as in SQL; DuckDB has none."""
    if destination_name() == "postgres":
        query(secure(table))


def is_secured(query: Query, table: str) -> bool:
    """Whether a table has the policy that `secure_table` gives; DuckDB has none to give."""
    return destination_name() == "duckdb" or bool(
        query(
            "SELECT 1 FROM pg_policy WHERE polrelid = to_regclass(%s) AND polname = %s",
            table,
            POLICY,
        )
    )


def create_own_tables(schema: str, tables: Sequence[OwnTable]) -> None:
    """Give a schema the tables of ours that it lacks, and those of an earlier release what they
    lack.

    Looks first: nothing is locked where nothing is missing. On DuckDB the caller holds
    `exclusive()`, and has no transaction open.
    """
    engine = destination_name()
    with connected() as query:
        if (
            not tables
            or is_current(query, engine, tables)
            and all(is_secured(query, table.name) for table in tables)
        ):
            return

    def change(query: Query) -> None:
        query(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        migrate(query, engine, tables)
        for table in tables:
            secure_table(query, table.name)

    alter(schema, change)


def alter(schema: str, change: Callable[[Query], None]) -> None:
    """Create or alter tables of a schema in a transaction of its own, which is tried again while
    they are in use.

    Raises TableInUseError, and what `transaction` raises.
    """

    def once() -> None:
        with transaction(f"the tables of schema {schema}") as query:
            lock_for_ddl(query, schema)
            change(query)

    retried_while_in_use(schema, once)


def lock_for_ddl(query: Query, schema: str) -> None:
    """Hold off who else alters tables of a schema. What follows does not wait for a table: others
    would behind it.
    """
    lock(query, f"ddl|{schema}")
    if destination_name() == "postgres":
        query(ddl_limit())


def retried_while_in_use(schema: str, once: Callable[[], Result]) -> Result:
    """Do a transaction after `lock_for_ddl` again and again while somebody else uses its tables,
    and tell who.
    """

    def ask(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        with connected() as query:
            return query(sql, *parameters)

    return until_free(once, schema, ask) if destination_name() == "postgres" else once()


def comment(query: Query, table: str, about: str, columns: Mapping[str, str]) -> None:
    """Say in the warehouse itself what a table, named as in SQL, and its columns mean."""
    query(f"COMMENT ON TABLE {table} IS {_literal(about)}")
    for name, meaning in columns.items():
        query(f"COMMENT ON COLUMN {table}.{name} IS {_literal(meaning) if meaning else 'NULL'}")


def comment_of(query: Query, table: str) -> str | None:
    """What `comment` has said of a table."""
    if destination_name() == "postgres":
        return query("SELECT obj_description(to_regclass(%s), 'pg_class')", table)[0][0]
    found = query(
        "SELECT comment FROM duckdb_tables() WHERE schema_name || '.' || table_name = %s", table
    )
    return found[0][0] if found else None


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
            with connected() if destination_name() == "postgres" else nullcontext():
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
    """The warehouse's clock, in UTC: what every machine goes by. DuckDB's is this machine's own."""
    if destination_name() == "postgres":
        from signalroom_dagster.warehouse.postgres import CLOCK

        return query(f"SELECT {CLOCK}")[0][0].astimezone(UTC)
    return datetime.now(UTC)


def table_exists(query: Query, dataset: str, table: str) -> bool:
    """Whether a table is there yet."""
    sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
    return bool(query(sql, dataset, table))


def read_ledger(query: Query, dataset: str, client_id: str) -> Mapping[str, LedgerEntry]:
    """What the ledger of a schema holds of one client, by file name; empty before the first
    load.
    """
    if not table_exists(query, dataset, LEDGER):
        return {}
    columns = "_file_name, etag, size, status, reason"
    rows = query(f"SELECT {columns} FROM {dataset}.{LEDGER} WHERE _client_id = %s", client_id)
    return {
        name: LedgerEntry(etag, size, status, reason) for name, etag, size, status, reason in rows
    }


@contextmanager
def _postgres() -> Generator[Query]:
    from psycopg2.extensions import TRANSACTION_STATUS_IDLE

    from signalroom_dagster.warehouse.postgres import connect, explain

    connection = connect(postgres_url())
    ask, alone = asking(connection), limits("reading")

    def query(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        is_alone = (
            connection.info.transaction_status == TRANSACTION_STATUS_IDLE
            and not sql.startswith("BEGIN")
        )
        try:
            return ask(
                f"{alone}; {sql}" if is_alone else sql, *parameters
            )  # what is sent together is one transaction
        except Exception as error:
            if is_alone and connection.closed:  # in a transaction, that tells what it is about
                raise explain(error, "asking Postgres") from None
            raise

    try:
        yield query
    finally:
        connection.close()


@contextmanager
def _duckdb() -> Generator[Query]:
    import duckdb

    from signalroom_dagster.warehouse.duckdb import unopened

    path = duckdb_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(path))
    except duckdb.Error as error:
        raise unopened(path, error) from None

    def query(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        return connection.execute(sql.replace("%s", "?"), parameters or None).fetchall()

    try:
        yield query
    finally:
        connection.close()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def told(error: BaseException, subject: str) -> BaseException:
    """What a load ended with, in our words where a driver raised it, or the scratch folder's disk.

    Its own jobs tell theirs themselves: this is for what dlt asks the warehouse.
    """
    if not isinstance(error, OSError):
        return _explain(error, subject) if isinstance(error, Exception) else error
    folder = f"{subject}: {work_dir()} (SIGNALROOM_WORK_DIR) cannot be written ({error.strerror})"
    if error.errno in DISK_FULL:
        return LoadError(f"{folder}: free space there")
    if error.errno in NOT_WRITABLE and str(error.filename).startswith(str(work_dir())):
        return ConfigurationError(f"{folder}: let this user write there, or name another folder")
    return error


def _explain(error: Exception, subject: str) -> Exception:
    if destination_name() == "duckdb":
        from signalroom_dagster.warehouse.duckdb import explain
    else:
        from signalroom_dagster.warehouse.postgres import explain
    return explain(error, subject)
