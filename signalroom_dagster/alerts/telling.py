"""Who is told, and when: failures in, at most one message per incident out, then a summary, then the recovery.

An alert is rather sent twice than never: one whose outcome is unknown is looked up, and sent again when it is not found
or cannot be looked up.
"""

import logging
import re
from dataclasses import replace

from signalroom_dagster.alerts.incidents import Failure, Incident, Incidents, Kind
from signalroom_dagster.alerts.wording import body, headline, moment
from signalroom_dagster.clients import get_client
from signalroom_dagster.config import state_dir
from signalroom_dagster.notifications.delivery import look_up, send
from signalroom_dagster.notifications.message import (
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    RetryableDeliveryError,
    UnknownOutcomeError,
)

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0
REFUSED_SECONDS = 15 * 60.0
MOST_AT_ONCE = 20
LONGEST_WORDS = 400
WAREHOUSE_ERRORS = frozenset({"DestinationUnreachableError", "DestinationLostError", "WarehouseBusyError"})
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|\+\d{7,}|\d{11,}")


def incidents() -> Incidents:
    """This machine's incidents."""
    return Incidents(state_dir() / "incidents.sqlite")


def failed(failure: Failure) -> None:
    """Count a failure and tell what is to be told. One warehouse that is down is one incident, whoever notices it."""
    incidents().note(_as_told(failure))
    tell()


def recovered(kind: Kind, subject: str, client: str) -> None:
    """Something worked: announce it when it was broken. Whatever was loaded or made needed the warehouse, too."""
    kept = incidents()
    closed = kept.recovered(kind, subject, client)
    if kind in ("source", "table"):
        closed += kept.recovered("warehouse", "warehouse", "")
    if closed:
        tell()


def tell() -> int:
    """Send whatever is due now; the number of messages. Never raises for a provider: what is not sent stays due."""
    kept = incidents()
    sent = 0
    while sent < MOST_AT_ONCE and (incident := kept.claim()):
        if not _told(kept, incident):
            break
        sent += 1
    return sent


def loaded(source: str, client: str, rows: int, run: str) -> None:
    """Say that a source has brought rows, when the client's `notify_on_success` asks for it."""
    if not rows or source not in get_client(client).notify_on_success:
        return
    try:
        send(_message("", f"{source} {client}: {rows:,} rows", f"loaded/{run}/{source}/{client}"))
    except (NotConfiguredError, PermanentDeliveryError, RetryableDeliveryError, UnknownOutcomeError) as error:
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
    """The same for a message that is tried again, also when more failures have come in meanwhile."""
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
    safe = replace(failure, said=_PERSONAL.sub("***", failure.said)[:LONGEST_WORDS])
    if failure.error not in WAREHOUSE_ERRORS:
        return safe
    touches = (failure.client, failure.subject) if failure.client else None
    return replace(safe, kind="warehouse", subject="warehouse", client="", touches=touches)
