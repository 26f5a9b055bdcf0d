"""What every store of events does, and the records that go in and out of it.

All times are aware datetimes in UTC (`timestamptz` in Postgres, whole microseconds since 1970 in
SQLite). All methods are synchronous and may be called from any thread. Whatever a method did is
durable when it returns; what the database refuses or cannot be asked is a StoreError, after which
nothing of the call is stored.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

import msgspec

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores.batches import Batch

DONE_WITHIN = timedelta(hours=1)
"""Of which finished jobs are counted: there are millions in a week, and somebody asks every minute.
"""

Status = Literal["open", "ready", "done", "failed", "expired"]
Stage = Literal["ingest", "analysis"]


class StoreError(SignalRoomError):
    """The store could not do what it was asked, and did none of it; asking again later may help."""


class RetentionError(SignalRoomError):
    """A replay of jobs whose inputs are no longer kept, or that never were; nothing was changed."""

    retried = False
    concerns = "request"


class JobKey(NamedTuple):
    """One job of one tenant."""

    tenant_id: str
    job_id: str


class Received(msgspec.Struct, frozen=True):
    """An event that may be stored; `contract` is its tenant's, of which the job's first event takes
    a copy.
    """

    tenant_id: str
    job_id: str
    analysis_type: str
    payload: bytes
    message_id: str
    received_at: datetime
    contract: Contract


class Outcome(StrEnum):
    """What became of an event. All of them are answered alike: the sender has nothing left to
    do.
    """

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """Its key is taken by another payload, which stands: this one is a dead letter."""
    LATE = "late"
    """Stored, for a job past its deadline."""
    TOO_LATE = "too_late"
    """For a job that expired and whose other inputs are gone: a dead letter."""


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be stored or analysed, with the reason; `id` is of its content, so that a copy
    is the same.
    """

    id: str
    stage: Stage
    reason: str
    tenant_id: str
    job_id: str
    analysis_type: str
    message_id: str
    body: bytes
    received_at: datetime


class Ready(msgspec.Struct, frozen=True):
    """A complete job: everything that its analysis takes. `payloads` are by analysis type.

    It is due since its last event, or since it was asked for again. `attempts` are those before
    this one.
    """

    tenant_id: str
    job_id: str
    payloads: Mapping[str, bytes]
    contract_version: str
    attempts: int
    late: bool
    first_at: datetime
    last_at: datetime
    due_at: datetime

    @property
    def key(self) -> JobKey:
        """Its key."""
        return JobKey(self.tenant_id, self.job_id)


class Incomplete(msgspec.Struct, frozen=True):
    """A job that reached its deadline without these analysis types."""

    tenant_id: str
    job_id: str
    missing: tuple[str, ...]
    first_at: datetime
    deadline_at: datetime


class Kept(msgspec.Struct, frozen=True):
    """A result that waits to be published; `version` grows each time the job's result is made
    anew.
    """

    tenant_id: str
    job_id: str
    body: bytes
    version: int = 0


class TenantStats(msgspec.Struct, frozen=True):
    """How many jobs of a tenant stand where (done: those whose last event came within an hour), and
    for how long the oldest that is ready has been due.
    """

    open: int = 0
    ready: int = 0
    done: int = 0
    failed: int = 0
    expired: int = 0
    dead_letters: int = 0
    unpublished: int = 0
    lag_seconds: float = 0.0


class Lease(msgspec.Struct, frozen=True):
    """Who holds a lease, since when it was not renewed, and whether it has run out."""

    holder: str
    renewed_at: datetime
    expires_at: datetime
    expired: bool


class Retention(msgspec.Struct, frozen=True):
    """How long payloads are kept (a replay reaches as far), keys of finished jobs, and dead
    letters.
    """

    payloads: timedelta = timedelta(hours=24)
    jobs: timedelta = timedelta(days=7)
    dead_letters: timedelta = timedelta(days=14)


class Store(Protocol):
    """Inbox, jobs, dead letters, kept results and leases."""

    @property
    def database(self) -> str | None:
        """The Postgres URL that a claim's cursor writes to, or None when it is no Postgres."""
        ...

    def create(self) -> None:
        """Create what is missing. May be called at any time and by many at once."""
        ...

    def ping(self) -> None:
        """Raises StoreError when the store cannot be written to."""
        ...

    def append(self, events: Sequence[Received]) -> Sequence[Outcome]:
        """Store a batch in one transaction: what became of each event, in order.

        The first payload of a (tenant, job, analysis type) stands. A job becomes ready with the
        event that completes it, also after its deadline.
        """
        ...

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters; one that is already there is kept once, and is open again if it was
        replayed.
        """
        ...

    def claim(
        self,
        limit: int,
        now: datetime | None = None,
        *,
        counted: bool = False,
        tenant_id: str | None = None,
    ) -> AbstractContextManager[Batch]:
        """Take ready jobs that are due (by the database's clock, or `now`), of one tenant or of
        all, oldest first.

        What becomes of them is committed at the end of the block, and nothing when it raises; each
        job is settled by one claim. Postgres holds the jobs for the length of the block, so that
        nobody else claims them; SQLite, where only one can write, holds nothing meanwhile, and
        looks at the end whether they are as they were. With `counted`, that they are attempted is
        committed before: whoever dies of a job has made an attempt.
        """
        ...

    def expire(self, now: datetime) -> Sequence[Incomplete]:
        """Expire open jobs past their deadline: those that did so now, with what they miss."""
        ...

    def incomplete(self, tenant_id: str | None = None, limit: int = 100) -> Sequence[Incomplete]:
        """Expired jobs, latest deadline first."""
        ...

    def stats(self) -> Mapping[str, TenantStats]:
        """By tenant. Counts what has no end: for a look now and then."""
        ...

    def replay(
        self,
        tenant_id: str,
        job_ids: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        dead_letters: bool = False,
    ) -> int:
        """Make finished jobs ready again: these, or those whose last event fell into [since,
        until); how many.

        With `dead_letters` only those that failed, whose letters count as replayed. Raises
        RetentionError when a job that was asked for is unknown or its inputs are gone, or `since`
        lies before what is kept.
        """
        ...

    def letters(
        self, tenant_id: str | None = None, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """Dead letters that were not replayed, oldest first, without the first `skip` of them."""
        ...

    def replayed(self, letter_ids: Collection[str]) -> None:
        """These letters were dealt with."""
        ...

    def unpublished(self, limit: int) -> Sequence[Kept]:
        """Kept results that wait to be published, oldest first."""
        ...

    def published(self, results: Iterable[Kept]) -> None:
        """These versions are published; one that was made anew meanwhile goes on waiting."""
        ...

    def prune(self, now: datetime) -> int:
        """Delete what is past retention, in small steps, up to 10,000 of a kind; of how many jobs
        the payloads went.

        The row of a job stays longer than its payloads: a duplicate that comes later is still known
        as one.
        """
        ...

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take a lease that is free, has run out, or is the holder's own; whether it is held
        now.
        """
        ...

    def renew(self, name: str, holder: str, seconds: float) -> bool:
        """Hold on to a lease; False when it was lost, and then the holder stops."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Give a lease back if it is this holder's."""
        ...

    def leased(self, name: str) -> Lease | None:
        """Who holds it or held it last without giving it back."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...
