"""What an event, a failure and time do to a job: the rules that the SQLite store runs, as pure
functions.

The Postgres store says the same in SQL; one suite of tests holds all three to it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from signalroom_dagster.events.stores.store import (
    DeadLetter,
    Incomplete,
    JobKey,
    Outcome,
    Received,
    Stage,
    Status,
)
from signalroom_dagster.retries import ATTEMPTS, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, backoff

LETTER_BYTES = 64 * 1024
EventKey = tuple[str, str, str]


class Job(msgspec.Struct):
    """A job as it is stored."""

    tenant_id: str
    job_id: str
    required: frozenset[str]
    arrived: frozenset[str]
    contract_version: str
    status: Status
    late: bool
    attempts: int
    last_error: str | None
    first_at: datetime
    last_at: datetime
    deadline_at: datetime
    due_at: datetime
    done_at: datetime | None = None
    pruned_at: datetime | None = None

    @property
    def key(self) -> JobKey:
        """Its key."""
        return JobKey(self.tenant_id, self.job_id)

    @property
    def missing(self) -> tuple[str, ...]:
        """The required types that have not arrived."""
        return tuple(sorted(self.required - self.arrived))


class Standing(NamedTuple):
    """What a store knows of an event's key after a batch: whether the batch put it there, and whose
    payload stands.
    """

    new: bool
    payload_hash: bytes | None
    late: bool = False
    too_late: bool = False


def event_key(event: Received) -> EventKey:
    """What makes an event the same again: not the message's id, which a republished one has
    anew.
    """
    return event.tenant_id, event.job_id, event.analysis_type


def payload_hash(payload: bytes) -> bytes:
    """What two payloads are compared by."""
    return hashlib.sha256(payload).digest()


def opened(event: Received) -> Job:
    """A job without events yet, with a copy of its tenant's contract."""
    at, contract = event.received_at, event.contract
    return Job(
        event.tenant_id,
        event.job_id,
        contract.required,
        frozenset(),
        contract.version,
        "open",
        False,
        0,
        None,
        first_at=at,
        last_at=at,
        deadline_at=at + contract.deadline,
        due_at=at,
    )


def arrive(job: Job, event: Received) -> None:
    """Count an event in; the one that completes the job makes it ready."""
    job.late = (
        job.late
        or job.status == "expired"
        or (job.status == "open" and event.received_at > job.deadline_at)
    )
    job.arrived |= {event.analysis_type}
    job.last_at = max(job.last_at, event.received_at)
    if job.status in ("open", "expired") and job.required <= job.arrived:
        job.status, job.due_at = "ready", job.last_at


def fail(job: Job, reason: str, now: datetime) -> DeadLetter | None:
    """Count a failed attempt; the last one makes a dead letter."""
    job.attempts += 1
    job.last_error = reason
    if job.attempts < ATTEMPTS:
        job.due_at = now + wait(job.attempts)
        return None
    job.status = "failed"
    return job_letter(job.key, reason, now)


def wait(attempts: int) -> timedelta:
    """How long a job rests after so many failed attempts."""
    return timedelta(seconds=backoff(attempts, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS))


def letter(
    stage: Stage,
    reason: str,
    body: bytes,
    at: datetime,
    *,
    tenant_id: str = "",
    job_id: str = "",
    analysis_type: str = "",
    message_id: str = "",
) -> DeadLetter:
    """A dead letter; its body is cut at 64 KiB."""
    body = body[:LETTER_BYTES]
    told = "\0".join((stage, reason, tenant_id, job_id, analysis_type)).encode()
    found = hashlib.sha256(told + b"\0" + body).hexdigest()
    return DeadLetter(found, stage, reason, tenant_id, job_id, analysis_type, message_id, body, at)


def job_letter(key: JobKey, reason: str, at: datetime) -> DeadLetter:
    """The dead letter of a job whose analysis failed for good; its inputs stay in the inbox."""
    return letter("analysis", reason, b"", at, tenant_id=key.tenant_id, job_id=key.job_id)


def judge(
    events: Sequence[Received], standing: Mapping[EventKey, Standing]
) -> tuple[list[Outcome], list[DeadLetter]]:
    """What became of each event of a batch, and the dead letters that come of it."""
    outcomes: list[Outcome] = []
    letters: list[DeadLetter] = []
    first: set[EventKey] = set()
    for event in events:
        key = event_key(event)
        outcome = _judged(event, standing[key], key not in first)
        first.add(key)
        outcomes.append(outcome)
        if outcome in (Outcome.CONFLICT, Outcome.TOO_LATE):
            letters.append(
                letter(
                    "ingest",
                    outcome,
                    event.payload,
                    event.received_at,
                    tenant_id=event.tenant_id,
                    job_id=event.job_id,
                    analysis_type=event.analysis_type,
                    message_id=event.message_id,
                )
            )
    return outcomes, letters


def _judged(event: Received, standing: Standing, is_first: bool) -> Outcome:
    if standing.new and is_first:
        return Outcome.LATE if standing.late else Outcome.STORED
    if standing.too_late:
        return Outcome.TOO_LATE
    if standing.payload_hash in (None, payload_hash(event.payload)):
        return Outcome.DUPLICATE
    return Outcome.CONFLICT


def incomplete(job: Job) -> Incomplete:
    """A job past its deadline, with what it misses."""
    return Incomplete(job.tenant_id, job.job_id, job.missing, job.first_at, job.deadline_at)
