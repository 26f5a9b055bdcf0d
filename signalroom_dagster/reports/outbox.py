"""Sending a report once to each recipient, whatever dies in between.

What is about to be sent is written down right before the call that sends it, in a transaction of
its own, and noted as sent afterwards. Whoever finds an intent without an outcome asks the provider,
who has three answers: the message is there, and counts as sent; it is not there, and is sent; or it
cannot tell, and the delivery stays `unknown`. An e-mail needs no answer for a day: it is sent again
with the same key and words, which its provider takes for the same message. A fresh intent is
another process's, which may be in its call: it is waited for.
"""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from signalroom_dagster.notifications.message import (
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    Picture,
    RetryableDeliveryError,
    Sender,
    UnknownOutcomeError,
)
from signalroom_dagster.reports.archive import stored
from signalroom_dagster.reports.deliveries import Delivery, last_delivery, note, other_provider_ids
from signalroom_dagster.reports.rendering import CHART_NAME, Rendered
from signalroom_dagster.warehouse.access import exclusive, transaction

log = logging.getLogger(__name__)

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


def deliver(
    delivery: Delivery,
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
    last = last_delivery(delivery)
    again = resend if last and last.run_id != run_id else None
    if last and last.status == "refused" and last.run_id == run_id:
        raise PermanentDeliveryError(last.error)
    if last and last.status in ("intended", "unknown") and sender:
        last = _resolved(last, sender, run_id, is_last_word=again is None)
    if last and not _goes_out(last, again if sender else None):
        return last
    number = last.number + (last.status in ("sent", "unknown")) if last else 1
    new = replace(delivery, number=number, intent_at=datetime.now(UTC))
    message = message_of(new, rendered)
    if sender and message:
        return _send(new, last, message, sender, run_id)
    skipped = replace(new, status="skipped", error="nothing to say" if sender else unsent)
    return note(skipped, last, run_id)


def _goes_out(last: Delivery, again: Again | None) -> bool:
    """Whether a recipient that has a delivery already gets another one."""
    if last.status in ("sent", "unknown"):
        return again == "all" or (again == "unknown" and last.status == "unknown")
    return last.status in ("failed", "refused", "skipped")


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
        provider_id = sender.look_up(message, began, other_provider_ids(delivery))
    except (UnknownOutcomeError, NotConfiguredError) as error:
        noted = _unknown(delivery, error, run_id)
        if is_last_word and isinstance(error, UnknownOutcomeError) and error.passing:
            raise RetryableDeliveryError(f"{noted.error}; {error}", in_doubt=True) from None
        return noted
    if provider_id:
        sent = replace(delivery, status="sent", provider_id=provider_id, error=None)
        return note(sent, delivery, run_id)
    if (left := _seconds_until((delivery.settled_at or began) + SHOWN_AFTER)) > 0:
        raise RetryableDeliveryError(f"{delivery.error}; it is not there yet", left, in_doubt=True)
    log.info("%s has not arrived, and is sent", delivery.key)
    anew = replace(delivery, intent_at=datetime.now(UTC), error=None)
    return _send(anew, delivery, message, sender, run_id)


def _seconds_until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _unknown(delivery: Delivery, error: Exception, run_id: str) -> Delivery:
    """A delivery of which its provider cannot tell either; what was noted first as its cause and
    its run stays.
    """
    cause = delivery.error or "interrupted while sending"
    text = "%s: it is not known whether this was sent; not sent again: %s; %s"
    log.warning(text, delivery.key, cause, error)
    if delivery.status == "unknown" and delivery.error:
        return delivery
    unknown = replace(delivery, status="unknown", error=cause)
    return note(unknown, delivery, delivery.run_id or run_id)


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
            if note(intent, last, run_id) is not intent:
                raise BeingSentError("another process is sending it", CALL_TAKES.total_seconds())
            seen = intent

    try:
        provider_id = sender.send(message, intend)
    except NotConfiguredError as error:
        log.warning("%s is skipped: %s", delivery.key, error)
        return note(replace(delivery, status="skipped", error=str(error)), seen, run_id)
    except BeingSentError:
        raise
    except UnknownOutcomeError as error:
        note(replace(delivery, status="unknown", error=str(error)), seen, run_id)
        shown_after = SHOWN_AFTER.total_seconds()
        raise RetryableDeliveryError(str(error), shown_after, in_doubt=True) from None
    except RetryableDeliveryError as error:
        status = "unknown" if error.in_doubt or is_repeated else "failed"
        note(replace(delivery, status=status, error=str(error)), seen, run_id)
        raise
    except PermanentDeliveryError as error:
        note(replace(delivery, status="refused", error=str(error)), seen, run_id)
        raise
    sent = replace(delivery, status="sent", provider_id=provider_id, error=None)
    return note(sent, seen, run_id)


def message_of(delivery: Delivery, rendered: Rendered) -> Message | None:
    """A report as a message of a channel; None where it says nothing."""
    text = {"slack": rendered.slack, "email": rendered.text, "sms": rendered.sms}[delivery.channel]
    if not text:
        return None
    is_email = delivery.channel == "email"
    chart = rendered.chart if delivery.channel != "sms" else None
    return Message(
        channel=delivery.channel,
        recipient=delivery.recipient,
        subject=rendered.subject if is_email else "",
        text=text,
        html=rendered.html if is_email else None,
        pictures=(Picture(name=CHART_NAME, content=chart, alt=rendered.alt),) if chart else (),
        key=delivery.key,
    )


def _as_it_was(delivery: Delivery) -> Rendered:
    """What the intent was about: the same key has to go with the same words."""
    with exclusive(), transaction(str(delivery)) as query:
        return stored(query, delivery.client_id, delivery.report, delivery.day, delivery.version)
