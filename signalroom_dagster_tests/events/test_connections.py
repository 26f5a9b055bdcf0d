"""Connections that say nothing, or say it slowly, take nobody's place; over real sockets."""

import json
import resource
import socket
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from signalroom_dagster.events.access import Access, SharedTokens
from signalroom_dagster.events.connections import peer_of
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.server import server_options
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster_tests.events.gated import GatedStore
from signalroom_dagster_tests.events.memory import MemoryStore
from signalroom_dagster_tests.events.received import CONTRACT
from signalroom_dagster_tests.postgres import free_port

EVENT = {"tenant_id": "713", "job_id": "j1", "analysis_type": "audience", "result": {"score": 1}}
BODY = json.dumps(EVENT).encode()
HEAD = b"POST /v1/events HTTP/1.1\r\nhost: gateway\r\ncontent-length: %d\r\n\r\n" % len(BODY)


@contextmanager
def gateway(
    store: MemoryStore | None = None, access: Access | None = None, **settings: Any
) -> Generator[int]:
    """A gateway in a thread; its port."""
    chosen, port = EventSettings(**settings), free_port()
    app = gateway_app(store or MemoryStore(), {"713": CONTRACT}, access or Access(), chosen)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, **server_options(chosen))
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def connections(port: int, count: int, sent: bytes = b"") -> Generator[list[socket.socket]]:
    """So many connections that have sent this much and no more."""
    with ExitStack() as stack:
        made: list[socket.socket] = []
        for _ in range(count):
            made.append(
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            )
            made[-1].sendall(sent)
        yield made


def post(port: int, job: str = "j1") -> int:
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/events", json={**EVENT, "job_id": job}, timeout=10
    ).status_code


def answer(connection: socket.socket) -> bytes:
    """What comes until the connection is closed, by the other side."""
    found = b""
    try:
        while part := connection.recv(10_000):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    "sent", [b"", HEAD[:36], HEAD, HEAD + BODY[:-1]], ids=["silent", "head", "no body", "body"]
)
@pytest.mark.parametrize("limits", [(40, 40), (40, 20)], ids=["of all", "of a peer"])
def test_many_that_never_send_a_whole_request_keep_nobody_out(
    sent: bytes, limits: tuple[int, int]
) -> None:
    with (
        gateway(connections=limits[0], peer_connections=limits[1]) as port,
        connections(port, 60, sent) as made,
    ):
        assert [post(port, f"j{number}") for number in range(3)] == [204] * 3
        assert answer(made[0]) == b""  # the first makes room
        made[-1].sendall((HEAD + BODY)[len(sent) :])
        assert (
            made[-1].recv(100).startswith(b"HTTP/1.1 204")
        )  # the last is still there, and can go on


@pytest.mark.parametrize(
    "sent", [b"", HEAD[:36], HEAD, HEAD + BODY[:-1]], ids=["silent", "head", "no body", "body"]
)
def test_a_request_that_does_not_come_in_time_is_given_up(sent: bytes) -> None:
    store = MemoryStore()
    with gateway(store, request_seconds=0.4) as port, connections(port, 1, sent) as (made,):
        for byte in b"ab" if sent == HEAD[:36] else b"":
            time.sleep(0.15)
            made.sendall(bytes([byte]))  # a byte now and then is no excuse
        assert answer(made) == b"" if not sent else answer(made).startswith(b"HTTP/1.1 408")
    assert store.stats() == {}


def test_a_kept_connection_may_be_silent_between_two_requests_but_not_within_one() -> None:
    with gateway(request_seconds=0.3) as port, connections(port, 1, HEAD + BODY) as (made,):
        assert made.recv(1_000).startswith(b"HTTP/1.1 204")
        time.sleep(0.6)
        made.sendall(HEAD + BODY)
        assert made.recv(1_000).startswith(b"HTTP/1.1 204")
        made.sendall(HEAD)
        assert answer(made).startswith(b"HTTP/1.1 408")


def test_requests_one_behind_the_other_are_all_answered_and_the_connection_waits_again() -> None:
    with (
        gateway(connections=10, peer_connections=10) as port,
        connections(port, 1, (HEAD + BODY) * 3) as (made,),
    ):
        assert received(made).count(b"HTTP/1.1 204") == 3
        with connections(port, 10):
            assert answer(made) == b""  # it waits like any other, and has waited longest


def test_a_refused_request_whose_body_still_comes_is_followed_by_another_one() -> None:
    token = SecretStr("token-of-713-0123456789")
    with (
        gateway(access=Access([SharedTokens({"713": token})])) as port,
        connections(port, 1, HEAD) as (made,),
    ):
        assert received(made).startswith(b"HTTP/1.1 401")
        shown = (
            HEAD[:-2] + b"authorization: Bearer " + token.get_secret_value().encode() + b"\r\n\r\n"
        )
        made.sendall(BODY + shown + BODY)
        assert b"HTTP/1.1 204" in received(made)


def received(connection: socket.socket) -> bytes:
    """What comes, up to a pause."""
    found = connection.recv(10_000)
    connection.settimeout(0.5)
    try:
        while part := connection.recv(10_000):
            found += part
    except TimeoutError:
        pass
    connection.settimeout(10)
    return found


def test_where_all_of_a_peers_connections_are_busy_a_new_one_is_told_to_come_again() -> None:
    store = GatedStore()
    with (
        gateway(store, peer_connections=2, commit_seconds=10) as port,
        connections(port, 2, HEAD + BODY) as busy,
    ):
        store.entered.acquire()
        time.sleep(0.2)
        with connections(port, 1) as (refused,):
            told = answer(refused)
            assert told.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in told
        store.gate.set()
        assert [one.recv(1_000)[:12] for one in busy] == [b"HTTP/1.1 204"] * 2
        assert post(port) == 204


def test_bodies_that_are_coming_in_are_bounded_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.answers.BODIES_BYTES", 50_000)
    head = b"POST /v1/events HTTP/1.1\r\nhost: gateway\r\ncontent-length: 100000\r\n\r\n"
    with gateway() as port, connections(port, 1, head + b" " * 45_000) as (slow,):
        time.sleep(0.3)
        with connections(port, 1, head + b" " * 45_000) as (other,):
            assert other.recv(1_000).startswith(b"HTTP/1.1 429")
        slow.sendall(b" " * (55_000 - len(BODY)) + BODY)
        assert slow.recv(1_000).startswith(b"HTTP/1.1 204")  # one alone is held to its own limit
        assert post(port) == 204


@pytest.mark.slow
def test_four_thousand_silent_connections_keep_nobody_out() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 9_000:
        pytest.skip("this machine lets a process have fewer files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (9_000, hard))
    with gateway() as port, connections(port, 4_000):
        began = time.monotonic()
        assert [post(port, f"j{number}") for number in range(20)] == [204] * 20
        assert time.monotonic() - began < 10


def test_a_peer_is_an_ipv4_address_or_what_one_owner_has_of_ipv6() -> None:
    assert peer_of("10.1.2.3") != peer_of("10.1.2.4")
    assert (
        peer_of("2001:db8:1:2::1") == peer_of("2001:db8:1:2:ffff::9") != peer_of("2001:db8:1:3::1")
    )
    assert peer_of("::ffff:10.1.2.3") != peer_of("::ffff:10.1.2.4")
    assert (peer_of(""), peer_of("socket")) == ("", "socket")
