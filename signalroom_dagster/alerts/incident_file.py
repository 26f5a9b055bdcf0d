"""The SQLite file of incidents: each change is one transaction; a damaged file is set aside, and
begun anew.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.warehouse.migrations import migrate, tables_in

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Sql: TypeAlias = Callable[[str, Mapping[str, Any]], sqlite3.Cursor]
"""Runs one statement with :named parameters; rows are read by name."""

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
TABLES = tables_in("""
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    error TEXT NOT NULL,
    said TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run TEXT NOT NULL,
    touched TEXT NOT NULL,
    failures INTEGER NOT NULL,
    opened_at REAL NOT NULL,
    last_at REAL NOT NULL,
    closed_at REAL,
    told INTEGER NOT NULL DEFAULT 0,
    tell_at REAL,
    pause REAL NOT NULL,
    claimed_until REAL NOT NULL DEFAULT 0,
    in_doubt INTEGER NOT NULL DEFAULT 0,
    concerns TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON incidents (kind, subject, client, error) WHERE
closed_at IS NULL;
CREATE TABLE IF NOT EXISTS noted (
    run TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (run, kind, subject, client)
) WITHOUT ROWID;
""")


class NotBookedError(SignalRoomError):
    """The file of incidents cannot be used now: its disk is full or not writable, or others hold it
    for too long.
    """


class IncidentFile:
    """One file, which every process of the machine writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def change(self, work: Callable[[Sql], Result]) -> Result:
        """Do something in one transaction, on a new file when this one is damaged.

        Raises NotBookedError where there can be none.
        """
        try:
            try:
                return self._changed(work)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                    raise
                self._set_aside()
                return self._changed(work)
        except (sqlite3.Error, OSError) as error:
            raise NotBookedError(
                f"the file of incidents cannot be used ({type(error).__name__}: {error})"
            ) from None

    def _changed(self, work: Callable[[Sql], Result]) -> Result:
        with self._transaction() as connection:
            return work(connection.execute)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            migrate(lambda sql: connection.execute(sql).fetchall(), "sqlite", TABLES)
            connection.row_factory = sqlite3.Row
            yield connection
            connection.execute("COMMIT")

    def _set_aside(self) -> None:
        """Keep what is left of a damaged file beside a new one, unless somebody has; what was open
        is told again.
        """
        if self._is_sound():
            return
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time():.0f}")
        log.error("%s is damaged: set aside as %s, and begun anew", self.path.name, aside.name)
        for ending in ("-journal", "-wal", "-shm"):  # they belong to the damaged one
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        self.path.replace(aside)

    def _is_sound(self) -> bool:
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            try:
                return connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            except sqlite3.DatabaseError:
                return False
