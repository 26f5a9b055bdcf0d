"""What the SQLite and Postgres stores do alike: all but the connection, the tables and the
append.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from uuid import uuid4

from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores import leases, replays, retention
from signalroom_dagster.events.stores.batches import Batch
from signalroom_dagster.events.stores.claims import Asked, count_attempt
from signalroom_dagster.events.stores.jobs import letter
from signalroom_dagster.events.stores.letters import bury, open_letters, replayed
from signalroom_dagster.events.stores.sessions import Session
from signalroom_dagster.events.stores.store import (
    DONE_WITHIN,
    DeadLetter,
    Incomplete,
    Kept,
    Lease,
    Outcome,
    Received,
    Retention,
    TenantStats,
)
from signalroom_dagster.warehouse.migrations import Engine, OwnTable, tables_in

EXPIRED_AT_ONCE = 500
_IS_DUE = """
SELECT 1 FROM events.job
WHERE status = 'ready' AND due_at <= ? AND (? IS NULL OR tenant_id = ?)
LIMIT 1
"""
_EXPIRE = """
UPDATE events.job SET status = 'expired'
WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM events.job
    WHERE status = 'open' AND deadline_at <= ?
    LIMIT ? {locked}
)
RETURNING tenant_id, job_id, required, arrived, first_at, deadline_at
"""
_INCOMPLETE = """
SELECT tenant_id, job_id, required, arrived, first_at, deadline_at FROM events.job
WHERE status = 'expired' AND (? IS NULL OR tenant_id = ?)
ORDER BY deadline_at DESC LIMIT ?
"""
_IN_STATUS = """
SELECT tenant_id, '{status}', count(*) FROM events.job
WHERE status = '{status}'
GROUP BY tenant_id
UNION ALL
"""  # one statement for each: each has an index of its own
_COUNTS = f"""
{"".join(_IN_STATUS.format(status=status) for status in ("open", "ready", "failed", "expired"))}
SELECT tenant_id, 'done', count(*) FROM events.job
WHERE status = 'done' AND last_at > ?
GROUP BY tenant_id
UNION ALL
SELECT tenant_id, 'dead_letters', count(*) FROM events.dead_letter
WHERE replayed_at IS NULL
GROUP BY tenant_id
UNION ALL
SELECT tenant_id, 'unpublished', count(*) FROM events.result
WHERE published_at IS NULL
GROUP BY tenant_id
"""
_OLDEST = "SELECT tenant_id, min(due_at) FROM events.job WHERE status = 'ready' GROUP BY tenant_id"
_UNPUBLISHED = """
SELECT tenant_id, job_id, body, version FROM events.result
WHERE published_at IS NULL
ORDER BY kept_at LIMIT ?
"""
_PUBLISHED = (
    "UPDATE events.result SET published_at = ? WHERE tenant_id = ? AND job_id = ? AND version = ?"
)


@cache
def declared(engine: Engine) -> Sequence[OwnTable]:
    """The tables of a store. A column that is added to them may be empty or has a default."""
    return tables_in(
        files("signalroom_dagster.events.stores").joinpath(f"{engine}.sql").read_text("utf-8")
    )


class SqlStore(ABC):
    """See Store."""

    retention: Retention

    @abstractmethod
    def transaction(self, *, reads_only: bool = False) -> AbstractContextManager[Session]:
        """See Transactions."""

    @abstractmethod
    def put(self, session: Session, events: Sequence[Received]) -> Sequence[Outcome]:
        """See Store.append, within a transaction."""

    def append(self, events: Sequence[Received]) -> Sequence[Outcome]:
        """See Store."""
        if not events:
            return []
        with self.transaction() as session:
            return self.put(session, events)

    def ping(self) -> None:
        """See Store. Writes an event and a letter of nobody's, and undoes it."""
        nobody = uuid4().hex  # one name for all would have one gateway wait for another
        event = Received(
            nobody,
            nobody,
            nobody,
            b"",
            "",
            datetime.now(UTC),
            Contract(nobody, frozenset(), timedelta()),
        )
        with self.transaction() as session:
            session.run("SAVEPOINT ping")
            self.put(session, [event])
            bury(session, [letter("ingest", nobody, b"", event.received_at)])
            session.run("ROLLBACK TO SAVEPOINT ping")

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """See Store."""
        if letters:
            with self.transaction() as session:
                bury(session, letters)

    @abstractmethod
    def hold(self, asked: Asked) -> AbstractContextManager[Batch]:
        """The jobs of a claim for the length of the block, and what became of them afterwards."""

    @contextmanager
    def claim(
        self,
        limit: int,
        now: datetime | None = None,
        *,
        counted: bool = False,
        tenant_id: str | None = None,
    ) -> Generator[Batch]:
        """See Store."""
        with self.transaction(reads_only=not counted) as session:
            asked = Asked(limit, now or session.now(), tenant_id, counted)
            is_due = bool(session.rows(_IS_DUE, asked.now, tenant_id, tenant_id))
            if is_due and counted:
                count_attempt(session, asked)
        if not is_due:
            yield Batch(())
            return
        with self.hold(asked) as batch:
            yield batch

    def expire(self, now: datetime) -> Sequence[Incomplete]:
        """See Store."""
        found: list[Incomplete] = []
        while True:
            with self.transaction() as session:
                rows = session.rows(_EXPIRE.format(locked=session.locked), now, EXPIRED_AT_ONCE)
                found += [_incomplete(session, *row) for row in rows]
            if len(rows) < EXPIRED_AT_ONCE:
                return found

    def incomplete(self, tenant_id: str | None = None, limit: int = 100) -> Sequence[Incomplete]:
        """See Store."""
        with self.transaction(reads_only=True) as session:
            return [
                _incomplete(session, *row)
                for row in session.rows(_INCOMPLETE, tenant_id, tenant_id, limit)
            ]

    def stats(self) -> Mapping[str, TenantStats]:
        """See Store."""
        counts: dict[str, dict[str, int]] = {}
        with self.transaction(reads_only=True) as session:
            now = session.now()
            for tenant, what, count in session.rows(_COUNTS, now - DONE_WITHIN):
                counts.setdefault(tenant, {})[what] = count
            lags = {
                tenant: (now - session.time(oldest)).total_seconds()
                for tenant, oldest in session.rows(_OLDEST)
            }
        return {
            tenant: TenantStats(**found, lag_seconds=max(0.0, lags.get(tenant, 0.0)))
            for tenant, found in sorted(counts.items())
        }

    def replay(
        self,
        tenant_id: str,
        job_ids: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        dead_letters: bool = False,
    ) -> int:
        """See Store."""
        replays.check_since(tenant_id, since, self.retention)
        with self.transaction() as session:
            return replays.make_ready(session, tenant_id, job_ids, (since, until), dead_letters)

    def letters(
        self, tenant_id: str | None = None, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """See Store."""
        with self.transaction(reads_only=True) as session:
            return open_letters(session, tenant_id, limit, skip)

    def replayed(self, letter_ids: Collection[str]) -> None:
        """See Store."""
        with self.transaction() as session:
            replayed(session, letter_ids)

    def unpublished(self, limit: int) -> Sequence[Kept]:
        """See Store."""
        with self.transaction(reads_only=True) as session:
            return [
                Kept(tenant, job, bytes(body), version)
                for tenant, job, body, version in session.rows(_UNPUBLISHED, limit)
            ]

    def published(self, results: Iterable[Kept]) -> None:
        """See Store."""
        with self.transaction() as session:
            now = session.now()
            session.many(
                _PUBLISHED,
                [(now, result.tenant_id, result.job_id, result.version) for result in results],
            )

    def prune(self, now: datetime) -> int:
        """See Store."""
        return retention.prune(self.transaction, self.retention, now)

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """See Store."""
        with self.transaction() as session:
            return leases.take(session, name, holder, timedelta(seconds=seconds))

    def renew(self, name: str, holder: str, seconds: float) -> bool:
        """See Store."""
        with self.transaction() as session:
            return leases.renew(session, name, holder, timedelta(seconds=seconds))

    def release(self, name: str, holder: str) -> None:
        """See Store."""
        with self.transaction() as session:
            session.run("DELETE FROM events.lease WHERE name = ? AND holder = ?", name, holder)

    def leased(self, name: str) -> Lease | None:
        """See Store."""
        with self.transaction(reads_only=True) as session:
            return leases.held(session, name)


def _incomplete(
    session: Session,
    tenant_id: str,
    job_id: str,
    required: object,
    arrived: object,
    first_at: object,
    deadline: object,
) -> Incomplete:
    missing = tuple(sorted(session.names(required) - session.names(arrived)))
    return Incomplete(tenant_id, job_id, missing, session.time(first_at), session.time(deadline))
