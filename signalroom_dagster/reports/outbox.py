"""Sending a report once to each recipient, whatever dies in between.

What is about to be sent is written down first, in a transaction of its own, then sent, then noted as sent. Whoever
finds an intent without an outcome does not know whether the provider took the message: an e-mail is sent again with the
same key and words, which its provider takes for the same message for a day; of other channels the provider is asked,
and what it cannot tell stays `unknown` and is not sent again. Only `resend` sends something twice, with a new key, and
once in a run, however often that is tried.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from signalroom_dagster.loading.warehouse import Query, exclusive, lock, transaction
from signalroom_dagster.notifications.message import (
    Channel,
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    Picture,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.reports.archive import stored
from signalroom_dagster.reports.rendering import CHART_NAME, Rendered
from signalroom_dagster.reports.tables import DELIVERIES, WRITE_DELIVERY, create_report_tables

log = logging.getLogger(__name__)

Status: TypeAlias = Literal["intended", "sent", "unknown", "failed", "skipped"]

SAME_KEY_FOR = timedelta(hours=23)
"""How long an e-mail may be sent again with its key: the provider forgets keys after a day."""
SHADOW = "reports.send is false"


class Sender(Protocol):
    """What sends: `notifications.delivery`, or a test's own."""

    def send(self, message: Message) -> str:
        """Send; the provider's id. Raises the errors of `notifications.message`."""
        ...

    def look_up(self, message: Message) -> str | None:
        """The provider's id of a message that it has, None when it has not or cannot tell."""
        ...


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
    provider_id: str | None = None
    error: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key: the same for one delivery, and nobody's address in it."""
        who = hashlib.sha256(self.recipient.encode()).hexdigest()[:16]
        return f"{self.client_id}-{self.report}-{self.day}-{self.channel}-{who}-{self.number}"


def deliver(
    wanted: Delivery, rendered: Rendered, run_id: str, sender: Sender | None, *, resend: bool = False
) -> Delivery:
    """Bring one report to one recipient, unless it is there already; what stands in the outbox afterwards.

    Without a sender everything is done but the sending. Raises PermanentDeliveryError and RetryableDeliveryError, which
    are noted first: as `failed`, or as `unknown` where the message may have arrived.
    """
    found, is_new = _intend(wanted, run_id, resend=resend, is_shadow=sender is None)
    if sender is None or found.status in ("sent", "skipped"):
        return found
    message = message_of(found, rendered if is_new else _as_it_was(found))
    if message is None:
        return _settle(replace(found, status="skipped", error="nothing to say"), run_id)
    if not is_new and not _may_repeat(found):
        return _settle(_looked_up(found, message, sender, "interrupted while sending"), run_id)
    return _send(found, message, sender, run_id)


def message_of(delivery: Delivery, rendered: Rendered) -> Message | None:
    """A report as a message of a channel; None where it says nothing."""
    text = {"slack": rendered.slack, "email": rendered.text, "sms": rendered.sms}[delivery.channel]
    if not text:
        return None
    chart = rendered.chart if delivery.channel != "sms" else None
    return Message(
        channel=delivery.channel,
        recipient=delivery.recipient,
        subject=rendered.subject if delivery.channel == "email" else "",
        text=text,
        html=rendered.html if delivery.channel == "email" else None,
        pictures=(Picture(name=CHART_NAME, content=chart, alt=rendered.alt),) if chart else (),
        key=delivery.key,
    )


def deliveries(query: Query, client_id: str, report: str, day: date) -> Sequence[Delivery]:
    """What the outbox holds of a report, in order."""
    rows = query(
        "SELECT channel, recipient, version, number, status, run_id, intent_at, provider_id, error "
        f"FROM {DELIVERIES} WHERE _client_id = %s AND report = %s AND date = %s ORDER BY channel, recipient, number",
        client_id, report, day,
    )  # fmt: skip
    names = ("channel", "recipient", "version", "number", "status", "run_id", "intent_at", "provider_id", "error")
    return [Delivery(client_id=client_id, report=report, day=day, **dict(zip(names, row, strict=True))) for row in rows]


