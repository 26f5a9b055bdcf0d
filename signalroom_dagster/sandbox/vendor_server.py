"""The stand-in vendors' HTTP server: one Starlette application on loopback, a path per vendor,
faults on demand.

Each request is remembered, and can be made to fail: in this process through `VendorServer.fail`,
from outside with `POST /_faults` and the same words as JSON. What a vendor answers stands in a
module of its own.

https://www.starlette.io/ · https://www.uvicorn.org/
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from signalroom_dagster.config import ConfigurationError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in; `at` is a monotonic clock."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests whose path matches, after `skip` of them went well.

    `cut` announces the whole body and breaks off in the middle of it; `delay` seconds come before
    the answer. `late` lets the vendor do what it is asked, and holds its answer back for so many
    seconds.
    """

    path: str
    status: int = 503
    times: int = 1
    skip: int = 0
    body: str = "unavailable"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    delay: float = 0.0
    late: float = 0.0

    def strikes(self, path: str) -> bool:
        """Whether this request is hit; counts it."""
        if not self.times or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class VendorServer:
    """The running server. `requests` is everything that was asked, in order."""

    def __init__(self, routes: "list[BaseRoute]") -> None:
        from starlette.applications import Starlette

        self.url = ""
        self.requests: list[Asked] = []
        self.faults: list[Fault] = []
        self._vendors: Any = Starlette(routes=routes)

    def fail(self, path: str, **how: Any) -> None:
        """Let requests fail from now on; see `Fault`."""
        self.faults.append(Fault(path, **how))

    def asked(self, path: str) -> list[Asked]:
        """The requests whose path matches."""
        return [request for request in self.requests if re.search(path, request.path)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Remember a request and let it fail or pass on to its vendor."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if scope["path"] == "/_faults":
            self.fail(**json.loads(body))
            await _answer(send, 204, b"", {})
            return
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append(
            Asked(scope["method"], scope["path"], query, headers, body, time.monotonic())
        )
        fault = next((fault for fault in self.faults if fault.strikes(scope["path"])), None)
        if fault and fault.delay:
            await asyncio.sleep(fault.delay)
        if fault and not fault.late and not (fault.delay and fault.status == 200):
            await _answer(send, fault.status, fault.body.encode(), fault.headers, cut=fault.cut)
            return
        await self._vendors(scope, _replay(body), _held(send, fault.late) if fault else send)


async def _answer(
    send: Any, status: int, body: bytes, headers: Mapping[str, str], *, cut: bool = False
) -> None:
    length = len(body) + (100 if cut else 0)
    sent = {"content-length": str(length), "content-type": "application/json", **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _held(send: Any, seconds: float) -> Callable[[Any], Any]:
    async def held(message: Any) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return held


def _replay(body: bytes) -> Callable[[], Any]:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@contextmanager
def serve(routes: "list[BaseRoute]") -> Generator[VendorServer]:
    """Run the vendors for the length of the block. Raises ConfigurationError without the `sandbox`
    extra.
    """
    try:
        import uvicorn
    except ImportError:
        raise ConfigurationError(
            "the sandbox needs uvicorn: install SignalRoom with its extra `sandbox`"
        ) from None
    vendors = VendorServer(routes)
    settings = uvicorn.Config(
        vendors, host="127.0.0.1", port=0, log_level="critical", lifespan="off"
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, name="vendors", daemon=True)
    thread.start()
    give_up = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < give_up:
        time.sleep(0.01)
    vendors.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield vendors
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
