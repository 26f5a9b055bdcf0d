"""Replays: which are refused, in the same words for every store, and how SQL makes jobs ready
again.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from signalroom_dagster.events.stores.sessions import Session, pieces, values_of
from signalroom_dagster.events.stores.store import Retention, RetentionError

_FOUND = """
SELECT job_id, pruned_at IS NOT NULL FROM events.job
WHERE tenant_id = ? AND (job_id) IN ({ids})
"""
_READY = """
UPDATE events.job SET status = 'ready', attempts = 0, due_at = ?, last_error = NULL
WHERE tenant_id = ? AND pruned_at IS NULL AND status IN ({statuses}){where}
RETURNING job_id
"""
_LETTERS = """
UPDATE events.dead_letter SET replayed_at = ?
WHERE tenant_id = ? AND stage = 'analysis' AND job_id IN ({ids})
"""


def check_since(tenant_id: str, since: datetime | None, retention: Retention) -> None:
    """Refuse a range that begins before what is kept."""
    kept_from = datetime.now(UTC) - retention.payloads
    if since is not None and since < kept_from:
        raise RetentionError(
            f"tenant {tenant_id}: inputs are kept from {kept_from:%Y-%m-%d %H:%M} UTC on "
            f"({retention.payloads.total_seconds() / 3600:g} hours, EVENTS__RETENTION_HOURS); "
            f"{since:%Y-%m-%d %H:%M} lies before that"
        )


def check_jobs(tenant_id: str, asked: Collection[str] | None, found: Mapping[str, bool]) -> None:
    """Refuse named jobs that are unknown, and named ones whose inputs are gone (`found`: job ->
    gone).
    """
    if asked is None:
        return
    for why, ids in (
        ("are not known", [job for job in asked if job not in found]),
        (
            "have no inputs any more (EVENTS__RETENTION_HOURS says how long they are kept)",
            [job for job, gone in found.items() if gone],
        ),
    ):
        if ids:
            shown = ", ".join(sorted(ids)[:5]) + (", ..." if len(ids) > 5 else "")
            raise RetentionError(
                f"tenant {tenant_id}: {len(ids)} of the jobs to replay {why}: {shown}"
            )


def make_ready(
    session: Session,
    tenant_id: str,
    job_ids: Collection[str] | None,
    span: tuple[datetime | None, datetime | None],
    dead_letters: bool,
) -> int:
    """See Store.replay."""
    statuses = "'failed'" if dead_letters else "'done', 'failed'"
    where = "".join(
        f" AND last_at {sign} ?" for sign, at in zip((">=", "<"), span, strict=True) if at
    )
    times: list[Any] = [at for at in span if at]
    now = session.now()
    if job_ids is None:
        again = session.rows(_READY.format(statuses=statuses, where=where), now, tenant_id, *times)
    else:
        named = list(pieces([(job,) for job in sorted(job_ids)]))
        check_jobs(
            tenant_id,
            job_ids,
            {job: bool(gone) for ids in named for job, gone in _found(session, tenant_id, ids)},
        )
        again = []
        for ids in named:
            marks, values = values_of(ids)
            chosen = _READY.format(statuses=statuses, where=f"{where} AND (job_id) IN ({marks})")
            again += session.rows(chosen, now, tenant_id, *times, *values)
    for ids in pieces(again):
        marks, values = values_of(ids)
        session.run(_LETTERS.format(ids=marks), now, tenant_id, *values)
    return len(again)


def _found(session: Session, tenant_id: str, ids: Collection[Any]) -> list[tuple[Any, ...]]:
    marks, values = values_of(list(ids))
    return session.rows(_FOUND.format(ids=marks), tenant_id, *values)
