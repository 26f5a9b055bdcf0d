"""The loop around `drain_once`, for a resident run and for a process of its own.

It claims nothing between two rounds, so it may be killed or told to stop at any moment. The lease
is a row with an expiry: it says that somebody consumes, and keeps a second resident run from
starting. More consumers do no harm, since no job can be claimed twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from signalroom_dagster.analysis.drain import BATCH, Counts, Pace, add, drain_once, warn_of_failures
from signalroom_dagster.analysis.health import named
from signalroom_dagster.analysis.publishing import create_table_of_results, is_direct, publish_all
from signalroom_dagster.analysis.store import opened_store
from signalroom_dagster.events.stores.store import Incomplete, Store, StoreError
from signalroom_dagster.retries import FIRST_WAIT_SECONDS, backoff
from signalroom_dagster.warehouse.errors import (
    DestinationUnreachableError,
    LoadError,
    WarehouseBusyError,
)

log = logging.getLogger(__name__)

LEASE = "consumer"
LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
PUBLISH_SECONDS = 1.0
REPORT_SECONDS = 60.0
"""Each report is kept by Dagster, for each tenant: one every ten seconds came to 21 MiB a day."""
TIDY_SECONDS = 10.0
EXPIRE_SECONDS = 10.0
SHORTEST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.4
LONGEST_OUTAGE_SECONDS = 15 * 60.0
LONGEST_OUTAGE_PAUSE_SECONDS = 5.0
"""Below the lease, and short enough for a result to be there within seconds after the store is
back.
"""

Report = Callable[[Mapping[str, Counts]], None]


@dataclass(slots=True)
class Rhythm:
    """When the next of something is due (monotonic clock)."""

    seconds: float
    due: float = field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        """Whether it is due now; the next one then is `seconds` later."""
        now = time.monotonic()
        if now < self.due:
            return False
        self.due = now + self.seconds
        return True


class Consumer:
    """One consumer of a store; `report` is given what came of each tenant's jobs, every minute at
    most.
    """

    def __init__(self, store: Store, holder: str, report: Report) -> None:
        self.store = store
        self.holder = holder
        self.stop = threading.Event()
        self._report = report
        self._counts: dict[str, Counts] = {}
        self._expired: list[Incomplete] = []
        self._reports = Rhythm(REPORT_SECONDS, time.monotonic() + REPORT_SECONDS)
        self._publishes = Rhythm(PUBLISH_SECONDS)
        self._publishing = Outage()
        self._holds = False
        self._careful = 0
        self._pace = Pace()
        self._chores: tuple[tuple[Rhythm, Callable[[], object]], ...] = (
            (self._publishes, self._publish),
            (Rhythm(EXPIRE_SECONDS), self._expire),
            (Rhythm(TIDY_SECONDS), lambda: store.prune(datetime.now(UTC))),
        )

    def wait_for_lease(self, seconds: float) -> bool:
        """Take the lease, waiting for whoever holds it; False when it is not to be had in that
        time.
        """
        give_up = time.monotonic() + seconds
        while not self._take_lease():
            if time.monotonic() > give_up or self.stop.wait(LONGEST_PAUSE_SECONDS):
                return False
        return True

    def run(self, seconds: float | None = None, *, resident: bool) -> str:
        """Consume for so long, or until told to stop; why it ended.

        A resident one ends as soon as another one holds the lease. Raises StoreError when the store
        cannot be used for a quarter of an hour; DestinationUnreachableError or LoadError when
        results cannot be published for as long.
        """
        ends = time.monotonic() + seconds if seconds is not None else None
        lease, outage = Rhythm(RENEW_SECONDS), Outage()
        idle = 0
        try:
            while not self.stop.is_set():
                if ends is not None and time.monotonic() >= ends:
                    return "its time is over"
                try:
                    if lease.is_due() and not self._holds_lease() and resident:
                        return "another consumer has taken over"
                    claimed = self._round()
                except StoreError as error:
                    self._careful = 0  # the store's fault, not the job's: this process lives
                    self.stop.wait(outage.pause(error))
                    continue
                outage.over()
                idle = 0 if claimed else idle + 1
                if claimed < BATCH and not self._careful:
                    self.stop.wait(backoff(idle + 1, SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
            return "it was told to stop"
        finally:
            self._leave()

    def _holds_lease(self) -> bool:
        self._holds = self._holds and self.store.renew(LEASE, self.holder, LEASE_SECONDS)
        return self._holds or self._take_lease()

    def _take_lease(self) -> bool:
        """A lease that was not given back is of one that died, perhaps of a job: the jobs that it
        may have held are taken one at a time, each attempt on record before it is made.
        """
        left = self.store.leased(LEASE)
        self._holds = self.store.lease(LEASE, self.holder, LEASE_SECONDS)
        if self._holds and left:
            log.warning(
                "the consumer %s ended without giving its lease back: jobs are taken singly",
                left.holder,
            )
            self._careful = BATCH
        return self._holds

    def _round(self) -> int:
        """Drain once and do what is due beside it; how many jobs were claimed."""
        with self._pace.kept() as limit:
            careful = bool(self._careful)
            counts = drain_once(self.store, 1 if careful else limit, counted=careful)
        self._careful = max(self._careful - 1, 0) if counts else 0
        add(self._counts, counts)
        for rhythm, chore in self._chores:
            if rhythm.is_due() and not self.stop.is_set():
                chore()
        if self._reports.is_due():
            self._tell()
        return sum(each.jobs + each.failed for each in counts.values())

    def _publish(self) -> None:
        """What cannot be published waits in the store, and keeps no job from being analysed."""
        try:
            publish_all(self.store)
        except WarehouseBusyError:
            log.debug("the warehouse is in use: results wait in the store")
        except (DestinationUnreachableError, LoadError) as error:
            self._publishes.due += self._publishing.pause(error)
        else:
            self._publishing.over()

    def _expire(self) -> None:
        self._expired += self.store.expire(datetime.now(UTC))

    def _tell(self) -> None:
        """In sums: a line for each job would be kept for each job."""
        counts, self._counts = self._counts, {}
        expired, self._expired = self._expired, []
        for tenant in sorted({job.tenant_id for job in expired}):
            own = [job for job in expired if job.tenant_id == tenant]
            log.warning(
                "tenant %s: %d jobs expired incomplete, such as %s", tenant, len(own), named(own)
            )
        warn_of_failures(counts)
        if counts:
            self._report(counts)

    def _leave(self) -> None:
        """Give the lease back first, so that the next one can begin."""
        try:
            self.store.release(LEASE, self.holder)
            self._publish()
        except (StoreError, DestinationUnreachableError, LoadError) as error:
            log.warning("%s; the lease runs out by itself, and results wait in the store", error)
        self._tell()


@dataclass(slots=True)
class Outage:
    """How long the store or the warehouse has been gone, and how long to wait before it is asked
    again.
    """

    since: float | None = None
    failures: int = 0

    def pause(self, error: Exception) -> float:
        """Seconds to wait, doubling up to five. Raises the error when it has been gone for too
        long.
        """
        now = time.monotonic()
        self.since = self.since if self.since is not None else now
        if now - self.since > LONGEST_OUTAGE_SECONDS:
            raise error
        self.failures += 1
        seconds = backoff(self.failures, FIRST_WAIT_SECONDS, LONGEST_OUTAGE_PAUSE_SECONDS)
        log.warning("%s; asking again in %.0f s", error, seconds)
        return seconds

    def over(self) -> None:
        """It answers again."""
        self.since, self.failures = None, 0


def ready_store() -> Store:
    """The configured store, ready to be consumed; one that is away is waited for, for a quarter of
    an hour.

    Raises ConfigurationError, then StoreError or DestinationUnreachableError.
    """
    outage = Outage()
    while True:
        try:
            store = opened_store()
            if is_direct(store):
                create_table_of_results()
            return store
        except (StoreError, DestinationUnreachableError) as error:
            threading.Event().wait(outage.pause(error))


def drain_all(store: Store, tenant_id: str | None = None) -> Mapping[str, Counts]:
    """Everything of a tenant, or of all, that is ready and due now, published; what came of it. For
    one-shot runs.

    Raises StoreError, WarehouseBusyError, DestinationUnreachableError and LoadError.
    """
    total: dict[str, Counts] = {}
    pace, counts = Pace(), None
    while counts is None or counts:
        with pace.kept() as limit:
            counts = drain_once(store, limit, tenant_id=tenant_id)
        add(total, counts)
    warn_of_failures(total)
    store.expire(datetime.now(UTC))
    publish_all(store, PATIENT_SECONDS)
    return total


PATIENT_SECONDS = 15 * 60.0
