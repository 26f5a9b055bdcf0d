"""What the supervisor of the event consumer does next, from the lease and the runs that it sees."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from signalroom_dagster.events.stores.store import Lease
from signalroom_dagster.retries import backoff

RUN_SECONDS = 20 * 60.0
TICK_SECONDS = 30
"""Each look is kept by Dagster: one every five seconds is 17,000 a day that say that nothing has
happened.
"""
HANDOVER_SECONDS = 90.0
"""So long before its end a run's successor is started, or a tick later: a worker is up within
seconds, and then waits for the lease.
"""
BEGIN_SECONDS = 15.0
DEAD_SECONDS = 6.0
"""So long a lease stays free before its run counts as dead: looked at again within one tick, not
with the next.
"""
SETTLED_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
STARTS_TOLD, SECONDS_TOLD = 3, 120.0
"""After so many runs that did not last, or so long without a consumer, somebody is told."""


@dataclass(slots=True)
class Watch:
    """What the supervisor remembers, in epoch seconds: since when nobody holds the lease, how many
    runs it has started since one lasted, when it may start the next; when it looked at the checks,
    and what it recorded of each when.
    """

    free_since: float | None = None
    started: int = 0
    not_before: float = 0.0
    looked_at: float = 0.0
    recorded: dict[str, tuple[bool, float]] = field(default_factory=dict[str, tuple[bool, float]])

    def is_lost(self, now: float) -> bool:
        """Whether starting runs does not help."""
        return self.started > STARTS_TOLD or (
            self.free_since is not None and now - self.free_since > SECONDS_TOLD
        )


@dataclass(frozen=True, slots=True)
class ResidentRun:
    """An unfinished run; `began` (epoch) is None while its worker is not up."""

    id: str
    began: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """Start a run, wait, or note that a consumer works; why; the runs whose worker is gone; and in
    how many seconds another look is worth it.
    """

    what: Literal["start", "wait", "works"]
    why: str
    dead: tuple[str, ...] = ()
    look_again: float = 0.0


def next_step(watch: Watch, lease: Lease | None, runs: Sequence[ResidentRun], now: float) -> Step:
    """What to do now; keeps `watch` up to date."""
    if lease and not lease.expired:
        return _while_held(watch, lease, runs, now)
    return _while_free(watch, runs, now)


def _while_held(watch: Watch, lease: Lease, runs: Sequence[ResidentRun], now: float) -> Step:
    watch.free_since = None
    own = next((run for run in runs if run.id == lease.holder and run.began is not None), None)
    lasts = now - own.began if own and own.began is not None else SETTLED_SECONDS
    if lasts >= SETTLED_SECONDS:
        watch.started, watch.not_before = 0, 0.0
    if own and len(runs) == 1 and lasts >= RUN_SECONDS - HANDOVER_SECONDS:
        return Step("start", f"run {own.id} is about to end")
    return Step("works", f"{lease.holder} consumes")


def _while_free(watch: Watch, runs: Sequence[ResidentRun], now: float) -> Step:
    """A run that lives takes the lease at once; the dead are known by its staying free."""
    watch.free_since = now if watch.free_since is None else watch.free_since
    if any(run.began is None or now - run.began < BEGIN_SECONDS for run in runs):
        return Step("wait", "a run is starting")
    if runs and now - watch.free_since < DEAD_SECONDS:
        rest = watch.free_since + DEAD_SECONDS - now
        return Step("wait", "the lease is free: waiting for a sign of life", look_again=rest)
    dead = tuple(run.id for run in runs)
    if now < watch.not_before:
        return Step("wait", f"{watch.started} runs did not last: pausing", dead)
    watch.started += 1
    watch.not_before = now + backoff(watch.started, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    return Step("start", "nobody consumes", dead)
