"""Incidents: what is broken now, since when, how often it was seen, and how much of that has been
told.

Kept in a SQLite file of its own (`<DAGSTER_HOME>/incidents.sqlite`): not in the warehouse, which
may be what is down, and not in the event log, which a plain command-line run does not share. Every
process of the machine writes it; each change is one transaction, so of many that see the same
failure exactly one opens the incident. A damaged file is set aside, and begun anew.
"""

import functools
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.warehouse.migrations import migrate, tables_in

log = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Kind = Literal[
    "source",
    "table",
    "report",
    "check",
    "step",
    "tick",
    "stale",
    "files",
    "warehouse",
    "consumer",
    "definition",
]

FIRST_SUMMARY_SECONDS = 30 * 60.0
LONGEST_SUMMARY_SECONDS = 24 * 3_600.0
CLAIM_SECONDS = 120.0
KEPT_SECONDS = 90 * 24 * 3_600.0
MOST_TOUCHED = 50
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
_COLUMNS = (
    "id, kind, subject, client, error, said, attempts, run, touched, failures, opened_at, last_at,"
    " closed_at, told, in_doubt, concerns"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure. `run` is the Dagster run, or whatever else it is counted by; `said` is safe to
    be shown to anybody.

    `client` is empty for what is not one client's; `touches` says whom it hits then, as (client,
    subject).
    """

    kind: Kind
    subject: str
    client: str
    error: str
    run: str
    said: str = ""
    attempts: int = 0
    touches: tuple[str, str] | None = None
    concerns: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Failures of one kind, from the first to the recovery; times are epoch seconds, the details
    are the latest's.

    `told` is the number of failures that messages have covered, `in_doubt` whether the next one may
    be out already.
    """

    id: int
    kind: Kind
    subject: str
    client: str
    error: str
    said: str
    attempts: int
    run: str
    touched: tuple[tuple[str, str], ...]
    failures: int
    opened_at: float
    last_at: float
    closed_at: float | None
    told: int
    in_doubt: bool
    concerns: str = ""


class NotBookedError(SignalRoomError):
    """The file of incidents cannot be used now: its disk is full or not writable, or others hold it
    for too long.
    """


