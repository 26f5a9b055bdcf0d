"""The rows of the outbox: each delivery of a report to a recipient, and what came of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal, TypeAlias

from signalroom_dagster.notifications.message import Channel
from signalroom_dagster.reports.tables import DELIVERIES
from signalroom_dagster.warehouse.access import Query, exclusive, lock, transaction
from signalroom_dagster.warehouse.bookkeeping import write_row

Status: TypeAlias = Literal["intended", "sent", "unknown", "failed", "refused", "skipped"]

_READ = (
    "channel",
    "recipient",
    "version",
    "number",
    "status",
    "run_id",
    "intent_at",
    "settled_at",
    "provider_id",
    "error",
)
_OF_REPORT = f"""
SELECT {", ".join(_READ)} FROM {DELIVERIES.name}
WHERE _client_id = %s AND report = %s AND date = %s
ORDER BY channel, recipient, number
"""
_PROVIDER_IDS = f"""
SELECT provider_id FROM {DELIVERIES.name}
WHERE _client_id = %s AND channel = %s AND recipient = %s AND provider_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of a report's version to one recipient, and what came of it."""

    client_id: str
    report: str
    day: date
    channel: Channel
    recipient: str
    version: int
    number: int = 1
    status: Status = "intended"
    run_id: str = ""
    intent_at: datetime | None = None
    settled_at: datetime | None = None
    provider_id: str | None = None
    error: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key: the same for one delivery, and nobody's address in it."""
        recipient = hashlib.sha256(self.recipient.encode()).hexdigest()[:16]
        return f"{self.client_id}-{self.report}-{self.day}-{self.channel}-{recipient}-{self.number}"

    @property
    def address(self) -> tuple[str, str, date, str, str]:
        """Whose it is, whatever its number."""
        return self.client_id, self.report, self.day, self.channel, self.recipient

    @property
    def state(self) -> tuple[int, Status, datetime | None]:
        """What changes when somebody else sends it."""
        return self.number, self.status, self.intent_at

    def __str__(self) -> str:
        return f"client {self.client_id}, deliveries of {self.report}"


def deliveries(query: Query, client_id: str, report: str, day: date) -> Sequence[Delivery]:
    """What the outbox holds of a report, in order."""
    rows = query(_OF_REPORT, client_id, report, day)
    return [
        Delivery(client_id=client_id, report=report, day=day, **dict(zip(_READ, row, strict=True)))
        for row in rows
    ]


def last_delivery(delivery: Delivery) -> Delivery | None:
    """The last delivery of the same report and day to the same recipient."""
    with exclusive(), transaction(str(delivery)) as query:
        return _last(query, delivery)


def note(delivery: Delivery, seen: Delivery | None, run_id: str) -> Delivery:
    """Write what came of a delivery, unless the outbox no longer holds what was `seen`; what it
    holds then.

    Another process has been at it in that case, and its word counts; but what was sent was sent.
    """
    with exclusive(), transaction(str(delivery)) as query:
        lock(query, "|".join((DELIVERIES.name, *map(str, delivery.address))))
        last = _last(query, delivery)
        if last and delivery.status != "sent" and (seen is None or last.state != seen.state):
            return last
        settled_at = None if delivery.status == "intended" else datetime.now(UTC)
        row = asdict(replace(delivery, settled_at=settled_at, run_id=run_id))
        row |= {"_client_id": delivery.client_id, "date": delivery.day, "key": delivery.key}
        write_row(query, DELIVERIES, row)
    return delivery


def other_provider_ids(delivery: Delivery) -> frozenset[str]:
    """The ids of what else the recipient has been sent: a text message is looked up by its text."""
    with exclusive(), transaction(str(delivery)) as query:
        rows = query(_PROVIDER_IDS, delivery.client_id, delivery.channel, delivery.recipient)
    return frozenset(provider_id for (provider_id,) in rows)


def _last(query: Query, delivery: Delivery) -> Delivery | None:
    rows = deliveries(query, delivery.client_id, delivery.report, delivery.day)
    return next((row for row in reversed(rows) if row.address == delivery.address), None)
