"""How the gateway answers, over its real application; the store is in memory."""

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily
from pydantic import SecretStr
from starlette.testclient import TestClient

from signalroom_dagster.events.access import Access, SharedTokens, UnauthorizedError, access_at
from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.resubmission import resubmit
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster_tests.events.gated import DownStore, GatedStore
from signalroom_dagster_tests.events.memory import MemoryStore
from signalroom_dagster_tests.events.received import CONTRACT

TOKENS = {"713": "token-of-713-xxxx", "cti": "token-of-cti-xxxx"}
CONTRACTS = {"713": CONTRACT, "cti": Contract("cti", frozenset({"audience"}), timedelta(minutes=5))}
SECRET = "jane.doe@example.com"


def event(**other: Any) -> dict[str, Any]:
    return {
        "tenant_id": "713",
        "job_id": "j1",
        "analysis_type": "audience",
        "result": {"of": SECRET},
        **other,
    }


def push(data: bytes) -> dict[str, Any]:
    """A push request's body, in the shape that Google documents."""
    return {
        "message": {
            "attributes": {"key": "value"},
            "data": base64.b64encode(data).decode(),
            "messageId": "2070443601311540",
            "message_id": "2070443601311540",
            "publishTime": "2021-02-26T19:13:55.749Z",
            "publish_time": "2021-02-26T19:13:55.749Z",
        },
        "subscription": "projects/myproject/subscriptions/mysubscription",
    }


@contextmanager
def gateway(
    store: MemoryStore, access: Access | None = None, token: str = TOKENS["713"], **settings: Any
) -> Generator[TestClient]:
    access = access or Access(
        [SharedTokens({name: SecretStr(value) for name, value in TOKENS.items()})]
    )
    app = gateway_app(store, CONTRACTS, access, EventSettings(**settings), more_metrics=_more)
    with TestClient(app, headers={"authorization": f"Bearer {token}"}) as client:
        yield client


def _more() -> Any:
    yield GaugeMetricFamily("signalroom_rows", "Rows loaded.", value=42)


def stored(store: MemoryStore) -> dict[str, int]:
    return {tenant: found.open + found.ready for tenant, found in store.stats().items()}


def test_a_push_of_pubsub_is_stored_with_the_senders_bytes_and_once() -> None:
    store = MemoryStore()
    with gateway(store) as client:
        for name in ("attribution", "audience", "creative", "audience"):
            data = json.dumps(event(analysis_type=name, extra=1), indent=1).encode()
            answer = client.post("/v1/events/pubsub", json=push(data))
            assert (answer.status_code, answer.content) == (204, b"")
            assert "x-signalroom-dead-letters" not in answer.headers
    with store.claim(1) as batch:
        assert json.loads(batch.jobs[0].payloads["audience"]) == {"of": SECRET}


def test_a_push_without_a_message_id_is_stored() -> None:
    store = MemoryStore()
    with gateway(store) as client:
        body = {"message": {"data": base64.b64encode(json.dumps(event()).encode()).decode()}}
        assert client.post("/v1/events/pubsub", json=body).status_code == 204
    assert stored(store) == {"713": 1}


def test_one_event_or_a_list_is_stored() -> None:
    store = MemoryStore()
    with gateway(store) as client:
        assert client.post("/v1/events", json=event()).status_code == 204
        assert (
            client.post("/v1/events", json=[event(job_id="j2"), event(job_id="j3")]).status_code
            == 204
        )
        assert client.post("/v1/events", json=[]).status_code == 204
    assert stored(store) == {"713": 3}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "poison: envelope"),
        (b"[" * 100_000, "poison: envelope"),
        (json.dumps({"message": {"data": "%%%"}}).encode(), "data is not base64"),
        (json.dumps({"message": {"attributes": {}}}).encode(), "poison: Input data was truncated"),
        (
            json.dumps(push(b'{"tenant_id": "713"}')).encode(),
            "poison: Object missing required field",
        ),
        (json.dumps(push(b"\xff\xfe")).encode(), "poison:"),
        (
            json.dumps(push(json.dumps(event(job_id="a b")).encode())).encode(),
            "poison: Expected `str` matching",
        ),
        (
            json.dumps(push(json.dumps(event(result=7)).encode())).encode(),
            "result is not an object",
        ),
        (
            json.dumps(push(json.dumps(event(analysis_type="new")).encode())).encode(),
            "unknown analysis type",
        ),
    ],
)
def test_what_cannot_be_an_event_is_a_dead_letter_of_its_sender_and_answered_204(
    body: bytes, reason: str
) -> None:
    store = MemoryStore()
    with gateway(store) as client:
        answer = client.post("/v1/events/pubsub", content=body)
    assert (answer.status_code, answer.headers["x-signalroom-dead-letters"]) == (204, "1")
    (found,) = store.letters("713")
    assert found.reason.startswith(reason) or reason in found.reason
    assert SECRET not in found.reason


