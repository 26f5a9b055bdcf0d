"""Closed-loop HTTP load with as little CPU as Python allows, so that what is measured is the
gateway.

A bare protocol on kept-alive connections: each sends a request, waits for the end of the answer's
head (a 204 has no body), and sends the next.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from signalroom_dagster.events.stores.jobs import EventKey
from signalroom_dagster.sandbox.simulator import Message
from signalroom_dagster_tests.events.processes import TOKENS

CONNECTIONS = 64


class Answered(NamedTuple):
    """What came of a load."""

    seconds: float
    sent: int
    failed: int
    latencies: list[float]
    acknowledged: set[EventKey]


class _Connection(asyncio.Protocol):
    def __init__(
        self, requests: Iterator[tuple[Message, bytes]], until: float, into: Answered
    ) -> None:
        self._requests = requests
        self._until = until
        self._into = into
        self._head = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def _next(self) -> None:
        found = next(self._requests, None) if time.monotonic() < self._until else None
        if found is None:
            self._transport.close()
            return
        self._message, request = found
        self._started = time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        self._into.latencies.append(time.monotonic() - self._started)
        if self._head.startswith(b"HTTP/1.1 204") and self._message.key:
            self._into.acknowledged.add(self._message.key)
        self._head = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


def closed_loop(port: int, messages: Sequence[Message], seconds: float) -> Answered:
    """Send messages over 64 connections for so long, or until there are no more."""
    import uvloop

    return uvloop.run(_closed_loop(port, messages, seconds))


async def _closed_loop(port: int, messages: Sequence[Message], seconds: float) -> Answered:
    requests = [(message, _request(message)) for message in messages]
    rest = iter(requests)
    latencies: list[float] = []
    acknowledged: set[EventKey] = set()
    started = time.monotonic()
    into = Answered(0, 0, 0, latencies, acknowledged)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: _Connection(rest, started + seconds, into), "127.0.0.1", port
        )
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(connection.over for _, connection in made))
    took = time.monotonic() - started
    return Answered(
        took,
        len(latencies),
        len(latencies) - _acknowledgements(messages, len(latencies), acknowledged),
        latencies,
        acknowledged,
    )


def _acknowledgements(messages: Sequence[Message], sent: int, acknowledged: set[EventKey]) -> int:
    return sum(message.key in acknowledged for message in messages[:sent])


def _request(message: Message) -> bytes:
    head = (
        "POST /v1/events/pubsub HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type:"
        f" application/json\r\nAuthorization: Bearer {TOKENS[message.tenant_id]}\r\nContent-Length:"
        f" {len(message.body)}\r\n\r\n"
    )
    return head.encode() + message.body
