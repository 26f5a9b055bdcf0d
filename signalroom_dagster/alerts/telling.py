"""Who is told, and when: failures in, at most one message per incident out, then a summary, then
the recovery.

An alert is rather sent twice than never: one whose outcome is unknown is looked up, and sent again
when it is not found or cannot be looked up; one that cannot be booked, because the state disk is
full, is sent all the same, and says so.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from signalroom_dagster.alerts.incident_file import NotBookedError
from signalroom_dagster.alerts.incidents import (
    FIRST_SUMMARY_SECONDS,
    Failure,
    Incident,
    Incidents,
    Kind,
)
from signalroom_dagster.alerts.wording import (
    body,
    delivery_subject,
    headline,
    moment,
    report_subject,
)
from signalroom_dagster.config import state_dir
from signalroom_dagster.notifications.delivery import look_up, send
from signalroom_dagster.notifications.message import (
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.redaction import mask
from signalroom_dagster.registry.clients import get_client

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0
REFUSED_SECONDS = 15 * 60.0
MOST_AT_ONCE = 20
LONGEST_WORDS = 400
UNBOOKED = (
    "This alert could not be booked: is the disk of DAGSTER_HOME full? Until that is mended, it may"
    " come again."
)
_unbooked: dict[tuple[str, str, str], float] = {}
"""When this process last told of what it could not book: all that is left of an incident then."""


def incidents() -> Incidents:
    """This machine's incidents."""
    return Incidents(state_dir() / "incidents.sqlite")


def open_incidents() -> Sequence[Incident]:
    """What is broken now; nothing, with a word in the log, when that cannot be read."""
    try:
        return incidents().open()
    except NotBookedError as error:
        log.error("%s", error)
        return []


def failed(failure: Failure) -> None:
    """Count a failure and tell what is to be told. One warehouse that is down is one incident,
    whoever notices it.
    """
    safe = _as_told(failure)
    try:
        incidents().note(safe)
    except NotBookedError as error:
        log.error("%s", error)
        _tell_unbooked(safe)
    else:
        tell()


def recovered(kind: Kind, subject: str, client: str, *, announce: bool = True) -> None:
    """Something worked: announce it when it was broken. Whatever was loaded or made needed the
    warehouse, too.
    """
    _unbooked.pop((kind, subject, client), None)
    kept = incidents()
    try:
        closed = kept.recovered(kind, subject, client, announce=announce)
        if kind in ("source", "table"):
            closed += kept.recovered("warehouse", "warehouse", "")
    except NotBookedError as error:
        log.error("%s", error)
        return
    if closed:
        tell()


def report_delivered(name: str, day: date, client: str) -> None:
    """One day's report is with everybody that gets it: what was wrong with it is over, with other
    days' it is not.
    """
    recovered("report", report_subject(name, day), client)
    recovered("check", delivery_subject(name, day), client)


def tell() -> int:
    """Send whatever is due now; the number of messages. Never raises for a provider: what is not
    sent stays due.
    """
    kept = incidents()
    sent = 0
    try:
        while sent < MOST_AT_ONCE and (incident := kept.claim()):
            if not _told(kept, incident):
                break
            sent += 1
    except NotBookedError as error:
        log.error("%s", error)
    return sent


def _tell_unbooked(failure: Failure) -> None:
    """Send an alert that nothing remembers: the same at most every half hour from one process."""
    now, about = time.time(), (failure.kind, failure.subject, failure.client)
    if now - _unbooked.get(about, 0.0) < FIRST_SUMMARY_SECONDS:
        return
    incident = Incident(
        id=0,
        kind=failure.kind,
        subject=failure.subject,
        client=failure.client,
        error=failure.error,
        concerns=failure.concerns,
        said=failure.said,
        attempts=failure.attempts,
        run=failure.run,
        touched=(failure.touches,) if failure.touches else (),
        failures=1,
        opened_at=now,
        last_at=now,
        closed_at=None,
        told=0,
        in_doubt=False,
    )
    text = f"{body(incident)}\n{UNBOOKED}"
    try:
        send(_message(headline(incident), text, f"unbooked/{failure.run}/{'/'.join(about)}"))
        _unbooked[about] = now
    except (
        NotConfiguredError,
        PermanentDeliveryError,
        RetryableDeliveryError,
        UnknownOutcomeError,
    ) as error:
        log.error(
            "an alert on %s %s was neither booked nor sent: %s",
            failure.subject,
            failure.client,
            error,
        )


def loaded(source: str, client: str, rows: int, run: str) -> None:
    """Say that a source has brought rows, when the client's `notify_on_success` asks for it."""
    if not rows or source not in get_client(client).notify_on_success:
        return
    try:
        send(_message("", f"{source} {client}: {rows:,} rows", f"loaded/{run}/{source}/{client}"))
    except (
        NotConfiguredError,
        PermanentDeliveryError,
        RetryableDeliveryError,
        UnknownOutcomeError,
    ) as error:
        log.warning("a notice of success was not sent: %s", error)


def _told(kept: Incidents, incident: Incident) -> bool:
    """Whether the incident's message is out; when not, it is released for a later time."""
    what = f"an alert on {incident.subject} {incident.client}".rstrip()
    try:
        message = _message(headline(incident), body(incident), _key(incident))
        if not (incident.in_doubt and _is_out(message)):
            send(message)
    except (NotConfiguredError, PermanentDeliveryError) as error:
        log.warning("%s was not sent: %s", what, error)
        kept.release(incident, REFUSED_SECONDS)
    except RetryableDeliveryError as error:
        log.warning("%s is sent later: %s", what, error)
        kept.release(incident, max(AGAIN_SECONDS, error.retry_after or 0.0))
    except UnknownOutcomeError as error:
        log.warning("%s may have been sent, and is looked up later: %s", what, error)
        kept.release(incident, AGAIN_SECONDS, in_doubt=True)
    else:
        kept.settle(incident)
        return True
    return False


def _key(incident: Incident) -> str:
    """The same for a message that is tried again, also when more failures have come in
    meanwhile.
    """
    return f"incident/{incident.id}-{incident.opened_at:.0f}/{moment(incident)}/{incident.told}"


def _is_out(message: Message) -> bool:
    try:
        return look_up(message) is not None
    except UnknownOutcomeError:
        return False


def _message(subject: str, text: str, key: str) -> Message:
    from signalroom_dagster.notifications.slack import alert_channel

    return Message(channel="slack", recipient=alert_channel(), subject=subject, text=text, key=key)


def _as_told(failure: Failure) -> Failure:
    """Without anybody's data; under the warehouse's own name when that is what failed."""
    safe = replace(failure, said=mask(failure.said)[:LONGEST_WORDS])
    if failure.concerns != "warehouse":
        return safe
    touches = (failure.client, failure.subject) if failure.client else None
    return replace(safe, kind="warehouse", subject="warehouse", client="", touches=touches)
