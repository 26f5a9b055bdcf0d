"""Each channel against its stand-in: what is sent, what a refusal means, and when nobody can
know.
"""

import base64
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from signalroom_dagster.notifications.delivery import look_up, send
from signalroom_dagster.notifications.message import (
    Channel,
    Message,
    NotConfiguredError,
    PermanentDeliveryError,
    Picture,
    RetryableDeliveryError,
    UnknownOutcomeError,
)
from signalroom_dagster.sandbox.outbox import TOKEN
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers

RECIPIENTS: dict[Channel, str] = {
    "slack": "#reporting",
    "email": "ops@example.test",
    "sms": "+15550100001",
}
PATHS: dict[Channel, str] = {
    "slack": "chat.postMessage",
    "email": "/emails",
    "sms": "Messages.json",
}
CHANNELS = list(RECIPIENTS)
MORE = '{"ok": true, "messages": [], "has_more": true}'
PICTURE = Picture(name="cpa.png", content=b"\x89PNG synthetic", alt="CPA over 14 days")


def message(channel: Channel, **fields: Any) -> Message:
    given = {
        "text": "Spend 1,204.50",
        "subject": "713, 5 March",
        "key": "daily/713/2026-03-05",
        **fields,
    }
    return Message(**{"channel": channel, "recipient": RECIPIENTS[channel], **given})


def impatient(project: Project) -> None:
    project.set(**{f"NOTIFICATIONS__{name.upper()}__TIMEOUT_SECONDS": "1" for name in CHANNELS})


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_message_arrives_once_and_its_provider_gives_it_an_id(
    channel: Channel, providers: Providers
) -> None:
    given = send(message(channel))
    sent = providers.outbox.sent
    assert [(each.channel, each.recipient) for each in sent] == [(channel, RECIPIENTS[channel])]
    assert sent[0].text.endswith("Spend 1,204.50")
    assert given.endswith(sent[0].id)
    assert len(providers.server.requests) == 1


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("empty", [False, True], ids=["absent", "empty"])
def test_a_channel_without_credentials_says_what_to_set(
    channel: Channel, empty: bool, project: Project
) -> None:
    key = {"slack": "TOKEN", "email": "API_KEY", "sms": "AUTH_TOKEN"}[channel]
    if empty:
        project.set(**{f"NOTIFICATIONS__{channel.upper()}__{key}": ""})
    for ask in (send, look_up):
        with pytest.raises(NotConfiguredError, match=f"NOTIFICATIONS__{channel.upper()}__{key}"):
            ask(message(channel))


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_provider_that_cannot_be_reached_has_sent_nothing(
    channel: Channel, providers: Providers, project: Project
) -> None:
    project.set(**{f"NOTIFICATIONS__{channel.upper()}__BASE_URL": "http://127.0.0.1:9/api/"})
    with pytest.raises(RetryableDeliveryError, match="cannot be reached") as caught:
        send(message(channel))
    assert not caught.value.in_doubt


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_rate_limit_is_passed_on_with_the_wait_that_is_asked_for(
    channel: Channel, providers: Providers
) -> None:
    body = {
        "slack": {"ok": False, "error": "ratelimited"},
        "email": {"statusCode": 429, "name": "rate_limit_exceeded", "message": "slow down"},
        "sms": {"code": 20429, "message": "Too Many Requests", "status": 429},
    }[channel]
    providers.fail(PATHS[channel], status=429, headers={"Retry-After": "7"}, body=json.dumps(body))
    with pytest.raises(RetryableDeliveryError) as caught:
        send(message(channel))
    assert caught.value.retry_after == 7.0
    assert len(providers.server.requests) == 1
    assert providers.outbox.sent == []
    send(message(channel))
    assert len(providers.outbox.sent) == 1


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        ("slack", UnknownOutcomeError),
        ("email", RetryableDeliveryError),
        ("sms", UnknownOutcomeError),
    ],
)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_uncertain_except_where_the_key_protects(
    channel: Channel, error: type[Exception], status: int, providers: Providers
) -> None:
    providers.fail(PATHS[channel], status=status, body="<html>Bad gateway</html>")
    with pytest.raises(error, match=str(status)):
        send(message(channel))
    assert len(providers.server.requests) == 1


@pytest.mark.parametrize("channel", ["slack", "sms"])
def test_a_message_that_was_taken_without_an_answer_is_found_and_not_sent_again(
    channel: Channel, providers: Providers, project: Project
) -> None:
    impatient(project)
    assert look_up(message(channel)) is None
    providers.fail(PATHS[channel], late=3.0)
    with pytest.raises(UnknownOutcomeError, match="Timeout|timeout"):
        send(message(channel))
    assert len(providers.outbox.sent) == 1
    found = look_up(message(channel))
    assert found is not None
    assert found.endswith(providers.outbox.sent[0].id)
    assert look_up(message(channel, key="another", text="Another text")) is None


