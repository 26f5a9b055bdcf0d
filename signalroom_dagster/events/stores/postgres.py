"""The store for production: schema `events` in a Postgres, for any number of gateways and
consumers.

Each call is one transaction without session state, so that a transaction pooler may stand in
between. Rows that two gateways write at once are written in the order of their keys: inbox first,
then jobs.

https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT
"""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg2
from psycopg2.extras import execute_batch
from typing_extensions import override

from signalroom_dagster.events.stores import jobs, letters
from signalroom_dagster.events.stores.batches import Batch
from signalroom_dagster.events.stores.claims import Asked, due_jobs, settle
from signalroom_dagster.events.stores.jobs import EventKey, Standing
from signalroom_dagster.events.stores.sessions import Session, pieces, values_of
from signalroom_dagster.events.stores.sql import SqlStore, declared
from signalroom_dagster.events.stores.store import Outcome, Received, Retention, StoreError
from signalroom_dagster.warehouse.migrations import is_current, migrate
from signalroom_dagster.warehouse.row_security import secure

CONNECT_SECONDS = 5
SILENT_SECONDS = 15
"""After so long without an answer to what was sent, the server counts as gone."""
IDLE_SECONDS = 60
"""After so long without a word in the middle of a transaction a process counts as gone (paused, or
its machine lost), and the server frees what it holds. Said within each transaction, where a pooler
does not matter.
"""
LOCK_SECONDS = 1.0
"""So long a transaction waits for a lock that somebody else holds, and is then given up: its sender
comes again.
"""
DDL_LOCK_SECONDS = 0.2
"""And so long what creates a table or an index: while it waits, every event waits behind it."""
LOCKED = "55P03"

_STORES = files("signalroom_dagster.events.stores")
_APPEND = _STORES.joinpath("postgres_append.sql").read_text("utf-8")
_STANDS = """
SELECT tenant_id, job_id, analysis_type, payload_hash FROM events.inbox
WHERE (tenant_id, job_id, analysis_type) IN ({keys})
"""
_ARRIVED = "SELECT tenant_id, job_id, arrived FROM events.job WHERE (tenant_id, job_id) IN ({keys})"


_LIMITS = """
SELECT
    set_config('lock_timeout', %s, true),
    set_config('idle_in_transaction_session_timeout', %s, true)
"""
_SCHEMA = "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'events'"
_UNSECURED = f"""
SELECT relname FROM pg_catalog.pg_class
WHERE relnamespace = ({_SCHEMA})
    AND relkind = 'r' AND NOT relrowsecurity AND pg_has_role(relowner, 'USAGE')
"""
"""Tables that are to be closed to all but their owner: they hold what senders sent."""


