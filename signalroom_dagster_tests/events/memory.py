"""A store without a disk: for tests of what stands above it."""

import threading
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from signalroom_dagster.events.stores import jobs, replays
from signalroom_dagster.events.stores.batches import Batch
from signalroom_dagster.events.stores.jobs import EventKey, Job, Standing
from signalroom_dagster.events.stores.store import (
    DONE_WITHIN,
    DeadLetter,
    Incomplete,
    JobKey,
    Kept,
    Lease,
    Outcome,
    Ready,
    Received,
    Retention,
    TenantStats,
)


class MemoryStore:
    """See Store."""

    database: str | None = None

    def __init__(self, retention: Retention | None = None) -> None:
        self.retention = retention or Retention()
        self._lock = threading.RLock()
        self._inbox: dict[EventKey, bytes] = {}
        self._jobs: dict[JobKey, Job] = {}
        self._letters: dict[str, DeadLetter] = {}
        self._replayed: set[str] = set()
        self._kept: dict[JobKey, Kept] = {}
        self._published: dict[JobKey, datetime] = {}
        self._claimed: set[JobKey] = set()
        self._leases: dict[str, Lease] = {}

    def create(self) -> None:
        """See Store."""

    def ping(self) -> None:
        """See Store."""

    def close(self) -> None:
        """See Store."""

    def append(self, events: Sequence[Received]) -> Sequence[Outcome]:
        """See Store."""
        with self._lock:
            standing: dict[EventKey, Standing] = {}
            for event in events:
                if (key := jobs.event_key(event)) not in standing:
                    standing[key] = self._put(key, event)
            outcomes, letters = jobs.judge(events, standing)
            self.bury(letters)
            return outcomes

    def _put(self, key: EventKey, event: Received) -> Standing:
        job = self._jobs.get(JobKey(*key[:2]))
        if key in self._inbox:
            return Standing(False, jobs.payload_hash(self._inbox[key]))
        if job and job.pruned_at:
            return Standing(False, None, too_late=event.analysis_type not in job.arrived)
        self._inbox[key] = event.payload
        job = self._jobs.setdefault(JobKey(*key[:2]), job or jobs.opened(event))
        jobs.arrive(job, event)
        return Standing(True, jobs.payload_hash(event.payload), job.late)

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """See Store."""
        with self._lock:
            self._letters |= {letter.id: letter for letter in letters}
            self._replayed -= {letter.id for letter in letters}

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
        now = now or datetime.now(UTC)
        with self._lock:
            due = [
                job for job in self._jobs.values() if job.status == "ready" and job.due_at <= now
            ]
            free = [
                job
                for job in due
                if job.key not in self._claimed and tenant_id in (None, job.tenant_id)
            ]
            taken = sorted(free, key=attrgetter("due_at"))[:limit]
            batch = Batch([self._ready(job) for job in taken])
            held = {job.key for job in taken}
            for job in taken:
                job.attempts += counted
            self._claimed |= held
        try:
            yield batch
            with self._lock:
                batch.settle(held)
                self._apply(batch, now, counted)
        finally:
            with self._lock:
                self._claimed -= held

    def _ready(self, job: Job) -> Ready:
        payloads = {name: self._inbox[job.tenant_id, job.job_id, name] for name in job.arrived}
        return Ready(
            *job.key,
            payloads,
            job.contract_version,
            job.attempts,
            job.late,
            job.first_at,
            job.last_at,
            job.due_at,
        )

    def _apply(self, batch: Batch, now: datetime, counted: bool) -> None:
        for key in batch.finished:
            job = self._jobs[key]
            job.status, job.done_at, job.last_error = "done", datetime.now(UTC), None
        for key, reason in batch.reasons.items():
            self._jobs[key].attempts -= counted
            if found := jobs.fail(self._jobs[key], reason, now):
                self.bury([found])
        for result in batch.results:
            key = JobKey(result.tenant_id, result.job_id)
            version = self._kept[key].version + 1 if key in self._kept else 1
            self._kept[key] = Kept(*key, result.body, version)
            self._published.pop(key, None)

    def expire(self, now: datetime) -> Sequence[Incomplete]:
        """See Store."""
        with self._lock:
            over = [
                job
                for job in self._jobs.values()
                if job.status == "open" and job.deadline_at <= now
            ]
            for job in over:
                job.status = "expired"
            return [jobs.incomplete(job) for job in over]

    def incomplete(self, tenant_id: str | None = None, limit: int = 100) -> Sequence[Incomplete]:
        """See Store."""
        with self._lock:
            found = [job for job in self._jobs.values() if job.status == "expired"]
            found = [job for job in found if tenant_id in (None, job.tenant_id)]
            return [
                jobs.incomplete(job)
                for job in sorted(found, key=attrgetter("deadline_at"), reverse=True)[:limit]
            ]

    def stats(self) -> Mapping[str, TenantStats]:
        """See Store."""
        now = datetime.now(UTC)
        with self._lock:
            open_letters = [
                letter for letter in self._letters.values() if letter.id not in self._replayed
            ]
            tenants = {job.tenant_id for job in self._jobs.values()} | {
                letter.tenant_id for letter in open_letters
            }
            return {tenant: self._stats(tenant, now, open_letters) for tenant in sorted(tenants)}

    def _stats(self, tenant: str, now: datetime, open_letters: Sequence[DeadLetter]) -> TenantStats:
        own = [
            job
            for job in self._jobs.values()
            if job.tenant_id == tenant and (job.status != "done" or job.last_at > now - DONE_WITHIN)
        ]
        count = {
            status: sum(job.status == status for job in own) for status in ("open", "ready", "done")
        }
        count |= {
            status: sum(job.status == status for job in own) for status in ("failed", "expired")
        }
        oldest = min((job.due_at for job in own if job.status == "ready"), default=now)
        return TenantStats(
            **count,
            dead_letters=sum(letter.tenant_id == tenant for letter in open_letters),
            unpublished=sum(
                key.tenant_id == tenant for key in self._kept if key not in self._published
            ),
            lag_seconds=max(0.0, (now - oldest).total_seconds()),
        )

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
        with self._lock:
            own = [job for job in self._jobs.values() if job.tenant_id == tenant_id]
            asked = [job for job in own if _is_asked(job, job_ids, since, until)]
            statuses = ("failed",) if dead_letters else ("done", "failed")
            named = {
                job.job_id: job.pruned_at is not None
                for job in own
                if job_ids and job.job_id in job_ids
            }
            replays.check_jobs(tenant_id, job_ids, named)
            found = [job for job in asked if job.status in statuses and not job.pruned_at]
            now = datetime.now(UTC)
            for job in found:
                job.status, job.attempts, job.due_at, job.last_error = "ready", 0, now, None
            again = {job.key for job in found}
            self._replayed |= {
                letter.id
                for letter in self._letters.values()
                if letter.stage == "analysis" and (letter.tenant_id, letter.job_id) in again
            }
            return len(found)

    def letters(
        self, tenant_id: str | None = None, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """See Store."""
        with self._lock:
            found = [
                letter for letter in self._letters.values() if tenant_id in (None, letter.tenant_id)
            ]
            found = [letter for letter in found if letter.id not in self._replayed]
            return sorted(found, key=attrgetter("received_at", "job_id", "id"))[skip : skip + limit]

    def replayed(self, letter_ids: Collection[str]) -> None:
        """See Store."""
        with self._lock:
            self._replayed |= set(letter_ids)

    def unpublished(self, limit: int) -> Sequence[Kept]:
        """See Store."""
        with self._lock:
            return [kept for key, kept in self._kept.items() if key not in self._published][:limit]

    def published(self, results: Iterable[Kept]) -> None:
        """See Store."""
        with self._lock:
            for result in results:
                key = JobKey(result.tenant_id, result.job_id)
                if (kept := self._kept.get(key)) and kept.version == result.version:
                    self._published[key] = datetime.now(UTC)

    def prune(self, now: datetime) -> int:
        """See Store."""
        with self._lock:
            over = [
                job for job in self._jobs.values() if _is_over(job, now - self.retention.payloads)
            ]
            for job in over:
                job.pruned_at = now
                for name in job.arrived:
                    self._inbox.pop((job.tenant_id, job.job_id, name), None)
            gone = [
                job.key
                for job in self._jobs.values()
                if job.pruned_at and job.last_at <= now - self.retention.jobs
            ]
            for key in gone:
                del self._jobs[key]
            old = now - self.retention.dead_letters
            self._letters = {
                id_: letter for id_, letter in self._letters.items() if letter.received_at > old
            }
            for key in [
                key for key, at in self._published.items() if at <= now - self.retention.payloads
            ]:
                del self._published[key], self._kept[key]
            return len(over)

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """See Store."""
        with self._lock:
            held = self.leased(name)
            if held and not held.expired and held.holder != holder:
                return False
            now = datetime.now(UTC)
            self._leases[name] = Lease(holder, now, now + timedelta(seconds=seconds), False)
            return True

    def renew(self, name: str, holder: str, seconds: float) -> bool:
        """See Store."""
        with self._lock:
            held = self.leased(name)
            return bool(held and held.holder == holder) and self.lease(name, holder, seconds)

    def release(self, name: str, holder: str) -> None:
        """See Store."""
        with self._lock:
            if (held := self._leases.get(name)) and held.holder == holder:
                del self._leases[name]

    def leased(self, name: str) -> Lease | None:
        """See Store."""
        with self._lock:
            if not (held := self._leases.get(name)):
                return None
            return Lease(
                held.holder, held.renewed_at, held.expires_at, held.expires_at <= datetime.now(UTC)
            )


def _is_asked(
    job: Job, job_ids: Collection[str] | None, since: datetime | None, until: datetime | None
) -> bool:
    if job_ids is not None and job.job_id not in job_ids:
        return False
    return (since is None or since <= job.last_at) and (until is None or job.last_at < until)


def _is_over(job: Job, before: datetime) -> bool:
    return (
        job.status in ("done", "failed", "expired") and not job.pruned_at and job.last_at <= before
    )