def test_an_email_that_was_taken_without_an_answer_is_sent_again_and_delivered_once(
    providers: Providers, project: Project
) -> None:
    impatient(project)
    providers.fail("/emails", late=3.0)
    with pytest.raises(RetryableDeliveryError, match="did not answer") as caught:
        send(message("email"))
    assert caught.value.in_doubt
    with pytest.raises(UnknownOutcomeError, match="cannot be looked up"):
        look_up(message("email"))
    assert send(message("email")) == providers.outbox.sent[0].id
    assert len(providers.outbox.sent) == 1


@pytest.mark.parametrize("channel", ["slack", "sms"])
def test_an_answer_that_breaks_off_is_uncertain(channel: Channel, providers: Providers) -> None:
    providers.fail(PATHS[channel], status=200, cut=True, body='{"ok": tr')
    with pytest.raises(UnknownOutcomeError):
        send(message(channel))


def test_an_answer_that_cannot_be_unpacked_is_uncertain(providers: Providers) -> None:
    providers.fail(
        "Messages.json", status=200, headers={"Content-Encoding": "gzip"}, body="not packed"
    )
    with pytest.raises(UnknownOutcomeError, match="DecodingError"):
        send(message("sms"))


@pytest.mark.parametrize(
    ("channel", "path", "fault", "passing"),
    [
        (
            "slack",
            "conversations.list",
            {"status": 200, "body": '{"ok": false, "error": "missing_scope"}'},
            False,
        ),
        (
            "slack",
            "conversations.history",
            {"status": 200, "body": '{"ok": false, "error": "missing_scope"}'},
            False,
        ),
        ("slack", "conversations.history", {"status": 503}, True),
        ("slack", "conversations.history", {"status": 200, "body": '{"ok": true}'}, True),
        ("slack", "conversations.history", {"status": 200, "body": MORE}, False),
        ("sms", "Messages.json", {"status": 429, "body": '{"code": 20429}'}, True),
        ("sms", "Messages.json", {"status": 401, "body": '{"code": 20003}'}, False),
        (
            "sms",
            "Messages.json",
            {"status": 200, "body": '{"messages": [{"date_created": null}]}'},
            False,
        ),
    ],
)
def test_a_look_up_that_fails_is_no_proof_of_anything_and_says_whether_to_ask_again(
    channel: Channel, path: str, fault: dict[str, Any], passing: bool, providers: Providers
) -> None:
    providers.fail(path, **fault)
    with pytest.raises(UnknownOutcomeError, match="cannot be looked up") as caught:
        look_up(message(channel))
    assert caught.value.passing is passing


@pytest.mark.parametrize("channel", ["slack", "sms"])
def test_what_was_sent_before_or_is_another_message_is_not_the_one_that_is_looked_for(
    channel: Channel, providers: Providers
) -> None:
    first = send(message(channel))
    assert look_up(message(channel), others=[first]) == (first if channel == "slack" else None)
    assert look_up(message(channel)) == first
    assert look_up(message("sms"), datetime.now(UTC) + timedelta(minutes=6)) is None


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_keeps_a_message_from_being_sent_is_asked_at_the_last_moment(
    channel: Channel, providers: Providers
) -> None:
    def refuse() -> None:
        asked.extend(request.path for request in providers.server.requests)
        raise LookupError

    asked: list[str] = []
    with pytest.raises(LookupError):
        send(message(channel, pictures=() if channel == "sms" else (PICTURE,)), refuse)
    assert providers.outbox.sent == []
    assert (
        len(asked) == len(providers.server.requests) == (2 if channel == "slack" else 0)
    )  # the picture is up


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_message_that_is_found_gets_the_pictures_that_its_poster_did_not_come_to_show(
    is_shown: bool, providers: Providers
) -> None:
    with_picture = message("slack", pictures=(PICTURE,))
    send(with_picture if is_shown else message("slack"))
    assert look_up(with_picture) is not None
    assert len(providers.outbox.shown) == len(providers.outbox.files) == 1


