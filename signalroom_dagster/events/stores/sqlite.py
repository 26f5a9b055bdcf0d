"""The embedded store: one SQLite file on this machine, for one gateway and one consumer.

WAL with synchronous=FULL: a commit is on the disk when it returns, and readers never wait for the
writer.

https://www.sqlite.org/wal.html
"""

import sqlite3
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import override

from signalroom_dagster.events.stores import jobs, letters
from signalroom_dagster.events.stores.batches import Batch
from signalroom_dagster.events.stores.claims import Asked, due_jobs, settle, unchanged
from signalroom_dagster.events.stores.jobs import EventKey, Job, Standing
from signalroom_dagster.events.stores.sessions import Session
from signalroom_dagster.events.stores.sql import SqlStore, declared
from signalroom_dagster.events.stores.store import Outcome, Received, Retention, StoreError
from signalroom_dagster.warehouse.migrations import is_current, migrate

LOCK_SECONDS = 1.0
"""So long a transaction waits for the one that writes, and is then given up: its sender comes
again.
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_STANDS = "SELECT payload_hash FROM inbox WHERE tenant_id = ? AND job_id = ? AND analysis_type = ?"
_PUT = """
INSERT INTO inbox (tenant_id, job_id, analysis_type, message_id, payload, payload_hash, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_JOB = f"SELECT {', '.join(Job.__struct_fields__)} FROM job WHERE tenant_id = ? AND job_id = ?"
_PUT_JOB = f"""
INSERT INTO job ({", ".join(Job.__struct_fields__)})
VALUES ({", ".join("?" * len(Job.__struct_fields__))})
ON CONFLICT (tenant_id, job_id) DO UPDATE SET arrived = excluded.arrived, status = excluded.status,
late = excluded.late, last_at = excluded.last_at, due_at = excluded.due_at
"""


class SqliteSession:
    """See Session."""

    locked = ""  # the whole file is: only one transaction writes

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.cursor = connection.cursor()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See Session."""
        return self.cursor.execute(_plain(statement), _stored(values)).fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """See Session."""
        return self.cursor.execute(_plain(statement), _stored(values)).rowcount

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """See Session."""
        return self.cursor.execute(statement).fetchall()

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """See Session."""
        self.cursor.executemany(_plain(statement), [_stored(row) for row in rows])

    def now(self) -> datetime:
        """See Session."""
        return datetime.now(UTC)

    def time(self, stored: Any) -> datetime:
        """See Session."""
        return _EPOCH + stored * _MICROSECOND

    def names(self, stored: Any) -> frozenset[str]:
        """See Session."""
        return frozenset(msgspec.json.decode(stored, type=list[str]))


class SqliteStore(SqlStore):
    """See Store."""

    database: str | None = None

    def __init__(self, path: Path, retention: Retention | None = None) -> None:
        self.path = path
        self.retention = retention or Retention()
        self._idle: deque[sqlite3.Connection] = deque()

    def create(self) -> None:
        """See Store. Looks first: whoever only opens the file waits for nobody who writes."""
        with self.transaction(reads_only=True) as session:
            if is_current(session.query, "sqlite", declared("sqlite")):
                return
        with self.transaction() as session:
            migrate(session.query, "sqlite", declared("sqlite"))

    @override
    @contextmanager
    def transaction(self, *, reads_only: bool = False) -> Generator[SqliteSession]:
        """See Transactions."""
        with _explained(self.path), self._connection() as connection:
            connection.execute("BEGIN" if reads_only else "BEGIN IMMEDIATE")
            try:
                yield SqliteSession(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @override
    def put(self, session: Session, events: Sequence[Received]) -> Sequence[Outcome]:
        """See SqlStore."""
        standing: dict[EventKey, Standing] = {}
        touched: dict[tuple[str, str], Job] = {}
        new: list[Received] = []
        for event in events:
            if (key := jobs.event_key(event)) not in standing:
                standing[key] = _standing(session, touched, key, event)
                new += [event] if standing[key].new else []
        session.many(_PUT, [_row(event) for event in new])
        session.many(_PUT_JOB, [_job_row(job) for job in touched.values()])
        outcomes, found = jobs.judge(events, standing)
        letters.bury(session, found)
        return outcomes

    @override
    @contextmanager
    def hold(self, asked: Asked) -> Generator[Batch]:
        """See SqlStore. Nothing is held: while one analyses, all others write."""
        with self.transaction(reads_only=True) as session:
            batch = Batch(due_jobs(session, asked))
        yield batch
        if batch.finished or batch.reasons:
            with self.transaction() as session:
                batch.settle(unchanged(session, batch.jobs, asked))
                settle(session, batch, asked.now)

    def close(self) -> None:
        """See Store."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        """An idle connection or a new one; one that failed is not used again."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self.path)
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._idle.append(connection)
            raise
        self._idle.append(connection)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the events' store {path}: {error}") from None


def _standing(
    session: Session, touched: dict[tuple[str, str], Job], key: EventKey, event: Received
) -> Standing:
    """What stands under an event's key, its own if it is new; a job that it changes is in `touched`
    afterwards.
    """
    if found := session.rows(_STANDS, *key):
        return Standing(False, found[0][0])
    job = touched.get(key[:2]) or _job(session, key)
    if job and job.pruned_at:
        return Standing(False, None, too_late=event.analysis_type not in job.arrived)
    job = touched[key[:2]] = job or jobs.opened(event)
    jobs.arrive(job, event)
    return Standing(True, jobs.payload_hash(event.payload), job.late)


def _job(session: Session, key: EventKey) -> Job | None:
    for (
        tenant,
        job,
        required,
        arrived,
        version,
        status,
        late,
        attempts,
        error,
        *times,
    ) in session.rows(_JOB, *key[:2]):
        always, later = times[:4], times[4:]
        return Job(
            tenant,
            job,
            session.names(required),
            session.names(arrived),
            version,
            status,
            bool(late),
            attempts,
            error,
            *map(session.time, always),
            *(None if at is None else session.time(at) for at in later),
        )
    return None


def _row(event: Received) -> Sequence[Any]:
    payload_hash = jobs.payload_hash(event.payload)
    return (
        *jobs.event_key(event),
        event.message_id,
        event.payload,
        payload_hash,
        event.received_at,
    )


def _job_row(job: Job) -> Sequence[Any]:
    return msgspec.structs.astuple(job)


@cache
def _plain(statement: str) -> str:
    return statement.replace("events.", "")


def _stored(values: Sequence[Any]) -> list[Any]:
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, frozenset):
        return msgspec.json.encode(sorted(value)).decode()
    return value
