"""Slack: the text as one message, pictures in its thread.

Slack has no idempotency key. A message carries its key as metadata, so that one whose outcome is
unknown can be looked up in the channel's history.
https://docs.slack.dev/reference/methods/chat.postMessage ·
https://docs.slack.dev/messaging/working-with-files#upload
"""

import logging
import re
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from signalroom_dagster.notifications.calls import call, seconds_to_wait
from signalroom_dagster.notifications.message import (
    BeforeCall,
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    Picture,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.notifications.mrkdwn import blocks, shortened
from signalroom_dagster.notifications.settings import Slack, configured

if TYPE_CHECKING:
    from slack_sdk import WebClient

log = logging.getLogger(__name__)
_SILENT = logging.getLogger(
    "signalroom_dagster.silent"
)  # the SDK logs what it sends and what it is answered
_SILENT.setLevel(logging.CRITICAL + 1)

LIMITED = frozenset({"ratelimited", "rate_limited"})
UNCERTAIN = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout"})
MEANING = {
    **dict.fromkeys(
        ("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"),
        "check NOTIFICATIONS__SLACK__TOKEN",
    ),
    "missing_scope": "the bot's token lacks a scope; see docs/OPERATIONS.md",
    "channel_not_found": "no such channel, or a private one that the bot was not invited to",
    "not_in_channel": "invite the bot to the channel",
    "is_archived": "the channel is archived",
}
EVENT = "signalroom_delivery"
CLOCKS_DIFFER = timedelta(hours=1)
PAGE, PAGES = 200, 20
CHANNEL_ID = re.compile(r"^[CGD][A-Z0-9]{5,}\Z")


def send(message: Message, before: BeforeCall) -> str:
    """Post one message; `<channel id>/<ts>`. See `delivery.send` for what it raises.

    Pictures are uploaded first, unseen, and shown in the thread after it. One that Slack refuses is
    left out with a warning: the text is what must arrive.
    """
    client = _client(configured(Slack))
    uploaded = _uploaded(client, message.pictures)
    text = shortened(message.text)
    before()
    with _sorted("chat.postMessage"):
        answer = client.chat_postMessage(
            channel=message.recipient,
            text=f"{message.subject}\n{text}" if message.subject else text,
            blocks=blocks(message.subject, text),
            metadata={"event_type": EVENT, "event_payload": {"key": message.key}},
            unfurl_links=False,
            unfurl_media=False,
        )
    channel, ts = str(answer["channel"]), str(answer["ts"])
    if uploaded:
        _show(client, uploaded, channel, ts)
    return f"{channel}/{ts}"


def look_up(message: Message, since: datetime, others: Collection[str]) -> str | None:
    """The id of the message with this key in the channel's history since then; None when it is not
    there.

    Pictures that whoever posted it did not come to show are put into its thread. Raises
    UnknownOutcomeError when the channel cannot be read so far back.
    """
    client = _client(configured(Slack))
    try:
        channel = _channel_id(client, message.recipient)
        posted = _posted(client, channel, message.key, since - CLOCKS_DIFFER)
    except PermanentDeliveryError as error:
        raise UnknownOutcomeError(f"the message cannot be looked up: {error}") from None
    except (RetryableDeliveryError, UnknownOutcomeError) as error:
        raise UnknownOutcomeError(
            f"the message cannot be looked up: {error}", passing=True
        ) from None
    if posted and message.pictures and not posted.get("reply_count"):
        _show_late(client, message.pictures, channel, str(posted["ts"]))
    return f"{channel}/{posted['ts']}" if posted else None


def alert_channel() -> str:
    """Where alerts go. Raises NotConfiguredError naming what to set."""
    if channel := configured(Slack).channel:
        return channel
    raise NotConfiguredError("nobody is told of alerts: set NOTIFICATIONS__SLACK__CHANNEL")


def _client(settings: Slack) -> "WebClient":
    from slack_sdk import WebClient

    return WebClient(
        token=settings.token.get_secret_value(),
        base_url=settings.base_url,
        timeout=settings.timeout_seconds,
        retry_handlers=[],
        logger=_SILENT,
    )


@contextmanager
def _sorted(method: str) -> Generator[None]:
    """Turn whatever the SDK raises into one of our errors, without its words: they hold URLs and
    the whole request.
    """
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        yield
    except SlackApiError as error:
        raise _refusal(method, error.response) from None
    except SlackClientError:
        raise PermanentDeliveryError(
            f"Slack {method}: the request cannot be made; is base_url a URL?"
        ) from None
    except URLError as error:  # urllib raises it until the whole request is out
        raise RetryableDeliveryError(
            f"Slack cannot be reached ({type(error.reason).__name__})"
        ) from None
    except Exception as error:  # timeouts, and http.client's own errors: an answer that broke off
        raise UnknownOutcomeError(
            f"Slack {method}: no whole answer ({type(error).__name__})"
        ) from None


def _refusal(method: str, response: Any) -> Exception:
    status = int(response.status_code)
    data: dict[str, Any] = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error", ""))
    code = code if re.fullmatch(r"[a-z_]{1,60}", code) else "no_reason"
    problem = f"Slack {method} answered {status} {code}" + (
        f": {MEANING[code]}" if code in MEANING else ""
    )
    if status == 429 or code in LIMITED:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return RetryableDeliveryError(problem, seconds_to_wait(headers.get("retry-after")))
    if status >= 500 or code in UNCERTAIN or (status < 300 and code == "no_reason"):
        return UnknownOutcomeError(problem)
    return PermanentDeliveryError(problem)


def _uploaded(client: "WebClient", pictures: Sequence[Picture]) -> list[dict[str, str]]:
    """The pictures that Slack takes, as files that nobody sees yet.

    Raises RetryableDeliveryError where it may take one later: nothing has been sent so far.
    """
    files: list[dict[str, str]] = []
    for picture in pictures:
        try:
            with _sorted("files.getUploadURLExternal"):
                place = client.files_getUploadURLExternal(
                    filename=picture.name, length=len(picture.content), alt_txt=picture.alt
                )
            answer = call(
                "Slack", "POST", str(place["upload_url"]), client.timeout, content=picture.content
            )
        except UnknownOutcomeError as error:
            raise RetryableDeliveryError(str(error)) from None
        except PermanentDeliveryError as error:
            log.warning("%s goes without its picture: %s", picture.name, error)
            continue
        if answer.status_code >= 500 or answer.status_code in (408, 429):
            raise RetryableDeliveryError(f"Slack did not take a picture ({answer.status_code})")
        if answer.status_code != 200:
            log.warning(
                "%s goes without its picture: its upload was answered %s",
                picture.name,
                answer.status_code,
            )
            continue
        files.append({"id": str(place["file_id"]), "title": picture.alt or picture.name})
    return files


def _show(client: "WebClient", files: list[dict[str, str]], channel: str, ts: str) -> None:
    """Put uploaded files into the thread. The text is out already, so a failure here is a
    warning.
    """
    try:
        with _sorted("files.completeUploadExternal"):
            client.files_completeUploadExternal(files=files, channel_id=channel, thread_ts=ts)  # pyright: ignore[reportArgumentType]
    except (PermanentDeliveryError, RetryableDeliveryError, UnknownOutcomeError) as error:
        log.warning("a message goes without its pictures: %s", error)


def _show_late(client: "WebClient", pictures: Sequence[Picture], channel: str, ts: str) -> None:
    """Show pictures below a message that is out already, so a failure here is a warning."""
    try:
        if uploaded := _uploaded(client, pictures):
            _show(client, uploaded, channel, ts)
    except RetryableDeliveryError as error:
        log.warning("a message goes without its pictures: %s", error)


def _channel_id(client: "WebClient", channel: str) -> str:
    """History is asked by id; a name is looked for among the channels that the bot sees."""
    if CHANNEL_ID.match(channel):
        return channel
    cursor = None
    for _ in range(PAGES):
        with _sorted("conversations.list"):
            page = client.conversations_list(limit=1_000, exclude_archived=True, cursor=cursor)
        for each in page.get("channels") or ():
            if each.get("name") == channel.removeprefix("#"):
                return str(each["id"])
        if not (cursor := (page.get("response_metadata") or {}).get("next_cursor")):
            break
    raise PermanentDeliveryError("the bot does not see the channel")


def _posted(client: "WebClient", channel: str, key: str, since: datetime) -> dict[str, Any] | None:
    """The message with this key, read to the end of what was posted since then."""
    oldest, cursor = str(since.timestamp()), None
    for _ in range(PAGES):
        with _sorted("conversations.history"):
            page = client.conversations_history(
                channel=channel, include_all_metadata=True, limit=PAGE, oldest=oldest, cursor=cursor
            )
        posted = page.get("messages")
        if not isinstance(posted, list):
            raise UnknownOutcomeError("Slack conversations.history answered without messages")
        for message in posted:
            metadata = message.get("metadata") or {}
            if (
                metadata.get("event_type") == EVENT
                and metadata.get("event_payload", {}).get("key") == key
            ):
                return message
        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        if not cursor and not page.get("has_more"):
            return None
        if not cursor:
            break
    raise PermanentDeliveryError(
        f"the message is not among the channel's last {PAGE * PAGES} messages"
    )