def test_a_message_that_is_found_while_files_cannot_be_taken_is_found(
    providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    send(message("slack"))
    providers.fail("getUploadURLExternal", status=503)
    assert look_up(message("slack", pictures=(PICTURE,))) is not None
    assert "without its pictures" in caplog.text


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("channel_not_found", PermanentDeliveryError),
        ("not_in_channel", PermanentDeliveryError),
        ("invalid_auth", PermanentDeliveryError),
        ("msg_too_long", PermanentDeliveryError),
        ("a_code_of_tomorrow", PermanentDeliveryError),
        ("rate_limited", RetryableDeliveryError),
        ("fatal_error", UnknownOutcomeError),
        ("internal_error", UnknownOutcomeError),
        ("service_unavailable", UnknownOutcomeError),
    ],
)
def test_slack_says_no_with_a_status_of_200(
    code: str, error: type[Exception], providers: Providers
) -> None:
    providers.fail("chat.postMessage", status=200, body=json.dumps({"ok": False, "error": code}))
    with pytest.raises(error, match=code):
        send(message("slack"))
    assert len(providers.server.requests) == 1


def test_slack_answers_that_are_not_json_are_uncertain_and_not_repeated(
    providers: Providers,
) -> None:
    providers.fail(
        "chat.postMessage", status=200, body="<html>welcome to our proxy, ops@example.test</html>"
    )
    with pytest.raises(UnknownOutcomeError) as caught:
        send(message("slack"))
    assert "proxy" not in str(caught.value)


def test_a_slack_message_has_its_subject_as_header_and_its_key_for_looking_up(
    providers: Providers,
) -> None:
    send(message("slack", text="*Spend* 1 &lt; 2"))
    fields = providers.outbox.sent[0].fields
    assert [block["type"] for block in fields["blocks"]] == ["header", "section"]
    assert fields["blocks"][0]["text"]["text"] == "713, 5 March"
    assert fields["blocks"][1]["text"] == {"type": "mrkdwn", "text": "*Spend* 1 &lt; 2"}
    assert fields["text"] == "713, 5 March\n*Spend* 1 &lt; 2"
    assert providers.outbox.sent[0].key == "daily/713/2026-03-05"


def test_pictures_go_up_unseen_and_are_shown_in_the_thread(providers: Providers) -> None:
    given = send(message("slack", pictures=(PICTURE,)))
    channel, ts = given.split("/")
    assert list(providers.outbox.files.values()) == [PICTURE.content]
    shown = providers.outbox.shown[0]
    assert (shown["channel_id"], shown["thread_ts"]) == (channel, ts)
    assert [file["title"] for file in shown["files"]] == ["CPA over 14 days"]
    asked = providers.server.asked("getUploadURLExternal")[0]
    assert parse_qs(asked.body.decode())["length"] == [str(len(PICTURE.content))]


def test_the_token_does_not_go_along_with_a_picture(providers: Providers) -> None:
    send(message("slack", pictures=(PICTURE,)))
    assert "authorization" not in providers.server.asked("/slack/upload/")[0].headers


@pytest.mark.parametrize("path", ["getUploadURLExternal", "/slack/upload/"])
def test_a_picture_that_does_not_go_up_now_holds_the_message_back_unsent(
    path: str, providers: Providers
) -> None:
    providers.fail(path, status=503)
    with pytest.raises(RetryableDeliveryError):
        send(message("slack", pictures=(PICTURE,)))
    assert providers.outbox.sent == []


def test_a_picture_whose_upload_is_refused_does_not_keep_the_text_from_arriving(
    providers: Providers,
) -> None:
    providers.fail("/slack/upload/", status=413)
    send(message("slack", pictures=(PICTURE,)))
    assert len(providers.outbox.sent) == 1
    assert providers.outbox.shown == []


