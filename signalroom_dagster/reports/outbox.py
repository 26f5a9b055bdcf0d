"""Sending a report once to each recipient, whatever dies in between.

What is about to be sent is written down right before the call that sends it, in a transaction of
its own, and noted as sent afterwards. Whoever finds an intent without an outcome asks the provider,
who has three answers: the message is there, and counts as sent; it is not there, and is sent; or it
cannot tell, and the delivery stays `unknown`. An e-mail needs no answer for a day: it is sent again
with the same key and words, which its provider takes for the same message. A fresh intent is
another process's, which may be in its call: it is waited for.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias

from signalroom_dagster.notifications.message import (
    Channel,
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    Picture,
    RetryableDeliveryError,
    Sender,
    UnknownOutcomeError,
)
from signalroom_dagster.reports.archive import stored
from signalroom_dagster.reports.rendering import CHART_NAME, Rendered
from signalroom_dagster.reports.tables import DELIVERIES, WRITE_DELIVERY
from signalroom_dagster.warehouse.access import Query, exclusive, lock, transaction

log = logging.getLogger(__name__)

Status: TypeAlias = Literal["intended", "sent", "unknown", "failed", "refused", "skipped"]
Again: TypeAlias = Literal["unknown", "all"]
"""What is sent once more under a new key: what nobody can tell has arrived, or everything."""

SAME_KEY_FOR = timedelta(hours=23)
"""How long an e-mail may be sent again with its key: the provider forgets keys after a day."""
CALL_TAKES = timedelta(seconds=45)
"""How long the process that wrote an intent may be in its call."""
SHOWN_AFTER = timedelta(seconds=10)
"""How long a provider may take to show what it took; before that, what it does not show may still
come.
"""
SHADOW = "reports.send is false"


class BeingSentError(RetryableDeliveryError):
    """Another process is sending the same, or died at it a moment ago: to be looked at again after
    `retry_after`.
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
        who = hashlib.sha256(self.recipient.encode()).hexdigest()[:16]
        return f"{self.client_id}-{self.report}-{self.day}-{self.channel}-{who}-{self.number}"


def deliver(
    wanted: Delivery,
    rendered: Rendered,
    run_id: str,
    sender: Sender | None,
    *,
    resend: Again | None = None,
    unsent: str = SHADOW,
) -> Delivery:
    """Bring one report to one recipient, unless it is there already; what stands in the outbox
    afterwards.

    Without a sender everything is done but the sending, for the reason `unsent`. What is asked for
    again goes out once in a run, however often that is tried. Raises PermanentDeliveryError and
    RetryableDeliveryError, which are noted first: as `refused` or `failed`, or as `unknown` where
    the message may have arrived.
    """
    last = _last(wanted)
    again = resend if last and last.run_id != run_id else None
    if last and last.status == "refused" and last.run_id == run_id:
        raise PermanentDeliveryError(last.error)
    if last and last.status in ("intended", "unknown") and sender:
        last = _resolved(last, sender, run_id, is_last_word=again is None)
    if last and not (
        last.status in ("failed", "refused", "skipped")
        or (again and sender and _goes_again(last, again))
    ):
        return last
    number = last.number + (last.status in ("sent", "unknown")) if last else 1
    new = replace(wanted, number=number, intent_at=datetime.now(UTC))
    message = message_of(new, rendered)
    if sender is None or message is None:
        return _note(
            replace(new, status="skipped", error="nothing to say" if sender else unsent),
            last,
            run_id,
        )
    return _send(new, last, message, sender, run_id)


def _goes_again(last: Delivery, again: Again | None) -> bool:
    return (last.status == "unknown" and again is not None) or (
        last.status == "sent" and again == "all"
    )


def _resolved(delivery: Delivery, sender: Sender, run_id: str, *, is_last_word: bool) -> Delivery:
    """A delivery whose outcome nobody knows, after asking the provider: sent by now, or still
    unknown.

    Raises what `deliver` raises; where asking again later may tell, RetryableDeliveryError, if that
    `is_last_word`.
    """
    message = message_of(delivery, _as_it_was(delivery))
    if message is None:
        raise LookupError(f"{delivery.key}: there is an intent, but nothing to say")
    began = delivery.intent_at or datetime.min.replace(tzinfo=UTC)
    if delivery.channel == "email" and datetime.now(UTC) - began < SAME_KEY_FOR:
        return _send(delivery, delivery, message, sender, run_id)
    if delivery.status == "intended" and (left := _seconds_until(began + CALL_TAKES)) > 0:
        raise BeingSentError("another process is sending it, or died at that a moment ago", left)
    try:
        provider_id = sender.look_up(message, began, _others(delivery))
    except (UnknownOutcomeError, NotConfiguredError) as error:
        noted = _unknown(delivery, error, run_id)
        if is_last_word and isinstance(error, UnknownOutcomeError) and error.passing:
            raise RetryableDeliveryError(f"{noted.error}; {error}", in_doubt=True) from None
        return noted
    if provider_id:
        return _note(
            replace(delivery, status="sent", provider_id=provider_id, error=None), delivery, run_id
        )
    if (left := _seconds_until((delivery.settled_at or began) + SHOWN_AFTER)) > 0:
        raise RetryableDeliveryError(f"{delivery.error}; it is not there yet", left, in_doubt=True)
    log.info("%s has not arrived, and is sent", delivery.key)
    return _send(
        replace(delivery, intent_at=datetime.now(UTC), error=None),
        delivery,
        message,
        sender,
        run_id,
    )


