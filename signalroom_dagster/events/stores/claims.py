"""A claim of ready jobs in SQL: one transaction that takes them, holds them, and says what became of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from signalroom_dagster.events.stores.contract import ATTEMPTS, JobKey, Kept, Ready
from signalroom_dagster.events.stores.jobs import job_letter, wait
from signalroom_dagster.events.stores.letters import bury
from signalroom_dagster.events.stores.sessions import Session, pieces, values_of

_DUE = """
SELECT tenant_id, job_id, contract_version, attempts, late, first_at, last_at, due_at FROM events.job
WHERE status = 'ready' AND due_at <= ? ORDER BY due_at LIMIT ? {locked}
"""
_COUNT = """
UPDATE events.job SET attempts = attempts + 1, last_error = ? WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM events.job WHERE status = 'ready' AND due_at <= ? ORDER BY due_at LIMIT ? {locked})
"""
_SIZES = """
SELECT tenant_id, job_id, sum(length(payload)) FROM events.inbox WHERE (tenant_id, job_id) IN ({keys})
GROUP BY tenant_id, job_id
"""
_PAYLOADS = "SELECT tenant_id, job_id, analysis_type, payload FROM events.inbox WHERE (tenant_id, job_id) IN ({keys})"
_DONE = """
UPDATE events.job SET status = 'done', done_at = ?, last_error = NULL WHERE (tenant_id, job_id) IN ({keys})
"""
_FAILED = """
UPDATE events.job SET status = ?, attempts = ?, last_error = ?, due_at = ? WHERE tenant_id = ? AND job_id = ?
"""
_KEEP = """
INSERT INTO events.result (tenant_id, job_id, body, version, kept_at) VALUES (?, ?, ?, 1, ?)
ON CONFLICT (tenant_id, job_id) DO UPDATE
SET body = excluded.body, version = result.version + 1, kept_at = excluded.kept_at, published_at = NULL
"""
_TOLD = 500  # characters of an error that are kept
MOST_BYTES = 32 * 1024 * 1024
"""Of payloads in a claim of several jobs: what a consumer holds in memory does not grow with what is sent."""


def count_attempt(session: Session, limit: int, now: datetime) -> None:
    """Count the attempt of the jobs that are claimed next, in a transaction of its own: it stays counted when the
    process ends in the middle of it."""
    session.run(_COUNT.format(locked=session.locked), "its analysis did not come to an end", now, limit)


class SqlBatch:
    """See Batch."""

    def __init__(self, session: Session, limit: int, now: datetime, *, counted: bool) -> None:
        self._session = session
        self._now = now
        self.jobs: Sequence[Ready] = _due(session, limit, now, counted) if limit else ()

    @property
    def cursor(self) -> Any:
        """See Batch."""
        return self._session.cursor

    def done(self, keys: Collection[JobKey]) -> None:
        """See Batch."""
        for piece in pieces(keys):
            marks, values = values_of(piece)
            self._session.run(_DONE.format(keys=marks), self._session.now(), *values)

    def failed(self, reasons: Mapping[JobKey, str]) -> None:
        """See Batch."""
        attempts = {job.key: job.attempts + 1 for job in self.jobs}
        over = {key for key in reasons if attempts[key] >= ATTEMPTS}
        self._session.many(
            _FAILED,
            [
                ("failed" if key in over else "ready", attempts[key], reason[:_TOLD],
                 self._now + wait(attempts[key]), *key)
                for key, reason in sorted(reasons.items())
            ],
        )  # fmt: skip
        bury(self._session, [job_letter(key, reasons[key][:_TOLD], self._now) for key in sorted(over)])

    def keep(self, results: Iterable[Kept]) -> None:
        """See Batch."""
        now = self._session.now()
        self._session.many(_KEEP, [(result.tenant_id, result.job_id, result.body, now) for result in results])


def _due(session: Session, limit: int, now: datetime, counted: bool) -> list[Ready]:
    found = _fitting(session, session.rows(_DUE.format(locked=session.locked), now, limit))
    payloads: defaultdict[JobKey, dict[str, bytes]] = defaultdict(dict)
    for piece in pieces([row[:2] for row in found]):
        marks, values = values_of(piece)
        for tenant, job, analysis_type, payload in session.rows(_PAYLOADS.format(keys=marks), *values):
            payloads[JobKey(tenant, job)][analysis_type] = bytes(payload)
    return [
        Ready(tenant, job, payloads[JobKey(tenant, job)], version, max(attempts - counted, 0), bool(late),
              *map(session.time, times))
        for tenant, job, version, attempts, late, *times in found
    ]  # fmt: skip


def _fitting(session: Session, found: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """As many of these jobs as fit into memory, the first in any case; the others stay ready."""
    sizes: dict[tuple[str, str], int] = {}
    for piece in pieces([row[:2] for row in found]):
        marks, values = values_of(piece)
        sizes |= {(tenant, job): int(size) for tenant, job, size in session.rows(_SIZES.format(keys=marks), *values)}
    totals = accumulate(sizes.get((row[0], row[1]), 0) for row in found)
    return found[: max(1, sum(total <= MOST_BYTES for total in totals))]
