"""Which replays are refused, in the same words for every store."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from signalroom_dagster.events.stores.contract import Retention, RetentionError


def check_since(tenant_id: str, since: datetime | None, retention: Retention) -> None:
    """Refuse a range that begins before what is kept."""
    kept_from = datetime.now(UTC) - retention.payloads
    if since is not None and since < kept_from:
        raise RetentionError(
            f"tenant {tenant_id}: inputs are kept from {kept_from:%Y-%m-%d %H:%M} UTC on "
            f"({_hours(retention)} hours, EVENTS__RETENTION_HOURS); {since:%Y-%m-%d %H:%M} lies before that"
        )


def check_jobs(tenant_id: str, asked: Collection[str] | None, found: Mapping[str, bool]) -> None:
    """Refuse named jobs that are unknown, and named ones whose inputs are gone (`found`: job -> gone)."""
    if asked is None:
        return
    for why, ids in (
        ("are not known", [job for job in asked if job not in found]),
        ("have no inputs any more (EVENTS__RETENTION_HOURS says how long they are kept)",
         [job for job, gone in found.items() if gone]),
    ):  # fmt: skip
        if ids:
            shown = ", ".join(sorted(ids)[:5]) + (", ..." if len(ids) > 5 else "")
            raise RetentionError(f"tenant {tenant_id}: {len(ids)} of the jobs to replay {why}: {shown}")


def _hours(retention: Retention) -> str:
    return f"{retention.payloads.total_seconds() / 3600:g}"