def _on_a_sound_file(
    method: "Callable[Concatenate[Incidents, Parameters], Result]",
) -> "Callable[Concatenate[Incidents, Parameters], Result]":
    """Set a damaged file aside and begin anew. Raises NotBookedError where there can be none."""

    @functools.wraps(method)
    def whole(
        self: "Incidents", /, *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        try:
            try:
                return method(self, *arguments, **named)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                    raise
                self.set_aside()
                return method(self, *arguments, **named)
        except (sqlite3.Error, OSError) as error:
            raise NotBookedError(
                f"the file of incidents cannot be used ({type(error).__name__}: {error})"
            ) from None

    return whole


class Incidents:
    """The file of incidents. Whatever uses it raises NotBookedError when that cannot be."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    @_on_a_sound_file
    def note(self, failure: Failure) -> bool:
        """Count a failure, opening an incident when it is the first of its kind; False when the run
        was counted.
        """
        now = self._clock()
        key = (failure.kind, failure.subject, failure.client)
        with self._changing() as change:
            change("DELETE FROM noted WHERE at < ?", now - KEPT_SECONDS)
            change("DELETE FROM incidents WHERE closed_at < ?", now - KEPT_SECONDS)
            if not change(
                "INSERT OR IGNORE INTO noted VALUES (?, ?, ?, ?, ?)", failure.run, *key, now
            ).rowcount:
                return False
            sql = (
                "SELECT id, touched FROM incidents WHERE (kind, subject, client, error) = (?, ?,"
                " ?, ?)"
            )
            found = change(sql + " AND closed_at IS NULL", *key, failure.error).fetchone()
            touched = _touched(json.loads(found[1] or "[]") if found else [], failure)
            details = (failure.said, failure.attempts, failure.run, touched, now)
            if found:
                change(
                    "UPDATE incidents SET failures = failures + 1, said = ?, attempts = ?, run = ?,"
                    " touched = ?, last_at = ? WHERE id = ?",
                    *details,
                    found[0],
                )
            else:
                change(
                    "INSERT INTO incidents (kind, subject, client, error, said, attempts, run,"
                    " touched, last_at, opened_at, tell_at, concerns, failures, pause)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)",
                    *key,
                    failure.error,
                    *details,
                    now,
                    now,
                    failure.concerns,
                    FIRST_SUMMARY_SECONDS,
                )
        return True

    @_on_a_sound_file
    def recovered(self, kind: Kind, subject: str, client: str, *, announce: bool = True) -> int:
        """Close what is open of this; the number of incidents. Costs one look when nothing is
        open.
        """
        if not any(
            (each.kind, each.subject, each.client) == (kind, subject, client)
            for each in self.open()
        ):
            return 0
        with self._changing() as change:
            return change(
                "UPDATE incidents SET closed_at = ?, tell_at = ? "
                "WHERE (kind, subject, client) = (?, ?, ?) AND closed_at IS NULL",
                self._clock(),
                self._clock() if announce else None,
                kind,
                subject,
                client,
            ).rowcount

    @_on_a_sound_file
    def open(self) -> list[Incident]:
        """What is broken now, the oldest first."""
        if not self._path.exists():
            return []
        with self._changing() as change:
            rows = change(
                f"SELECT {_COLUMNS} FROM incidents WHERE closed_at IS NULL ORDER BY opened_at"
            )
            return [_incident(row) for row in rows]

    @_on_a_sound_file
    def claim(self) -> Incident | None:
        """An incident that something is to be told of, kept from other processes until it is
        settled or released.

        It stays in doubt until then: whoever claims it after a crash has to look whether the
        message is out.
        """
        if not self._path.exists():
            return None
        now = self._clock()
        with self._changing() as change:
            row = change(
                f"SELECT {_COLUMNS} FROM incidents WHERE tell_at <= ? AND claimed_until <= ? "
                "AND (failures > told OR closed_at IS NOT NULL) ORDER BY tell_at LIMIT 1",
                now,
                now,
            ).fetchone()
            if row:
                change(
                    "UPDATE incidents SET claimed_until = ?, in_doubt = 1 WHERE id = ?",
                    now + CLAIM_SECONDS,
                    row[0],
                )
        return _incident(row) if row else None

    @_on_a_sound_file
    def settle(self, incident: Incident) -> None:
        """It is told as it was claimed; repeats are summed up after a pause that doubles each
        time.
        """
        now = self._clock()
        with self._changing() as change:
            change(
                "UPDATE incidents SET told = ?, in_doubt = 0, claimed_until = 0, pause = min(pause"
                " * 2, ?), tell_at = CASE WHEN ? THEN NULL WHEN closed_at IS NOT NULL THEN ? ELSE ?"
                " + pause END WHERE id = ?",
                incident.failures,
                LONGEST_SUMMARY_SECONDS,
                incident.closed_at is not None,
                now,
                now,
                incident.id,
            )

    @_on_a_sound_file
    def release(self, incident: Incident, seconds: float, *, in_doubt: bool = False) -> None:
        """It is not told, and to be tried again after so many seconds."""
        with self._changing() as change:
            change(
                "UPDATE incidents SET claimed_until = ?, in_doubt = ? WHERE id = ?",
                self._clock() + seconds,
                in_doubt,
                incident.id,
            )

    def set_aside(self) -> None:
        """Keep what is left of a damaged file beside a new one, unless somebody has; what was open
        is told again.
        """
        if self._is_sound():
            return
        aside = self._path.with_name(f"{self._path.name}.damaged-{self._clock():.0f}")
        log.error("%s is damaged: set aside as %s, and begun anew", self._path.name, aside.name)
        for ending in ("-journal", "-wal", "-shm"):  # they belong to the damaged one
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self._path.replace(aside)

    def _is_sound(self) -> bool:
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            try:
                return connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            except sqlite3.DatabaseError:
                return False

    @contextmanager
    def _changing(self) -> Generator[Callable[..., sqlite3.Cursor]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            migrate(lambda sql: connection.execute(sql).fetchall(), "sqlite", TABLES)
            yield partial(_execute, connection)
            connection.execute("COMMIT")
        finally:
            connection.close()


def _execute(connection: sqlite3.Connection, sql: str, *values: Any) -> sqlite3.Cursor:
    return connection.execute(sql, values)


def _touched(known: Iterable[Any], failure: Failure) -> str:
    """Whom an incident hits, the new one included; cut at a number that a message can name."""
    found = [tuple(pair) for pair in known]
    new = failure.touches or ((failure.client, failure.subject) if failure.client else None)
    found += [new] if new and new not in found else []
    return json.dumps(found[:MOST_TOUCHED])


def _incident(row: tuple[Any, ...]) -> Incident:
    found: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    found["touched"] = tuple(
        (client, subject) for client, subject in json.loads(found["touched"] or "[]")
    )
    found["in_doubt"] = bool(found["in_doubt"])
    return Incident(**found)
