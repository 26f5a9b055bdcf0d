"""From complete jobs to results: the one entry that every host calls, resident run, one-shot run or
process.

Where the warehouse is the store's own database, results are written in the transaction that claims
the jobs: each once, whatever is killed when. Anywhere else they are kept in the store with the end
of the claim, and `publishing` brings them on. Nothing between a job's inputs and its result is ever
written.
"""

import logging
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

import psycopg2

from signalroom_dagster.analysis.publishing import is_direct, may_write
from signalroom_dagster.analysis.results import Result, as_kept, result_of, write
from signalroom_dagster.analysis.steps import InvalidResultError
from signalroom_dagster.events.stores.store import JobKey, Ready, Store
from signalroom_dagster.retries import ATTEMPTS

log = logging.getLogger(__name__)

REASONS_TOLD = 3
BATCH = 500
CLAIM_SECONDS = 2.0
"""Of analysis in one claim: on a slow machine the jobs that are left stay ready for the next one.
Far below the minute after which Postgres gives up a transaction that says nothing.
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of a tenant's jobs; `lag_seconds` is the longest from when a job was due to its
    result. `why` attempts failed: some of the reasons, each with a job.
    """

    jobs: int = 0
    events: int = 0
    late: int = 0
    failed: int = 0
    lag_seconds: float = 0.0
    why: Mapping[str, str] = field(default_factory=dict[str, str])

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
            dict(islice({**self.why, **other.why}.items(), REASONS_TOLD)),
        )


@dataclass(slots=True)
class Pace:
    """How many jobs are claimed at once: half as many after a claim that took long or was
    interrupted, then twice as many after each that did not.
    """

    limit: int = BATCH

    @contextmanager
    def kept(self) -> Generator[int]:
        """How many may be claimed within this block."""
        ends, is_quick = time.monotonic() + CLAIM_SECONDS, False
        try:
            yield self.limit
            is_quick = time.monotonic() <= ends
        finally:
            self.limit = min(self.limit * 2, BATCH) if is_quick else max(self.limit // 2, 1)


def drain_once(
    store: Store, limit: int = BATCH, *, counted: bool = False, tenant_id: str | None = None
) -> Mapping[str, Counts]:
    """Analyse up to `limit` jobs that are ready and due, of one tenant or of all, for some seconds;
    what came of them, by tenant. At least one job is, if there is any.

    A job that cannot be analysed is noted with its reason, for another attempt, and stops no other.
    With `counted` the attempt is on record before it is made. Raises StoreError, after which
    nothing else of it has happened.
    """
    with store.claim(limit, counted=counted, tenant_id=tenant_id) as batch:
        results, reasons = analyse_jobs(batch.jobs, time.monotonic() + CLAIM_SECONDS)
        if results and is_direct(store) and may_write(batch.cursor):
            refused = _write(batch.cursor, results)
            results = [result for result in results if result.key not in refused]
            reasons |= refused
        else:
            batch.keep([as_kept(result) for result in results])
        batch.done([result.key for result in results])
        batch.failed(reasons)
    return _counted([job for job in batch.jobs if job.key in batch.settled], reasons)


def add(total: dict[str, Counts], more: Mapping[str, Counts]) -> None:
    """Count `more` in."""
    for tenant, counts in more.items():
        total[tenant] = total.get(tenant, Counts()).plus(counts)


def warn_of_failures(counts: Mapping[str, Counts]) -> None:
    """Say in the log how many attempts failed, and why."""
    for tenant, found in counts.items():
        if found.failed:
            why = "; ".join(f"{reason} (job {job})" for reason, job in found.why.items())
            log.warning(
                "tenant %s: %d attempts to analyse a job failed, such as %s",
                tenant,
                found.failed,
                why,
            )


def analyse_jobs(
    jobs: Sequence[Ready], until: float = float("inf")
) -> tuple[list[Result], dict[JobKey, str]]:
    """The results of those that can be analysed until then (monotonic clock), the first in any
    case, and the reasons why others cannot.
    """
    results: list[Result] = []
    reasons: dict[JobKey, str] = {}
    for job in jobs:
        if (results or reasons) and time.monotonic() > until:
            break
        if (
            job.attempts >= ATTEMPTS
        ):  # else its last attempt would have said why: nobody was left to say it
            reasons[job.key] = f"its analysis ended the process that ran it, {ATTEMPTS} times"
            continue
        try:
            results.append(result_of(job))
        except InvalidResultError as error:
            reasons[job.key] = str(error)
        except (
            Exception
        ) as error:  # whatever one job's inputs bring to light: the others still get their results
            where = "".join(
                traceback.format_tb(error.__traceback__)
            )  # its message may hold what was sent
            _tell_fault(type(error).__name__, where)
            reasons[job.key] = type(error).__name__
    return results, reasons


@lru_cache(maxsize=100)
def _tell_fault(name: str, where: str) -> None:
    """Once for each place in a process: a fault of ours may befall every job, and each line is kept
    by Dagster.
    """
    log.error("jobs cannot be analysed: %s at\n%s", name, where)


def _write(cursor: "psycopg2.extensions.cursor", results: Sequence[Result]) -> dict[JobKey, str]:
    """Write results in the claim's transaction; those that Postgres refuses, found by halving, with
    its reason.
    """
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
        reason = reasons.get(job.key)
        failed = Counts(failed=1, why={reason or "": job.job_id})
        add(
            total,
            {job.tenant_id: failed if reason else Counts(1, len(job.payloads), job.late, 0, lag)},
        )
    return total
