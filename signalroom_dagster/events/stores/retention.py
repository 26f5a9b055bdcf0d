"""Deletes what is past retention, in steps so small that nothing waits for them."""

import threading
from datetime import datetime

from signalroom_dagster.events.stores.sessions import Session, Transactions, values_of
from signalroom_dagster.events.stores.store import Retention

AT_ONCE = 500
STEPS = 20
"""In one call, of each kind: after a long pause much is due, and analysis is not to wait for all of
it.
"""
PAUSE_SECONDS = 0.02
"""Between two steps, for whoever else wants to write: in SQLite only one can."""
_FINISHED = """
SELECT tenant_id, job_id FROM events.job
WHERE last_at <= ? AND pruned_at IS NULL AND status IN ('done', 'failed', 'expired')
ORDER BY last_at LIMIT ? {locked}
"""
_TOMBSTONES = """
SELECT tenant_id, job_id FROM events.job
WHERE last_at <= ? AND pruned_at IS NOT NULL
ORDER BY last_at LIMIT ? {locked}
"""
_LETTERS = """
DELETE FROM events.dead_letter WHERE id IN (
    SELECT id FROM events.dead_letter WHERE received_at <= ? ORDER BY received_at LIMIT ?
)
"""
_PUBLISHED = """
DELETE FROM events.result WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM events.result
    WHERE published_at <= ? ORDER BY published_at LIMIT ?
)
"""


def prune(transaction: Transactions, retention: Retention, now: datetime) -> int:
    """Payloads of finished jobs, then the rows of jobs that lost theirs long ago, old letters and
    published results.
    """
    pruned = _in_steps(transaction, _FINISHED, now - retention.payloads, now)
    _in_steps(transaction, _TOMBSTONES, now - retention.jobs, None)
    _delete(transaction, _LETTERS, now - retention.dead_letters)
    _delete(transaction, _PUBLISHED, now - retention.payloads)
    return pruned


def _delete(transaction: Transactions, statement: str, before: datetime) -> None:
    for _ in range(STEPS):
        with transaction() as session:
            if session.run(statement, before, AT_ONCE) < AT_ONCE:
                return
        threading.Event().wait(PAUSE_SECONDS)


def _in_steps(transaction: Transactions, found: str, before: datetime, now: datetime | None) -> int:
    total = 0
    for _ in range(STEPS):
        with transaction() as session:
            keys = session.rows(found.format(locked=session.locked), before, AT_ONCE)
            if keys:
                _forget(session, keys, now)
        total += len(keys)
        if len(keys) < AT_ONCE:
            break
        threading.Event().wait(PAUSE_SECONDS)
    return total


def _forget(
    session: Session, keys: list[tuple[str, str]] | list[tuple[object, ...]], now: datetime | None
) -> None:
    """The inputs of these jobs, and at last (`now` is None) the jobs."""
    marks, values = values_of(keys)
    session.run(f"DELETE FROM events.inbox WHERE (tenant_id, job_id) IN ({marks})", *values)
    if now is None:
        session.run(f"DELETE FROM events.job WHERE (tenant_id, job_id) IN ({marks})", *values)
    else:
        session.run(
            f"UPDATE events.job SET pruned_at = ? WHERE (tenant_id, job_id) IN ({marks})",
            now,
            *values,
        )