@pytest.mark.parametrize("path", ["getUploadURLExternal", "completeUploadExternal"])
def test_a_picture_that_slack_refuses_does_not_keep_the_text_from_arriving(
    path: str, providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    providers.fail(path, status=200, body='{"ok": false, "error": "missing_scope"}')
    send(message("slack", pictures=(PICTURE,)))
    assert len(providers.outbox.sent) == 1
    assert providers.outbox.shown == []
    assert "missing_scope" in caplog.text


def test_an_email_carries_text_html_and_its_pictures_inline(providers: Providers) -> None:
    send(
        message(
            "email", html='<img src="cid:cpa.png">', pictures=(PICTURE,), subject="713,\n5 March"
        )
    )
    body = providers.outbox.sent[0].fields
    assert body["to"] == ["ops@example.test"]
    assert (body["subject"], body["text"], body["html"]) == (
        "713, 5 March",
        "Spend 1,204.50",
        '<img src="cid:cpa.png">',
    )
    assert body["attachments"] == [
        {
            "filename": "cpa.png",
            "content": base64.b64encode(PICTURE.content).decode(),
            "content_type": "image/png",
            "content_id": "cpa.png",
        }
    ]
    headers = providers.server.requests[0].headers
    assert headers["idempotency-key"] == "daily/713/2026-03-05"
    assert headers["user-agent"] == "signalroom"


def test_a_key_that_is_too_long_for_resend_stays_one_key(providers: Providers) -> None:
    for _ in range(2):
        send(message("email", key="k" * 400))
    send(message("email", key="k" * 401))
    assert len(providers.outbox.sent) == 2
    assert all(len(sent.key) <= 256 for sent in providers.outbox.sent)


def test_an_email_with_the_key_of_another_is_refused(providers: Providers) -> None:
    send(message("email"))
    with pytest.raises(PermanentDeliveryError, match="other content was accepted before"):
        send(message("email", text="other figures"))


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (401, "restricted_api_key", PermanentDeliveryError),
        (403, "invalid_api_key", PermanentDeliveryError),
        (409, "concurrent_idempotent_requests", RetryableDeliveryError),
        (422, "invalid_from_address", PermanentDeliveryError),
        (429, "daily_quota_exceeded", PermanentDeliveryError),
        (429, "monthly_quota_exceeded", PermanentDeliveryError),
        (429, "", RetryableDeliveryError),
        (451, "security_error", PermanentDeliveryError),
        (500, "application_error", RetryableDeliveryError),
    ],
)
def test_resends_errors_are_told_apart_by_name(
    status: int, name: str, error: type[Exception], providers: Providers
) -> None:
    body = json.dumps({"statusCode": status, "name": name, "message": "ops@example.test may not"})
    providers.fail("/emails", status=status, body=body)
    with pytest.raises(error, match=f"{status} {name or 'no reason'}"):
        send(message("email"))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, 21211, PermanentDeliveryError),
        (400, 21610, PermanentDeliveryError),
        (401, 20003, PermanentDeliveryError),
        (404, 20404, PermanentDeliveryError),
        (429, 21611, RetryableDeliveryError),
        (400, 21611, RetryableDeliveryError),
        (408, 0, UnknownOutcomeError),
    ],
)
def test_twilios_errors_are_told_apart_by_code(
    status: int, code: int, error: type[Exception], providers: Providers
) -> None:
    body = json.dumps(
        {"code": code, "message": "The 'To' number +15550100001 is not valid", "status": status}
    )
    providers.fail("Messages.json", status=status, body=body)
    with pytest.raises(error, match=f"code {code}"):
        send(message("sms"))


def test_a_text_message_is_a_form_of_one_segment_in_gsm(providers: Providers) -> None:
    send(message("sms", text="Spend – “1,204.50” 🎉 " + "word " * 60))
    form = parse_qs(providers.server.requests[0].body.decode())
    assert (form["To"], form["From"]) == (["+15550100001"], ["+15550100000"])
    assert form["Body"][0].startswith('Spend - "1,204.50" ? word')
    assert form["Body"][0].endswith(" word...")
    assert len(form["Body"][0]) <= 160


def test_an_old_or_failed_text_message_is_not_the_one_that_is_looked_for(
    providers: Providers,
) -> None:
    send(message("sms"))
    fields: Any = providers.outbox.sent[0].fields
    fields["status"] = "failed"
    assert look_up(message("sms")) is None
    fields |= {"status": "delivered", "date_created": "Mon, 05 Jan 2026 10:00:00 +0000"}
    assert look_up(message("sms")) is None


SECRETS = (TOKEN, "ACsandbox", "+15550100001", "ops@example.test", "Spend", "daily/713")


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "fault",
    [
        {
            "status": 400,
            "body": (
                f'{{"code": 21211, "message": "{" ".join(SECRETS)}", "name":'
                f' "{" ".join(SECRETS)}"}}'
            ),
        },
        {"status": 200, "body": f'{{"ok": false, "error": "{" ".join(SECRETS)}"}}'},
        {"status": 500, "body": " ".join(SECRETS)},
        {"status": 200, "cut": True, "body": " ".join(SECRETS)},
        {"late": 3.0},
    ],
)
def test_no_error_and_no_log_line_tells_a_secret_a_recipient_or_the_text(
    channel: Channel,
    fault: dict[str, Any],
    providers: Providers,
    project: Project,
    caplog: pytest.LogCaptureFixture,
) -> None:
    impatient(project)
    caplog.set_level(logging.DEBUG)
    providers.fail(PATHS[channel], **fault)
    started = time.monotonic()
    try:
        send(message(channel))
    except (PermanentDeliveryError, RetryableDeliveryError, UnknownOutcomeError) as error:
        chained = [error, error.__cause__]
        assert error.__cause__ is None
        for secret in SECRETS:
            assert all(secret not in str(each) for each in chained)
    assert time.monotonic() - started < 2.5
    said = "\n".join(record.getMessage() for record in caplog.records if record.name != "asyncio")
    assert [secret for secret in SECRETS if secret in said] == []
