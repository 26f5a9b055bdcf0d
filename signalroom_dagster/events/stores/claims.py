"""A claim of ready jobs in SQL: what is due, whether it is as it was, and what became of it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from signalroom_dagster.events.stores.batches import Batch
from signalroom_dagster.events.stores.jobs import job_letter, wait
from signalroom_dagster.events.stores.letters import bury
from signalroom_dagster.events.stores.sessions import Session, pieces, values_of
from signalroom_dagster.events.stores.store import JobKey, Ready
from signalroom_dagster.retries import ATTEMPTS

_DUE = """
SELECT tenant_id, job_id, contract_version, attempts, late, first_at, last_at, due_at
FROM events.job
WHERE status = 'ready' AND due_at <= ? AND (? IS NULL OR tenant_id = ?)
ORDER BY due_at LIMIT ?
{locked}
"""
_COUNT = """
UPDATE events.job SET attempts = attempts + 1, last_error = ?
WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM events.job
    WHERE status = 'ready' AND due_at <= ? AND (? IS NULL OR tenant_id = ?)
    ORDER BY due_at LIMIT ?
    {locked}
)
"""
_READY = """
SELECT tenant_id, job_id, attempts, due_at FROM events.job
WHERE status = 'ready' AND (tenant_id, job_id) IN ({keys})
"""
_SIZES = """
SELECT tenant_id, job_id, sum(length(payload)) FROM events.inbox
WHERE (tenant_id, job_id) IN ({keys})
GROUP BY tenant_id, job_id
"""
_PAYLOADS = """
SELECT tenant_id, job_id, analysis_type, payload FROM events.inbox
WHERE (tenant_id, job_id) IN ({keys})
"""
_DONE = """
UPDATE events.job SET status = 'done', done_at = ?, last_error = NULL
WHERE (tenant_id, job_id) IN ({keys})
"""
_FAILED = """
UPDATE events.job SET status = ?, attempts = ?, last_error = ?, due_at = ?
WHERE tenant_id = ? AND job_id = ?
"""
_KEEP = """
INSERT INTO events.result (tenant_id, job_id, body, version, kept_at) VALUES (?, ?, ?, 1, ?)
ON CONFLICT (tenant_id, job_id) DO UPDATE SET
    body = excluded.body,
    version = result.version + 1,
    kept_at = excluded.kept_at,
    published_at = NULL
"""
_TOLD = 500  # characters of an error that are kept
MOST_BYTES = 32 * 1024 * 1024
"""Of payloads in a claim of several jobs: what a consumer holds in memory does not grow with what
is sent.
"""


class Asked(NamedTuple):
    """What a claim is to hold; `counted`: the attempt is on record already."""

    limit: int
    now: datetime
    tenant_id: str | None
    counted: bool

    @property
    def values(self) -> tuple[object, ...]:
        """For the statements."""
        return self.now, self.tenant_id, self.tenant_id, self.limit


def count_attempt(session: Session, asked: Asked) -> None:
    """Count the attempt of the jobs that are claimed next, in a transaction of its own: it stays
    counted when the process ends in the middle of it.
    """
    session.run(
        _COUNT.format(locked=session.locked), "its analysis did not come to an end", *asked.values
    )


def due_jobs(session: Session, asked: Asked) -> list[Ready]:
    """The jobs of a claim with their inputs, as many as fit into memory."""
    found = _fitting(session, session.rows(_DUE.format(locked=session.locked), *asked.values))
    payloads: defaultdict[JobKey, dict[str, bytes]] = defaultdict(dict)
    for piece in pieces([row[:2] for row in found]):
        marks, values = values_of(piece)
        for tenant, job, analysis_type, payload in session.rows(
            _PAYLOADS.format(keys=marks), *values
        ):
            payloads[JobKey(tenant, job)][analysis_type] = bytes(payload)
    return [
        Ready(
            tenant,
            job,
            payloads[JobKey(tenant, job)],
            version,
            max(attempts - asked.counted, 0),
            bool(late),
            *map(session.time, times),
        )
        for tenant, job, version, attempts, late, *times in found
    ]


def unchanged(session: Session, jobs: Sequence[Ready], asked: Asked) -> set[JobKey]:
    """Those of these jobs that nobody else has settled, or made ready anew, since they were
    read.
    """
    read = {(*job.key, job.attempts + asked.counted, job.due_at) for job in jobs}
    found: set[JobKey] = set()
    for piece in pieces([job.key for job in jobs]):
        marks, values = values_of(piece)
        for tenant, job, attempts, due_at in session.rows(_READY.format(keys=marks), *values):
            if (tenant, job, attempts, session.time(due_at)) in read:
                found.add(JobKey(tenant, job))
    return found


def settle(session: Session, batch: Batch, now: datetime) -> None:
    """Write what became of the jobs of a claim that ends."""
    for piece in pieces(batch.finished):
        marks, values = values_of(piece)
        session.run(_DONE.format(keys=marks), session.now(), *values)
    attempts = {job.key: job.attempts + 1 for job in batch.jobs}
    over = {key for key in batch.reasons if attempts[key] >= ATTEMPTS}
    session.many(
        _FAILED,
        [
            (
                "failed" if key in over else "ready",
                attempts[key],
                reason[:_TOLD],
                now + wait(attempts[key]),
                *key,
            )
            for key, reason in sorted(batch.reasons.items())
        ],
    )
    bury(session, [job_letter(key, batch.reasons[key][:_TOLD], now) for key in sorted(over)])
    kept_at = session.now()
    session.many(
        _KEEP, [(kept.tenant_id, kept.job_id, kept.body, kept_at) for kept in batch.results]
    )


def _fitting(session: Session, found: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """As many of these jobs as fit into memory, the first in any case; the others stay ready."""
    sizes: dict[tuple[str, str], int] = {}
    for piece in pieces([row[:2] for row in found]):
        marks, values = values_of(piece)
        sizes |= {
            (tenant, job): int(size)
            for tenant, job, size in session.rows(_SIZES.format(keys=marks), *values)
        }
    totals = accumulate(sizes.get((row[0], row[1]), 0) for row in found)
    return found[: max(1, sum(total <= MOST_BYTES for total in totals))]
