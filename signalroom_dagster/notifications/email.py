"""E-mail through Resend: one request per recipient, so that nobody sees who else is told.

The idempotency key makes a message that may have been sent safe to send again for 24 hours.
https://resend.com/docs/api-reference/emails/send-email ·
https://resend.com/docs/dashboard/emails/idempotency-keys
"""

import base64
import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from signalroom_dagster.notifications.calls import call, said, seconds_to_wait
from signalroom_dagster.notifications.message import (
    BeforeCall,
    Message,
    PermanentDeliveryError,
    Picture,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.notifications.settings import Email, configured

if TYPE_CHECKING:
    import httpx

LONGEST_KEY = 256
BEING_SENT = "concurrent_idempotent_requests"
MEANING = {
    "missing_api_key": "check NOTIFICATIONS__EMAIL__API_KEY",
    "invalid_api_key": "check NOTIFICATIONS__EMAIL__API_KEY",
    "restricted_api_key": "the API key may not send; check NOTIFICATIONS__EMAIL__API_KEY",
    "invalid_from_address": "check NOTIFICATIONS__EMAIL__FROM_ADDRESS",
    "validation_error": (
        "is the domain of NOTIFICATIONS__EMAIL__FROM_ADDRESS verified, and the recipient an"
        " address?"
    ),
    "invalid_idempotent_request": "a message with this key but other content was accepted before",
    "daily_quota_exceeded": "the account's daily quota is used up",
    "monthly_quota_exceeded": "the account's monthly quota is used up",
}
"""What to do about a refusal, by its name. Resend's own words are not repeated: they quote
addresses.
"""


def send(message: Message, before: BeforeCall) -> str:
    """Hand one e-mail to Resend; its id there. See `delivery.send` for what it raises."""
    settings = configured(Email)
    headers = {
        "Authorization": f"Bearer {settings.api_key.get_secret_value()}",
        "Idempotency-Key": idempotency_key(message.key),
        "User-Agent": "signalroom",
    }
    url, body = f"{settings.base_url.rstrip('/')}/emails", _body(settings, message)
    before()
    try:
        answer = call("Resend", "POST", url, settings.timeout_seconds, headers=headers, json=body)
    except UnknownOutcomeError as error:
        raise RetryableDeliveryError(str(error), in_doubt=True) from None
    return _id(answer)


def look_up(message: Message, since: datetime, others: Collection[str]) -> str | None:
    """Raises UnknownOutcomeError: Resend has no look-up by key, and for a day does not need one."""
    configured(Email)
    raise UnknownOutcomeError("an e-mail cannot be looked up")


def idempotency_key(key: str) -> str:
    """The key as Resend takes it: at most 256 characters; a longer one by its digest."""
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


def _body(settings: Email, message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {
        "from": settings.from_address,
        "to": [message.recipient],
        "subject": " ".join(message.subject.split()),
        "text": message.text,
    }
    if message.html is not None:
        body["html"] = message.html
    if message.pictures:
        body["attachments"] = [_attachment(picture) for picture in message.pictures]
    return body


def _attachment(picture: Picture) -> dict[str, str]:
    return {
        "filename": picture.name,
        "content": base64.b64encode(picture.content).decode(),
        "content_type": "image/png",
        "content_id": picture.name,
    }


def _id(answer: "httpx.Response") -> str:
    body = said(answer)
    if answer.status_code < 300:
        return str(body.get("id", ""))
    name = str(body.get("name", ""))
    reason = name if name.replace("_", "").isalpha() else "no reason"
    problem = f"Resend answered {answer.status_code} {reason}"
    if reason in MEANING:
        problem += f": {MEANING[reason]}"
    wait = seconds_to_wait(answer.headers.get("Retry-After"))
    if reason == BEING_SENT or answer.status_code >= 500 or answer.status_code == 408:
        raise RetryableDeliveryError(problem, wait, in_doubt=True)
    if answer.status_code == 429 and not reason.endswith(
        "quota_exceeded"
    ):  # a quota does not pass by itself
        raise RetryableDeliveryError(problem, wait)
    raise PermanentDeliveryError(problem)
