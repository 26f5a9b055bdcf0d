"""Text messages through Twilio, one segment each.

Twilio has no idempotency key: what may have been sent is looked up among the recipient's messages,
never just repeated. https://www.twilio.com/docs/messaging/api/message-resource ·
https://www.twilio.com/docs/api/errors
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from signalroom_dagster.notifications.calls import call, said, seconds_to_wait
from signalroom_dagster.notifications.gsm import fitted
from signalroom_dagster.notifications.message import (
    BeforeCall,
    Message,
    PermanentDeliveryError,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.notifications.settings import Sms, configured

if TYPE_CHECKING:
    import httpx

PASSING = frozenset({20429, 21611})
"""Never processed: too many at once, or the number's queue is full."""
MEANING = {
    20003: "check NOTIFICATIONS__SMS__ACCOUNT_SID and NOTIFICATIONS__SMS__AUTH_TOKEN",
    20404: "check NOTIFICATIONS__SMS__ACCOUNT_SID",
    21211: "the recipient is not a valid number; write it with + and country code",
    21212: "check NOTIFICATIONS__SMS__FROM_NUMBER",
    21408: "the account may not send to the recipient's country",
    21606: "NOTIFICATIONS__SMS__FROM_NUMBER is not a number of this account that can send",
    21608: "a trial account sends to verified numbers only",
    21610: "the recipient has opted out (STOP)",
    21614: "the recipient's number takes no text messages",
}
"""What to do about a refusal, by Twilio's code. Its own words are not repeated: they quote the
number.
"""
NOT_SENT = frozenset({"failed", "undelivered", "canceled"})
CLOCKS_DIFFER = timedelta(minutes=5)
PAGE_SIZE = 1_000


def send(message: Message, before: BeforeCall) -> str:
    """Hand one text message to Twilio, shortened to one segment; its sid. See `delivery.send` for
    what it raises.
    """
    settings = configured(Sms)
    form = {"To": message.recipient, "From": settings.from_number, "Body": fitted(message.text)}
    before()
    answer = _ask(settings, "POST", data=form)
    if answer.status_code < 300:
        return str(said(answer).get("sid", ""))
    raise _refusal(answer)


def look_up(message: Message, since: datetime, others: Collection[str]) -> str | None:
    """The sid of a message with this text to this number, none of `others`; None when there is none
    since then.

    Raises UnknownOutcomeError when Twilio cannot be asked, or has had more messages than it tells
    at once.
    """
    settings = configured(Sms)
    query = {"To": message.recipient, "From": settings.from_number, "PageSize": PAGE_SIZE}
    try:
        answer = _ask(settings, "GET", params=query)
    except PermanentDeliveryError as error:
        raise UnknownOutcomeError(f"the message cannot be looked up: {error}") from None
    except (RetryableDeliveryError, UnknownOutcomeError) as error:
        raise UnknownOutcomeError(
            f"the message cannot be looked up: {error}", passing=True
        ) from None
    listed = said(answer).get("messages")
    if answer.status_code >= 300 or not isinstance(listed, list):
        status = answer.status_code
        what = f"the message cannot be looked up: Twilio answered {status}"
        raise UnknownOutcomeError(what, passing=status in (200, 408, 429) or status >= 500)
    text, begin = fitted(message.text), since - CLOCKS_DIFFER
    try:
        recent = [
            sent for sent in listed if parsedate_to_datetime(str(sent.get("date_created"))) >= begin
        ]
    except (TypeError, ValueError):
        raise UnknownOutcomeError(
            "the message cannot be looked up: Twilio lists messages without a date"
        ) from None
    if ours := [
        str(sent["sid"]) for sent in recent if _is_it(sent, text) and sent["sid"] not in others
    ]:
        return ours[0]
    if len(recent) == len(listed) and said(answer).get("next_page_uri"):
        raise UnknownOutcomeError(f"the message is not among the last {len(listed)} to this number")
    return None


def _ask(settings: Sms, method: str, **request: Any) -> "httpx.Response":
    url = (
        f"{settings.base_url.rstrip('/')}/2010-04-01/Accounts/{settings.account_sid}/Messages.json"
    )
    account = (settings.account_sid, settings.auth_token.get_secret_value())
    return call("Twilio", method, url, settings.timeout_seconds, auth=account, **request)


def _refusal(answer: "httpx.Response") -> Exception:
    code = said(answer).get("code")
    problem = f"Twilio answered {answer.status_code}" + (
        f", code {code}" if isinstance(code, int) else ""
    )
    if code in MEANING:
        problem += f": {MEANING[code]}"
    if code in PASSING or answer.status_code == 429:
        return RetryableDeliveryError(problem, seconds_to_wait(answer.headers.get("Retry-After")))
    if answer.status_code >= 500 or answer.status_code == 408:
        return UnknownOutcomeError(problem)
    return PermanentDeliveryError(problem)


def _is_it(sent: dict[str, Any], text: str) -> bool:
    # A trial account puts words of its own before the text.
    return sent.get("status") not in NOT_SENT and str(sent.get("body", "")).endswith(text)