def _intend(wanted: Delivery, run_id: str, *, resend: bool, is_shadow: bool) -> tuple[Delivery, bool]:
    """The delivery to work on, and whether its intent was written just now."""
    with exclusive():
        create_report_tables()
    with exclusive(), transaction(f"client {wanted.client_id}, deliveries of {wanted.report}") as query:
        _hold(query, wanted)
        last = _of_recipient(query, wanted)[-1:]
        is_asked_again = resend and bool(last) and last[0].run_id != run_id
        if last and last[0].status in ("sent", "intended", "unknown") and not is_asked_again:
            return last[0], False
        again = bool(last) and last[0].status not in ("failed", "skipped")
        number = last[0].number + again if last else 1
        status: Status = "skipped" if is_shadow else "intended"
        intent = replace(
            wanted, number=number, status=status, error=SHADOW if is_shadow else None, intent_at=datetime.now(UTC)
        )
        _write(query, intent, run_id)
        return intent, True


def _may_repeat(delivery: Delivery) -> bool:
    """Whether sending again with the same key cannot send twice."""
    age = datetime.now(UTC) - (delivery.intent_at or datetime.min.replace(tzinfo=UTC))
    return delivery.channel == "email" and age < SAME_KEY_FOR


def _looked_up(delivery: Delivery, message: Message, sender: Sender, why: str) -> Delivery:
    """A delivery whose outcome nobody knows, after asking the provider."""
    try:
        found = sender.look_up(message)
    except Exception as error:  # whatever keeps us from asking: the outcome stays unknown
        log.warning("%s: the provider could not be asked: %s", delivery.key, type(error).__name__)
        found = None
    if found:
        return replace(delivery, status="sent", provider_id=found)
    log.warning("%s: it is not known whether this was sent; not sent again (resend does): %s", delivery.key, why)
    return replace(delivery, status="unknown", error=f"{why}; not sent again")


def _send(delivery: Delivery, message: Message, sender: Sender, run_id: str) -> Delivery:
    try:
        provider_id = sender.send(message)
    except NotConfiguredError as error:
        log.warning("%s is skipped: %s", delivery.key, error)
        return _settle(replace(delivery, status="skipped", error=str(error)), run_id)
    except UnknownOutcomeError as error:
        return _settle(_looked_up(delivery, message, sender, str(error)), run_id)
    except (PermanentDeliveryError, RetryableDeliveryError) as error:
        in_doubt = isinstance(error, RetryableDeliveryError) and error.in_doubt
        _settle(replace(delivery, status="unknown" if in_doubt else "failed", error=str(error)), run_id)
        raise
    return _settle(replace(delivery, status="sent", provider_id=provider_id, error=None), run_id)


def _settle(delivery: Delivery, run_id: str) -> Delivery:
    """Note what came of a delivery. That it was sent stands, whatever another run makes of it."""
    with exclusive(), transaction(f"client {delivery.client_id}, deliveries of {delivery.report}") as query:
        _hold(query, delivery)
        if delivery.status != "sent":
            noted = [item for item in _of_recipient(query, delivery) if item.number == delivery.number]
            if noted and noted[0].status == "sent":
                return noted[0]
        _write(query, delivery, run_id)
    return delivery


def _hold(query: Query, item: Delivery) -> None:
    """Keep others from the same recipient's deliveries until the transaction ends."""
    lock(query, f"{DELIVERIES}|{item.client_id}|{item.report}|{item.day}|{item.channel}|{item.recipient}")


def _of_recipient(query: Query, wanted: Delivery) -> Sequence[Delivery]:
    found = deliveries(query, wanted.client_id, wanted.report, wanted.day)
    return [item for item in found if (item.channel, item.recipient) == (wanted.channel, wanted.recipient)]


def _write(query: Query, item: Delivery, run_id: str) -> None:
    settled = datetime.now(UTC) if item.status != "intended" else None
    query(
        WRITE_DELIVERY, item.client_id, item.report, item.day, item.channel, item.recipient, item.number, item.key,
        item.version, item.intent_at, item.status, item.provider_id, item.error, settled, run_id,
    )  # fmt: skip


def _as_it_was(delivery: Delivery) -> Rendered:
    """What the intent was about: the same key has to go with the same words."""
    with exclusive(), transaction(f"client {delivery.client_id}, {delivery.report}") as query:
        return stored(query, delivery.client_id, delivery.report, delivery.day, delivery.version)
