"""Who is connected to the gateway: nobody keeps a place that they do not use.

A connection waits until a whole request has come, and again after its answer: silent, or in the
middle of headers or body, it may be closed for somebody else. It is busy while its request is being
answered. Where a peer has as many connections as it may, or all together have, the one that has
waited longest makes room; a new one is refused only where all are busy. Whoever has connected or
begun a request must bring it to an end in time.

https://www.uvicorn.org/settings/#http
"""

import asyncio
import ipaddress
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ANSWER_SECONDS = 60.0
"""For an answer to be made and read: what a client does not read is given up."""
_RAW = b"HTTP/1.1 %s\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
_FULL = _RAW % b"503 Service Unavailable"
_SLOW = _RAW % b"408 Request Timeout"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, how many of one peer, and for how many seconds one may
    wait for the whole of a request that it has begun, or for its first.
    """

    connections: int
    of_peer: int
    request_seconds: float


class Places:
    """The connections that there are; dictionaries keep those that wait in the order in which they
    began to.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._of_peer: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}
        self._waiting_of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def take(self, connection: "Connection") -> bool:
        """A place for a new connection, that of the longest waiting one if there is no other; False
        without any.
        """
        if self._of_peer[connection.peer] >= self.limits.of_peer:
            others = self._waiting_of[connection.peer]
        elif self._of_peer.total() >= self.limits.connections:
            others = self._waiting
        else:
            others = None
        if others is not None:
            if not others:
                return False
            longest = next(iter(others))
            self.leave(longest)
            longest.transport.close()
        self._of_peer[connection.peer] += 1
        connection.has_place = True
        self.wait(connection)
        return True

    def wait(self, connection: "Connection") -> None:
        """It waits from now on."""
        if connection.has_place:
            self._waiting[connection] = None
            self._waiting_of[connection.peer][connection] = None

    def work(self, connection: "Connection") -> None:
        """It has sent a whole request."""
        self._waiting.pop(connection, None)
        self._waiting_of[connection.peer].pop(connection, None)

    def leave(self, connection: "Connection") -> None:
        """It is gone, or about to be."""
        if connection.has_place:
            connection.has_place = False
            self.work(connection)
            self._of_peer[connection.peer] -= 1
            if not self._of_peer[connection.peer]:
                del self._of_peer[connection.peer], self._waiting_of[connection.peer]


class Connection(HttpToolsProtocol):
    """A connection with a place and a deadline."""

    places: ClassVar[Places]
    peer = ""
    has_place = False
    _is_partial = False
    """Whether a request has begun that is neither whole nor answered."""
    _deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.peer = peer_of(self.client[0] if self.client else "")
        if self.places.take(self):
            self._end_within(self.places.limits.request_seconds)
        else:
            transport.write(_FULL)
            transport.close()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_partial = True
        if self._deadline is None:
            self._end_within(self.places.limits.request_seconds)

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_partial = False
        if self.cycle.response_complete:  # it was refused before its body had come
            self._end_within(None)
        else:
            self.places.work(self)
            self._end_within(ANSWER_SECONDS)

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._is_partial = False
        if self.cycle.response_complete and not self.transport.is_closing():
            self.places.wait(self)
            if not self.cycle.more_body:
                self._end_within(None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end_within(None)
        self.places.leave(self)
        super().connection_lost(exc)

    def _end_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        self._deadline = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # its client reads nothing
            return
        if self._is_partial:
            self.transport.write(_SLOW)
        self.transport.close()


def guarded(limits: Limits) -> type[Connection]:
    """The protocol of one server with these limits."""
    return type("GuardedConnection", (Connection,), {"places": Places(limits)})


def peer_of(address: str) -> str:
    """What counts as one peer: an IPv4 address, or the 64 bits of an IPv6 address that one owner
    has.
    """
    try:
        ip: Any = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4 or ip.ipv4_mapped:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False))
