"""Webhooks start a client's run once, for whoever shows its token; SNS is believed only with its
own signature.
"""

import base64
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from signalroom_dagster.events.access import Access
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.settings import EventSettings, TriggerAccess
from signalroom_dagster.events.sns import SnsMessages
from signalroom_dagster.events.webhooks import SAME_SECONDS, Webhooks
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.triggers import DagsterUnreachableError, Triggered
from signalroom_dagster_tests.events.memory import MemoryStore
from signalroom_dagster_tests.events.signing import certificate, signature

TOKEN = "trigger-token-of-713"
TOPIC = "arn:aws:sns:us-east-1:123456789012:exports"
CERTIFICATE = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem"
HERE = "/v1/triggers/713/s3_exports"
NOTICE = json.dumps(
    {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "orders.csv"}}}]}
)


def client_of(client_id: str, status: str = "active") -> Client:
    return Client(
        id=client_id,
        name=client_id,
        status=status,
        start_date=date(2026, 1, 1),
        timezone="UTC",
        currency="USD",
        sources=("s3_exports", "everflow"),
    )  # type: ignore[arg-type]


class World:
    """The gateway's webhooks with a Dagster that counts, an Amazon that answers, and a clock."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.is_up, self.found, self.now = True, False, 0.0
        self.fetched: list[str] = []
        access = {
            "713": TriggerAccess(token=SecretStr(TOKEN), topic_arns=[TOPIC]),
            "cti": TriggerAccess(),
            "new": TriggerAccess(token=SecretStr(TOKEN)),
        }
        clients = {
            "713": client_of("713"),
            "cti": client_of("cti"),
            "new": client_of("new", "planned"),
        }
        sns = SnsMessages(httpx.MockTransport(self._amazon))
        webhooks = Webhooks(self._start, access, clients, sns, lambda: self.now)
        self.app = gateway_app(MemoryStore(), {}, Access(), EventSettings(), webhooks)

    def _start(self, source: str, client: str) -> Triggered:
        if not self.is_up:
            raise DagsterUnreachableError("no Dagster answers")
        self.runs.append((client, source))
        return Triggered(f"run-{len(self.runs)}", "QUEUED", started=not self.found)

    def _amazon(self, request: httpx.Request) -> httpx.Response:
        self.fetched.append(str(request.url))
        return httpx.Response(200, text=certificate("one"))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def http(world: World) -> Iterator[TestClient]:
    with TestClient(world.app) as client:
        yield client


def message(kind: str = "Notification", version: str = "2", **fields: str) -> dict[str, str]:
    """A message as SNS signs it."""
    found = {
        "Type": kind,
        "MessageId": "m1",
        "TopicArn": TOPIC,
        "Message": NOTICE,
        "Timestamp": "2026-03-01T00:00:00Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
    }
    if kind == "SubscriptionConfirmation":
        found |= {
            "Token": "t",
            "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        }
    found |= fields
    names = (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Subject",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    )
    text = "".join(f"{name}\n{found[name]}\n" for name in names if name in found).encode()
    return {**found, "Signature": base64.b64encode(signature("one", text, version)).decode()}


def post(http: TestClient, found: dict[str, str], **params: str) -> Any:
    headers = {"x-amz-sns-message-type": found["Type"], "content-type": "text/plain; charset=UTF-8"}
    return http.post(
        HERE, params={"token": TOKEN, **params}, content=json.dumps(found), headers=headers
    )


def test_a_webhook_starts_the_clients_run_and_the_same_one_soon_after_finds_it(
    world: World, http: TestClient
) -> None:
    first = http.get(HERE, params={"token": TOKEN, "click_id": "1"})
    assert (first.status_code, first.json()) == (202, {"run_id": "run-1", "status": "started"})
    again = http.post(HERE, headers={"authorization": f"Bearer {TOKEN}"}, content=b"anything")
    assert (again.status_code, again.json()) == (202, {"run_id": "run-1", "status": "running"})
    http.get("/v1/triggers/713/everflow", params={"token": TOKEN})
    world.now, world.found = SAME_SECONDS, True
    assert http.get(HERE, params={"token": TOKEN}).json() == {
        "run_id": "run-3",
        "status": "running",
    }
    assert world.runs == [("713", "s3_exports"), ("713", "everflow"), ("713", "s3_exports")]


def test_webhooks_that_come_at_once_start_one_run(world: World, http: TestClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: http.get(HERE, params={"token": TOKEN}).json()["run_id"], range(8))
        )
    assert (set(answers), len(world.runs)) == ({"run-1"}, 1)


def test_without_the_clients_token_nothing_starts_and_nothing_is_told(
    world: World, http: TestClient
) -> None:
    for path in (HERE, "/v1/triggers/cti/everflow", "/v1/triggers/nobody/everflow"):
        for token in ("", "wrong", TOKEN if path != HERE else "x"):
            answer = http.get(path, params={"token": token})
            assert (answer.status_code, answer.text) == (401, "the token is not this client's\n")
    assert http.get("/v1/triggers/713/nothing", params={"token": TOKEN}).status_code == 404
    assert http.get("/v1/triggers/new/everflow", params={"token": TOKEN}).status_code == 409
    assert http.head(HERE, params={"token": TOKEN}).status_code == 405
    assert world.runs == []


def test_when_dagster_is_away_the_sender_is_to_come_again(world: World, http: TestClient) -> None:
    world.is_up = False
    assert http.get(HERE, params={"token": TOKEN}).status_code == 503
    world.is_up = True
    assert http.get(HERE, params={"token": TOKEN}).status_code == 202


def test_the_token_never_reaches_a_log(http: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalroom_dagster")
    http.get(HERE, params={"token": TOKEN})
    http.get(HERE, params={"token": "wrong"})
    assert f"GET {HERE} 202" in caplog.text and f"GET {HERE} 401" in caplog.text
    assert TOKEN not in caplog.text and "token=" not in caplog.text


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_of_a_configured_topic_starts_the_run(
    world: World, http: TestClient, version: str
) -> None:
    assert post(http, message(version=version, Subject="Amazon S3 Notification")).status_code == 202
    assert (world.runs, world.fetched) == ([("713", "s3_exports")], [CERTIFICATE])


def test_a_notification_that_is_delivered_raw_is_a_webhook_like_any_other(
    world: World, http: TestClient
) -> None:
    headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-rawdelivery": "true"}
    assert (
        http.post(HERE, params={"token": TOKEN}, content=NOTICE, headers=headers).status_code == 202
    )
    assert (world.runs, world.fetched) == ([("713", "s3_exports")], [])


def test_a_subscription_is_confirmed_for_a_configured_topic_and_starts_nothing(
    world: World, http: TestClient
) -> None:
    asked = message("SubscriptionConfirmation")
    assert post(http, asked).status_code == 200
    assert (world.fetched, world.runs) == ([CERTIFICATE, asked["SubscribeURL"]], [])
    assert post(http, message(Message='{"Event": "s3:TestEvent"}')).status_code == 200
    assert world.runs == []


@pytest.mark.parametrize(
    "fields",
    [
        {"TopicArn": "arn:aws:sns:us-east-1:999999999999:other"},
        {"SubscribeURL": "https://evil.example.com/"},
        {"SubscribeURL": "http://sns.us-east-1.amazonaws.com/"},
        {"SubscribeURL": "https://sns.us-east-1.amazonaws.com.evil.example.com/"},
        {"SubscribeURL": "https://sns.us-east-1.amazonaws.com@evil.example.com/"},
        {"SubscribeURL": "https://sns.eu-west-1.amazonaws.com/"},
        {"SigningCertURL": "https://evil.example.com/one.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com:8443/one.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com/one.txt"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com:99999/one.pem"},
        {"Type": "Other"},
        {"SignatureVersion": "3"},
    ],
    ids=lambda fields: ",".join(fields),
)
def test_a_forged_subscription_fetches_nothing_of_its_own(
    world: World, http: TestClient, fields: dict[str, str]
) -> None:
    asked = (
        message("SubscriptionConfirmation", **fields)
        if "Type" not in fields
        else {**message(), **fields}
    )
    assert post(http, asked).status_code == 403
    assert set(world.fetched) <= {CERTIFICATE}
    assert world.runs == []


def test_a_message_that_was_changed_or_is_none_is_refused(world: World, http: TestClient) -> None:
    genuine = message()
    for changed in (
        {"Message": "other"},
        {"Signature": "AAAA"},
        {"Signature": "%"},
        {"MessageId": "m2"},
    ):
        assert post(http, {**genuine, **changed}).status_code == 403
    headers = {"x-amz-sns-message-type": "Notification"}
    for body in (b"", b"{", b"[]", b"[" * 50_000, b"x" * 2_000_000):
        assert (
            http.post(HERE, params={"token": TOKEN}, content=body, headers=headers).status_code
            == 403
        )
    assert world.runs == []