def test_one_broken_event_of_a_list_does_not_keep_the_others_out() -> None:
    store = MemoryStore()
    with gateway(store, poison_status=400) as client:
        answer = client.post("/v1/events", json=[event(), {"tenant_id": 713}, event(job_id="j2")])
    assert (answer.status_code, len(store.letters()), stored(store)["713"]) == (400, 1, 2)


def test_a_token_is_asked_for_and_opens_its_own_tenant_only() -> None:
    store = MemoryStore()
    with gateway(store) as client:
        for header in (
            "",
            "Bearer",
            "Bearer wrong",
            f"Basic {TOKENS['713']}",
            f"Bearer {TOKENS['713']}x",
        ):
            answer = client.post("/v1/events", json=event(), headers={"authorization": header})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        both = [event(), event(tenant_id="cti")]
        assert client.post("/v1/events", json=both).status_code == 403
        assert (
            client.post("/v1/events/pubsub", json=push(json.dumps(both[1]).encode())).status_code
            == 403
        )
        other = {"authorization": f"Bearer {TOKENS['cti']}"}
        assert client.post("/v1/events", json=both[1], headers=other).status_code == 204
    assert (stored(store), store.letters()) == ({"cti": 1}, [])


def test_a_dead_letter_is_taken_in_again_when_the_contract_knows_its_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    with gateway(store) as client:
        client.post(
            "/v1/events",
            json=[event(analysis_type="new"), event(result=7), event(), event(result={})],
        )
    assert sorted(one.reason for one in store.letters()) == [
        "conflict",
        "result is not an object",
        "unknown analysis type",
    ]
    wider = {"713": Contract("713", CONTRACT.required | {"new"}, CONTRACT.deadline)}
    monkeypatch.setattr(
        "signalroom_dagster.events.resubmission.AT_ONCE", 1
    )  # those that stay hide none behind them
    assert resubmit(store, wider, "713") == (1, 2)
    assert resubmit(store, wider, "713") == (0, 2)
    assert {one.reason for one in store.letters()} == {"conflict", "result is not an object"}


def test_on_loopback_without_tokens_all_may_send_and_an_unknown_tenant_is_a_dead_letter() -> None:
    store = MemoryStore()
    with gateway(store, Access()) as client:
        assert (
            client.post("/v1/events", json=[event(), event(tenant_id="nobody")]).status_code == 204
        )
    assert (stored(store)["713"], [one.reason for one in store.letters()]) == (
        1,
        ["unknown tenant"],
    )


def test_a_body_that_is_too_large_is_refused_whether_announced_or_streamed() -> None:
    store = MemoryStore()
    with gateway(store, max_body_bytes=1024) as client:
        assert client.post("/v1/events", content=b"x" * 1025).status_code == 413
        assert client.post("/v1/events", content=iter([b"x" * 600] * 2)).status_code == 413
    with gateway(store, max_queue=2) as client:
        assert (
            client.post("/v1/events", json=[event(job_id=str(n)) for n in range(3)]).status_code
            == 413
        )
    with gateway(store, max_queue=100_000) as client:
        assert client.post("/v1/events", content=b"[" + b"1," * 5_000 + b"1]").status_code == 413
    assert (stored(store), store.letters()) == ({}, [])


def test_a_full_queue_is_answered_429_and_nothing_of_the_request_is_stored() -> None:
    store = GatedStore()
    with gateway(store, max_queue=1) as client:
        jobs = [
            threading.Thread(target=client.post, args=("/v1/events",), kwargs={"json": event()})
        ]
        jobs[0].start()
        store.entered.acquire()  # its commit is under way, the next one waits
        jobs.append(
            threading.Thread(
                target=client.post, args=("/v1/events",), kwargs={"json": event(job_id="j2")}
            )
        )
        jobs[1].start()
        while "signalroom_gateway_waiting_events 1.0" not in client.get("/metrics").text:
            pass
        answer = client.post("/v1/events", json=event(job_id="j3"))
        store.gate.set()
        for job in jobs:
            job.join()
    assert (answer.status_code, answer.headers["retry-after"], stored(store)) == (
        429,
        "1",
        {"713": 2},
    )


def test_without_its_store_the_gateway_is_not_ready_and_takes_events_when_it_is_back() -> None:
    store = DownStore()
    with gateway(store) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        answer = client.post("/v1/events", json=event())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "password" not in answer.text
        store.down = False
        assert client.post("/v1/events", json=event()).status_code == 204
    with gateway(store) as client:
        assert client.get("/readyz").status_code == 200
    assert stored(store) == {"713": 1}


