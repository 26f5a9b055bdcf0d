"""From a request's body to what is stored: events, and dead letters for whatever is none.

A poison message becomes a dead letter and is answered as stored, because a refused one is delivered
again for ever.

https://cloud.google.com/pubsub/docs/push#receive_push
"""

import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.events.access import Tenants
from signalroom_dagster.events.contracts import Contract, Event
from signalroom_dagster.events.stores.jobs import letter
from signalroom_dagster.events.stores.store import DeadLetter, Received

Contracts = Mapping[str, Contract]


class ForbiddenError(SignalRoomError):
    """An event of a tenant that the sender may not send for; nothing of the request is stored."""


class TooLargeError(SignalRoomError):
    """The request is larger than is taken; nothing of it is stored."""


class PubSubMessage(msgspec.Struct, rename="camel"):
    """The message of a push; its id is absent when an emulator or a person sends it."""

    data: str = ""
    message_id: str = ""


class PubSubPush(msgspec.Struct):
    """The envelope of a push subscription that wraps its messages."""

    message: PubSubMessage


class Intake(NamedTuple):
    """What a request holds."""

    events: list[Received]
    letters: list[DeadLetter]


class Sender(NamedTuple):
    """For whom the request's sender may send (None: for everybody), and when it came."""

    tenants: Tenants | None
    at: datetime

    @property
    def named(self) -> str:
        """The tenant of a message that names none: the sender's, if it has one only."""
        return next(iter(self.tenants)) if self.tenants and len(self.tenants) == 1 else ""


MOST_EVENTS = 5_000
"""In a list: while one is read, no other request is."""
_ENVELOPE = msgspec.json.Decoder(PubSubPush)
_EVENT = msgspec.json.Decoder(Event)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def sent_now(tenants: Tenants | None) -> Sender:
    """A sender whose request comes now."""
    return Sender(tenants, datetime.now(UTC))


def from_pubsub(body: bytes, sender: Sender, contracts: Contracts) -> Intake:
    """What a push of Google Pub/Sub holds. Raises ForbiddenError."""
    found = Intake([], [])
    try:
        message = _ENVELOPE.decode(body).message
    except _UNREADABLE as error:
        found.letters.append(_poison(f"envelope: {_why(error)}", body, sender))
        return found
    try:
        data = binascii.a2b_base64(message.data, strict_mode=True)
    except (binascii.Error, ValueError):
        found.letters.append(_poison("data is not base64", body, sender))
        return found
    _add(found, data, _clean(message.message_id), sender, contracts)
    return found


def from_json(body: bytes, sender: Sender, contracts: Contracts) -> Intake:
    """What one event, or a list of events, as JSON holds. Raises ForbiddenError, TooLargeError."""
    found = Intake([], [])
    if not body.lstrip().startswith(b"["):
        _add(found, body, "", sender, contracts)
        return found
    try:
        every = _LIST.decode(body)
    except _UNREADABLE as error:
        found.letters.append(_poison(f"list: {_why(error)}", body, sender))
        return found
    if len(every) > MOST_EVENTS:
        raise TooLargeError(f"more than {MOST_EVENTS} events in one request")
    for one in every:
        _add(found, bytes(one), "", sender, contracts)
    return found


def _add(found: Intake, data: bytes, message_id: str, sender: Sender, contracts: Contracts) -> None:
    try:
        event = _EVENT.decode(data)
    except _UNREADABLE as error:
        found.letters.append(_poison(_why(error), data, sender, message_id))
        return
    if sender.tenants is not None and event.tenant_id not in sender.tenants:
        raise ForbiddenError("an event is of a tenant that this sender may not send for")
    payload = bytes(event.result)
    contract = contracts.get(event.tenant_id)
    if contract and event.analysis_type in contract.required and payload.lstrip().startswith(b"{"):
        found.events.append(
            Received(
                event.tenant_id,
                event.job_id,
                event.analysis_type,
                payload,
                message_id,
                sender.at,
                contract,
            )
        )
        return
    reason = (
        "result is not an object"
        if not payload.lstrip().startswith(b"{")
        else "unknown analysis type"
        if contract
        else "unknown tenant"
    )
    found.letters.append(
        letter(
            "ingest",
            reason,
            data,
            sender.at,
            tenant_id=event.tenant_id,
            job_id=event.job_id,
            analysis_type=event.analysis_type,
            message_id=message_id,
        )
    )


def _poison(reason: str, body: bytes, sender: Sender, message_id: str = "") -> DeadLetter:
    return letter(
        "ingest",
        f"poison: {reason}",
        body,
        sender.at,
        tenant_id=sender.named,
        message_id=message_id,
    )


def _why(error: Exception) -> str:
    """What is wrong, and where: msgspec names the place and the expected type, never a value."""
    return (
        str(error)[:200]
        if isinstance(error, msgspec.DecodeError)
        else "not UTF-8, or nested too deep"
    )


def _clean(message_id: str) -> str:
    return "".join(character for character in message_id[:128] if character.isprintable())
