"""What is wrong with a tenant's events, for checks and alerts: lag, dead letters, jobs that stay
incomplete.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from signalroom_dagster.events.stores.store import Incomplete, Store, TenantStats
from signalroom_dagster.warehouse.finding import Finding

LAG_SECONDS = 60.0
MOST_READ = 1_000
MOST_NAMED = 3

Look: TypeAlias = Callable[[Store, str, TenantStats], Finding]


def lag(store: Store, tenant: str, stats: TenantStats) -> Finding:
    """Complete jobs are analysed within a minute."""
    text = f"{stats.ready} jobs wait for their analysis, the oldest for {stats.lag_seconds:.0f} s"
    figures = {
        "ready": stats.ready,
        "lag_seconds": round(stats.lag_seconds),
        "open": stats.open,
        "done_last_hour": stats.done,
        "unpublished": stats.unpublished,
    }
    return Finding(stats.lag_seconds <= LAG_SECONDS, text, figures)


def dead_letters(store: Store, tenant: str, stats: TenantStats) -> Finding:
    """No event was refused, and no job failed for good."""
    if not stats.dead_letters:
        return Finding(True, "no dead letters", {"dead_letters": 0, "failed_jobs": stats.failed})
    reasons = Counter(letter.reason for letter in store.letters(tenant, MOST_READ))
    named = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(MOST_NAMED))
    figures = {"dead_letters": stats.dead_letters, "failed_jobs": stats.failed}
    return Finding(False, f"{stats.dead_letters} dead letters: {named}", figures)


def incomplete_jobs(store: Store, tenant: str, stats: TenantStats) -> Finding:
    """Every job got all its results before its deadline."""
    if not stats.expired:
        return Finding(True, "no job has expired incomplete", {"expired": 0, "open": stats.open})
    expired = store.incomplete(tenant, MOST_READ)
    missing = Counter(name for job in expired for name in job.missing)
    figures = {
        "expired": stats.expired,
        **{f"without_{name}": count for name, count in sorted(missing.items())},
    }
    return Finding(
        False, f"{stats.expired} jobs expired incomplete, such as {named(expired)}", figures
    )


LOOKS: Mapping[str, Look] = {
    "lag": lag,
    "dead_letters": dead_letters,
    "incomplete_jobs": incomplete_jobs,
}
"""By the name of the check; the description of a check is its function's docstring."""


def examine(store: Store, tenants: Sequence[str]) -> Mapping[str, Mapping[str, Finding]]:
    """What is to be said of each tenant, by check. Raises StoreError."""
    stats = store.stats()
    return {
        tenant: {
            name: look(store, tenant, stats.get(tenant, TenantStats()))
            for name, look in LOOKS.items()
        }
        for tenant in tenants
    }


def named(jobs: Sequence[Incomplete]) -> str:
    """Some of these jobs, and what they miss."""
    shown = [f"{job.job_id} (without {', '.join(job.missing)})" for job in jobs[:MOST_NAMED]]
    return ", ".join(shown)