def _seconds_until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _unknown(delivery: Delivery, error: Exception, run_id: str) -> Delivery:
    """A delivery of which its provider cannot tell either; what was noted first as its cause and
    its run stays.
    """
    cause = delivery.error or "interrupted while sending"
    log.warning(
        "%s: it is not known whether this was sent; not sent again: %s; %s",
        delivery.key,
        cause,
        error,
    )
    if delivery.status == "unknown" and delivery.error:
        return delivery
    return _note(
        replace(delivery, status="unknown", error=cause), delivery, delivery.run_id or run_id
    )


def _send(
    delivery: Delivery, last: Delivery | None, message: Message, sender: Sender, run_id: str
) -> Delivery:
    """Send; the intent is written right before the call, if the outbox still holds what it held
    when that was decided.

    An e-mail that is sent again with its key keeps its intent: the key's day began with it.
    """
    seen, is_repeated = last, delivery is last

    def intend() -> None:
        nonlocal seen
        if not is_repeated:
            intent = replace(delivery, status="intended", error=None)
            if _note(intent, last, run_id) is not intent:
                raise BeingSentError("another process is sending it", CALL_TAKES.total_seconds())
            seen = intent

    try:
        provider_id = sender.send(message, intend)
    except NotConfiguredError as error:
        log.warning("%s is skipped: %s", delivery.key, error)
        return _note(replace(delivery, status="skipped", error=str(error)), seen, run_id)
    except BeingSentError:
        raise
    except UnknownOutcomeError as error:
        _note(replace(delivery, status="unknown", error=str(error)), seen, run_id)
        raise RetryableDeliveryError(
            str(error), SHOWN_AFTER.total_seconds(), in_doubt=True
        ) from None
    except RetryableDeliveryError as error:
        in_doubt = error.in_doubt or is_repeated
        _note(
            replace(delivery, status="unknown" if in_doubt else "failed", error=str(error)),
            seen,
            run_id,
        )
        raise
    except PermanentDeliveryError as error:
        _note(replace(delivery, status="refused", error=str(error)), seen, run_id)
        raise
    return _note(
        replace(delivery, status="sent", provider_id=provider_id, error=None), seen, run_id
    )


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
    names = (
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
    rows = query(
        f"SELECT {', '.join(names)} FROM {DELIVERIES} WHERE _client_id = %s AND report = %s AND"
        " date = %s ORDER BY channel, recipient, number",
        client_id,
        report,
        day,
    )
    return [
        Delivery(client_id=client_id, report=report, day=day, **dict(zip(names, row, strict=True)))
        for row in rows
    ]


def _note(delivery: Delivery, seen: Delivery | None, run_id: str) -> Delivery:
    """Write what came of a delivery, unless the outbox no longer holds what was `seen`; what it
    holds then.

    Another process has been at it in that case, and its word counts; but what was sent was sent.
    """
    with (
        exclusive(),
        transaction(f"client {delivery.client_id}, deliveries of {delivery.report}") as query,
    ):
        lock(query, "|".join((DELIVERIES, *map(str, _address(delivery)))))
        last = _last_of(query, delivery)
        if last and delivery.status != "sent" and (seen is None or _state(last) != _state(seen)):
            return last
        settled = datetime.now(UTC) if delivery.status != "intended" else None
        query(
            WRITE_DELIVERY,
            *_address(delivery),
            delivery.number,
            delivery.key,
            delivery.version,
            delivery.intent_at,
            delivery.status,
            delivery.provider_id,
            delivery.error,
            settled,
            run_id,
        )
    return delivery


def _address(item: Delivery) -> tuple[str, str, date, str, str]:
    return item.client_id, item.report, item.day, item.channel, item.recipient


def _state(item: Delivery) -> tuple[int, Status, datetime | None]:
    return item.number, item.status, item.intent_at


def _last(wanted: Delivery) -> Delivery | None:
    with (
        exclusive(),
        transaction(f"client {wanted.client_id}, deliveries of {wanted.report}") as query,
    ):
        return _last_of(query, wanted)


def _last_of(query: Query, wanted: Delivery) -> Delivery | None:
    kept = deliveries(query, wanted.client_id, wanted.report, wanted.day)
    return next((item for item in reversed(kept) if _address(item) == _address(wanted)), None)


def _others(delivery: Delivery) -> frozenset[str]:
    """The ids of what else the recipient has been sent: a text message is looked up by its text."""
    with (
        exclusive(),
        transaction(f"client {delivery.client_id}, deliveries of {delivery.report}") as query,
    ):
        rows = query(
            f"SELECT provider_id FROM {DELIVERIES} WHERE _client_id = %s AND channel = %s AND"
            " recipient = %s AND provider_id IS NOT NULL",
            delivery.client_id,
            delivery.channel,
            delivery.recipient,
        )
    return frozenset(provider_id for (provider_id,) in rows)


def _as_it_was(delivery: Delivery) -> Rendered:
    """What the intent was about: the same key has to go with the same words."""
    with exclusive(), transaction(f"client {delivery.client_id}, {delivery.report}") as query:
        return stored(query, delivery.client_id, delivery.report, delivery.day, delivery.version)
