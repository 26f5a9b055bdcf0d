"""The DuckDB engine (see `engine`): one file, one writer at a time, no roles."""

import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb as engine

from signalroom_dagster.config import shown
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.retries import causes
from signalroom_dagster.warehouse.engine import Query, Result
from signalroom_dagster.warehouse.errors import DISK_FULL, LoadError, WarehouseBusyError
from signalroom_dagster.warehouse.locks import writer_lock
from signalroom_dagster.warehouse.places import duckdb_path

HAS_ROLES: bool = False
HAS_INDEXES: bool = False
CLOCK: str = "now()"
COLUMNS: str = (
    "SELECT table_name, column_name, comment, false FROM duckdb_columns() "
    "WHERE schema_name = %s AND list_contains(%s, table_name) AND NOT internal"
)
COMMENT: str = "SELECT comment FROM duckdb_tables() WHERE schema_name || '.' || table_name = %s"
COPY_OF_CLIENT: str = "text"
"""A generated column cannot be added to a table that is there: each writer fills this one."""
RUNNING_NUMBER: str = "integer DEFAULT nextval('{sequence}')"
_SQL_STATES: dict[type[Exception], str] = {
    engine.BinderException: "42703",
    engine.CatalogException: "42P01",
    engine.ConversionException: "22P02",
    engine.ConstraintException: (
        "23502"
    ),  # of a source's tables NOT NULL alone: no index of theirs is unique here
}
"""DuckDB has no codes of its own: what Postgres calls the same."""


def exclusive(wait_seconds: float) -> AbstractContextManager[None]:
    """The lock file."""
    return writer_lock(duckdb_path(), wait_seconds)


def kept_open() -> AbstractContextManager[object]:
    """One more connection: else each load job's end would close the file, and checkpoint it."""
    return connected()


@contextmanager
def connected() -> Generator[Query]:
    """The caller holds `exclusive()`."""
    path = duckdb_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = engine.connect(str(path))
    except engine.Error as error:
        raise unopened(path, error) from None

    def query(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        return connection.execute(sql.replace("%s", "?"), parameters or None).fetchall()

    try:
        yield query
    finally:
        connection.close()


def check_reachable() -> None:
    """Nothing to do: a file is there or is made."""


def begin(subject: str, *, one_state: bool) -> str:
    """Every transaction sees one state here."""
    return "BEGIN"


def lock(query: Query, name: str) -> None:
    """Nothing to do: `exclusive` keeps everybody else out."""


@contextmanager
def held(name: str) -> Generator[Callable[[], object]]:
    """Nothing to do, as for `lock`."""
    yield lambda: None


def limit_ddl(query: Query) -> None:
    """Nothing to do, as for `lock`."""


def until_free(change: Callable[[], Result], schema: str, query: Query) -> Result:
    """Once is enough, as for `lock`."""
    return change()


def secure(query: Query, table: str) -> None:
    """Nothing to do: whoever can read the file can read all of it."""


def is_secured(query: Query, table: str) -> bool:
    """Always, as for `secure`."""
    return True


def create_sequence(query: Query, name: str) -> None:
    """What a running number is taken from."""
    query(f"CREATE SEQUENCE IF NOT EXISTS {name}")


def now(query: Query) -> datetime:
    """This machine's own clock."""
    return datetime.now(UTC)


def json_rows(types: Mapping[str, str]) -> str:
    """See `Engine`."""
    return f"(SELECT unnest(from_json(%s, '{json.dumps([types])}'), max_depth := 2))"


def explain(error: Exception, what: str) -> Exception:
    """DuckDB's errors quote the offending line: keep the class, and whether the disk is full."""
    cause = next((cause for cause in causes(error) if isinstance(cause, engine.Error)), None)
    if cause is None:
        return error
    if full := [words for words in map(os.strerror, DISK_FULL) if words in str(cause)]:
        return LoadError(
            f"{what}: DuckDB cannot write {duckdb_path()} ({full[0]}): free space there"
        )
    return LoadError(
        f"{what}: DuckDB refused it: {type(cause).__name__}", _SQL_STATES.get(type(cause), "")
    )


def unopened(path: Path, error: Exception) -> Exception:
    """Why a DuckDB file did not open: not a database, not for this user, or open elsewhere."""
    where, words = shown(path), str(error)
    another = "name another file with DESTINATION__DUCKDB__CREDENTIALS"
    if path.is_dir():
        return ConfigurationError(
            f"{where} is a folder, not a DuckDB file: {another}, such as one in it"
        )
    if not path.is_file() and path.exists():
        return ConfigurationError(f"{where} is no regular file: {another}")
    if not os.access(path, os.R_OK | os.W_OK):
        return ConfigurationError(
            f"{where} may not be read and written by this user: let it, or {another}"
        )
    if "not a valid DuckDB" in words:
        kind = "is an empty file" if not path.stat().st_size else "is another kind of file"
        return ConfigurationError(f"{where} {kind}, no DuckDB database: move it away, or {another}")
    if "version number" in words:
        return ConfigurationError(
            f"{where} was written by another version of DuckDB: open it with that, or {another}"
        )
    if "Could not set lock" in words:
        return WarehouseBusyError(
            f"{where} cannot be opened: another program has it open (a DuckDB shell, a notebook);"
            " close it there"
        )
    if any(full in words for full in map(os.strerror, DISK_FULL)):
        return explain(error, "opening the warehouse")
    what = (
        "is damaged"
        if "orrupt" in words or "checksum" in words
        else f"cannot be opened ({type(error).__name__})"
    )
    return ConfigurationError(
        f"{where} {what}: restore it from a backup, or {another} and load anew"
    )