class PostgresSession:
    """See Session."""

    locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See Session."""
        self.cursor.execute(_marked(statement), values)
        return self.cursor.fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """See Session."""
        self.cursor.execute(_marked(statement), values)
        return self.cursor.rowcount

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """See Session."""
        self.cursor.execute(statement)
        return self.cursor.fetchall() if self.cursor.description else []

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """See Session."""
        execute_batch(self.cursor, _marked(statement), rows, page_size=500)

    def now(self) -> datetime:
        """See Session."""
        return self.time(self.rows("SELECT clock_timestamp()")[0][0])

    def time(self, stored: Any) -> datetime:
        """See Session."""
        return stored.astimezone(UTC)

    def names(self, stored: Any) -> frozenset[str]:
        """See Session."""
        return frozenset(stored)


class PostgresStore(SqlStore):
    """See Store."""

    def __init__(self, url: str, retention: Retention | None = None) -> None:
        self.database: str | None = url
        self.retention = retention or Retention()
        self._url = url
        self._idle: deque[psycopg2.extensions.connection] = deque()

    def create(self) -> None:
        """See Store. Looks first, so that nothing waits behind whoever reads."""
        with self.transaction(reads_only=True) as session:
            if is_current(session.query, "postgres", declared("postgres")) and not session.query(
                _UNSECURED
            ):
                return
        with self.transaction(lock_seconds=DDL_LOCK_SECONDS) as session:
            session.query("SELECT pg_advisory_xact_lock(hashtextextended('ddl|events', 0))")
            if is_new := not session.query(_SCHEMA):
                session.query("CREATE SCHEMA events")
            migrate(session.query, "postgres", declared("postgres"))
            if is_new:
                # JSON of some hundred bytes, written once and read once: compressing it costs more
                # than it saves
                session.query("ALTER TABLE events.inbox ALTER COLUMN payload SET STORAGE EXTERNAL")
            for (table,) in session.query(_UNSECURED):
                session.query(secure(f"events.{table}"))

    @override
    @contextmanager
    def transaction(
        self, *, reads_only: bool = False, lock_seconds: float = LOCK_SECONDS
    ) -> Generator[PostgresSession]:
        """See Transactions."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(_LIMITS, (str(int(lock_seconds * 1000)), str(int(IDLE_SECONDS * 1000))))
            yield PostgresSession(cursor)

    @override
    def put(self, session: Session, events: Sequence[Received]) -> Sequence[Outcome]:
        """See SqlStore."""
        first: dict[EventKey, Received] = {}
        for event in events:
            first.setdefault(jobs.event_key(event), event)
        hashes = {key: jobs.payload_hash(event.payload) for key, event in first.items()}
        standing = {
            (tenant, job, name): Standing(True, hashes[tenant, job, name], late)
            for tenant, job, name, late in session.rows(_APPEND, *_columns(first, hashes))
        }
        standing |= _standing(session, [key for key in first if key not in standing])
        outcomes, buried = jobs.judge(events, standing)
        letters.bury(session, buried)
        return outcomes

    @override
    @contextmanager
    def hold(self, asked: Asked) -> Generator[Batch]:
        """See SqlStore. The rows are locked, and free when the connection is gone."""
        with self.transaction() as session:
            batch = Batch(due_jobs(session, asked), session.cursor)
            yield batch
            batch.settle([job.key for job in batch.jobs])
            settle(session, batch, asked.now)

    def close(self) -> None:
        """See Store."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Generator["psycopg2.extensions.connection"]:
        """An idle connection or a new one, in a transaction. When one is lost, so are those that
        were idle.
        """
        try:
            connection = self._take()
            try:
                with connection:
                    yield connection
            finally:
                self._give_back(connection)
        except psycopg2.Error as error:
            raise _explained(error) from None

    def _take(self) -> "psycopg2.extensions.connection":
        try:
            return self._idle.pop()
        except IndexError:
            return psycopg2.connect(
                self._url,
                connect_timeout=CONNECT_SECONDS,
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                tcp_user_timeout=SILENT_SECONDS * 1000,
            )

    def _give_back(self, connection: "psycopg2.extensions.connection") -> None:
        if connection.closed:
            self.close()
        elif connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def _columns(first: dict[EventKey, Received], hashes: dict[EventKey, bytes]) -> list[list[Any]]:
    """The batch by columns, then its tenants' contracts by columns."""
    ordered = sorted(first.items())
    rows = [
        (
            *key,
            event.message_id,
            psycopg2.Binary(event.payload),
            psycopg2.Binary(hashes[key]),
            event.received_at,
        )
        for key, event in ordered
    ]
    contracts = {event.contract.tenant_id: event.contract for _, event in ordered}
    terms = [
        (
            tenant,
            ",".join(sorted(contract.required)),
            contract.version,
            contract.deadline.total_seconds(),
        )
        for tenant, contract in contracts.items()
    ]
    return [list(column) for table in (rows, terms) for column in zip(*table, strict=True)]


def _standing(session: Session, keys: Sequence[EventKey]) -> dict[EventKey, Standing]:
    """What stands under keys that were not new. A statement of its own: it sees what others
    committed meanwhile.
    """
    standing: dict[EventKey, Standing] = {}
    for piece in pieces(keys):
        marks, values = values_of(piece)
        for *key, payload_hash in session.rows(_STANDS.format(keys=marks), *values):
            standing[key[0], key[1], key[2]] = Standing(False, bytes(payload_hash))
    for piece in pieces([key for key in keys if key not in standing]):
        marks, values = values_of([key[:2] for key in piece])
        arrived = {
            (tenant, job): names
            for tenant, job, names in session.rows(_ARRIVED.format(keys=marks), *values)
        }
        for tenant, job, name in piece:
            standing[tenant, job, name] = Standing(
                False, None, too_late=name not in arrived.get((tenant, job), ())
            )
    return standing


def _explained(error: psycopg2.Error) -> StoreError:
    """What happened, without the values that Postgres quotes, and without the URL."""
    told = str(error).splitlines()[0] if error.pgcode is None and str(error) else ""
    refused = "password authentication failed" in told or "does not exist" in told
    locked = "somebody else has locked its tables" if error.pgcode == LOCKED else error.pgcode
    why = "refused the login" if refused else locked or "not reachable"
    return StoreError(f"the events' store in Postgres: {why} ({type(error).__name__})")


@cache
def _marked(statement: str) -> str:
    return statement.replace("?", "%s")