def test_the_figures_tell_of_requests_events_and_the_store_and_of_what_else_is_handed_in() -> None:
    store = MemoryStore()
    with gateway(store) as client:
        client.post("/v1/events", json=[event(), event(), event(tenant_id="713", job_id="")])
        text = client.get("/metrics").text
    for line in (
        'signalroom_gateway_events_total{outcome="stored",tenant="713"} 1.0',
        'signalroom_gateway_events_total{outcome="duplicate",tenant="713"} 1.0',
        'signalroom_gateway_events_total{outcome="dead_letter",tenant=""} 1.0',
        'signalroom_gateway_requests_total{path="/v1/events",status="204"} 1.0',
        'signalroom_jobs{status="open",tenant="713"} 1.0',
        "signalroom_store_up 1.0",
        "signalroom_rows 42.0",
    ):
        assert line in text
    with gateway(store, metrics_token="token-of-figures") as client:
        assert client.get("/metrics").status_code == 401
        assert (
            client.get("/metrics", headers={"authorization": "Bearer token-of-figures"}).status_code
            == 200
        )


def test_where_others_can_ask_the_figures_are_closed_to_whoever_has_no_token() -> None:
    access = Access([SharedTokens({"713": SecretStr(TOKENS["713"])})])
    tenant, own = (
        {"authorization": f"Bearer {token}"} for token in (TOKENS["713"], "token-of-figures")
    )
    for settings, answers in (
        (EventSettings(), {None: 403, "tenant": 403, "own": 403}),
        (
            EventSettings(metrics_token=SecretStr("token-of-figures")),
            {None: 401, "tenant": 401, "own": 200},
        ),
    ):
        app = gateway_app(MemoryStore(), CONTRACTS, access, settings, is_private=False)
        with TestClient(app) as client:
            shown = {None: {}, "tenant": tenant, "own": own}
            found = {who: client.get("/metrics", headers=headers) for who, headers in shown.items()}
        assert {who: answer.status_code for who, answer in found.items()} == answers
        assert all(
            "signalroom" not in answer.text
            for answer in found.values()
            if answer.status_code != 200
        )


def test_figures_that_cannot_be_collected_keep_one_thread_and_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.gateway.FIGURES_SECONDS", 0.1)
    store, gate, asked = MemoryStore(), threading.Event(), threading.Semaphore(0)
    figures = store.stats

    def held_up() -> Any:
        asked.release()
        assert gate.wait(20)
        return figures()

    with gateway(store) as client:
        monkeypatch.setattr(store, "stats", held_up)
        assert [client.get("/metrics").status_code for _ in range(40)] == [503] * 40
        assert asked.acquire() and not asked.acquire(blocking=False)
        assert client.post("/v1/events", json=event()).status_code == 204
        gate.set()
        while client.get("/metrics").status_code != 200:
            pass


def test_neither_logs_nor_answers_repeat_a_token_or_a_payload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    store = GatedStore()
    store.gate.set()
    store.refused = {"j1"}
    answers: list[Any] = []
    with gateway(store) as client:
        for body in (event(), event(tenant_id="cti"), event(analysis_type="new"), [SECRET]):
            answers.append(client.post("/v1/events", params={"token": TOKENS["cti"]}, json=body))
        answers.append(
            client.post("/v1/events", json=event(), headers={"authorization": "Bearer wrong-token"})
        )
        answers.append(client.get("/nothing%1b[31m", params={"token": TOKENS["cti"]}))
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    told = "\n".join([*ours, *(f"{answer.text} {answer.headers}" for answer in answers)])
    for secret in (*TOKENS.values(), SECRET, "wrong-token", "\x1b"):
        assert secret not in told
    assert "POST /v1/events 503" in caplog.text and "POST /v1/events 401" in caplog.text


def test_without_any_token_only_a_loopback_address_takes_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def senders(host: str, access: Access, token: str = "") -> object:
        return asyncio.run(access_at(host, access).tenants(f"Bearer {token}"))

    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        assert senders(host, Access()) is None
    assert caplog.text == ""
    for host in ("0.0.0.0", "::", "10.0.0.1", "", "example.com"):
        for token in ("", "guessed"):
            with pytest.raises(UnauthorizedError):
                senders(host, Access(), token)
    assert "no event is taken. Set EVENTS__TENANTS__<id>__TOKEN" in caplog.text
    assert senders("0.0.0.0", Access([SharedTokens({"713": SecretStr("x" * 16)})]), "x" * 16) == {
        "713"
    }
