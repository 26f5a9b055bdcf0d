"""From complete jobs to results: the one entry that every host calls, resident run, one-shot run or process.

Where the warehouse is the store's own database, results are written in the transaction that claims the jobs: each once,
whatever is killed when. Anywhere else that transaction keeps them in the store, and `publishing` brings them on.
Nothing between a job's inputs and its result is ever written.
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2

from signalroom_dagster.analysis.publishing import is_direct
from signalroom_dagster.analysis.results import Result, as_kept, result_of, write
from signalroom_dagster.analysis.steps import InvalidResultError
from signalroom_dagster.events.stores.contract import ATTEMPTS, JobKey, Ready, Store

log = logging.getLogger(__name__)

BATCH = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of a tenant's jobs; `lag_seconds` is the longest from when a job was due to its result."""

    jobs: int = 0
    events: int = 0
    late: int = 0
    failed: int = 0
    lag_seconds: float = 0.0

    def figures(self) -> dict[str, float]:
        """What Dagster is told of them."""
        return {
            "jobs": self.jobs,
            "events": self.events,
            "late_jobs": self.late,
            "failed_attempts": self.failed,
            "lag_seconds": round(self.lag_seconds, 2),
        }

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            self.jobs + other.jobs,
            self.events + other.events,
            self.late + other.late,
            self.failed + other.failed,
            max(self.lag_seconds, other.lag_seconds),
        )


def drain_once(store: Store, limit: int = BATCH, *, counted: bool = False) -> Mapping[str, Counts]:
    """Analyse up to `limit` jobs that are ready and due, in one transaction; what came of them, by tenant.

    A job that cannot be analysed is noted with its reason, for another attempt, and stops no other. With `counted` the
    attempt is on record before it is made. Raises StoreError, after which nothing else of it has happened.
    """
    with store.claim(limit, counted=counted) as batch:
        if not batch.jobs:
            return {}
        results, reasons = analyse_jobs(batch.jobs)
        if is_direct(store):
            refused = _write(batch.cursor, results)
            results = [result for result in results if result.key not in refused]
            reasons |= refused
        else:
            batch.keep([as_kept(result) for result in results])
        batch.done([result.key for result in results])
        batch.failed(reasons)
        jobs = batch.jobs
    return _counted(jobs, reasons)


def add(total: dict[str, Counts], more: Mapping[str, Counts]) -> None:
    """Count `more` in."""
    for tenant, counts in more.items():
        total[tenant] = total.get(tenant, Counts()).plus(counts)


def analyse_jobs(jobs: Sequence[Ready]) -> tuple[list[Result], dict[JobKey, str]]:
    """The results of those that can be analysed, and the reasons why the others cannot."""
    results: list[Result] = []
    reasons: dict[JobKey, str] = {}
    for job in jobs:
        if job.attempts >= ATTEMPTS:  # else its last attempt would have said why: nobody was left to say it
            reasons[job.key] = f"its analysis ended the process that ran it, {ATTEMPTS} times"
            continue
        try:
            results.append(result_of(job))
        except InvalidResultError as error:
            reasons[job.key] = str(error)
        except Exception as error:  # whatever one job's inputs bring to light: the others still get their results
            where = "".join(traceback.format_tb(error.__traceback__))  # its message may hold what was sent
            log.error("tenant %s, job %s cannot be analysed: %s at\n%s", *job.key, type(error).__name__, where)
            reasons[job.key] = type(error).__name__
    for key, reason in reasons.items():
        log.warning("tenant %s, job %s: %s", *key, reason)
    return results, reasons


def _write(cursor: "psycopg2.extensions.cursor", results: Sequence[Result]) -> dict[JobKey, str]:
    """Write results in the claim's transaction; those that Postgres refuses, found by halving, with its reason."""
    if not results:
        return {}

    def execute(sql: str, *values: Any) -> None:
        cursor.execute(sql, values)

    cursor.execute("SAVEPOINT results")
    try:
        write(execute, results, datetime.now(UTC))
    except (psycopg2.DataError, psycopg2.IntegrityError, ValueError) as error:
        cursor.execute("ROLLBACK TO SAVEPOINT results")
        if len(results) == 1:
            return {results[0].key: f"Postgres refused the row: {type(error).__name__}"}
        half = len(results) // 2
        return _write(cursor, results[:half]) | _write(cursor, results[half:])
    cursor.execute("RELEASE SAVEPOINT results")
    return {}


def _counted(jobs: Sequence[Ready], reasons: Mapping[JobKey, str]) -> Mapping[str, Counts]:
    now = datetime.now(UTC)
    total: dict[str, Counts] = {}
    for job in jobs:
        lag = (now - job.due_at).total_seconds()
        found = Counts(failed=1) if job.key in reasons else Counts(1, len(job.payloads), job.late, 0, lag)
        add(total, {job.tenant_id: found})
    return total
