"""The channels' stand-ins, and the settings that lead to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from signalroom_dagster.sandbox import channels
from signalroom_dagster.sandbox.outbox import Outbox
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.projects import Project


@dataclass(frozen=True, slots=True)
class Providers:
    """The running stand-ins, and what they took."""

    server: VendorServer
    outbox: Outbox

    def fail(self, path: str, **how: Any) -> None:
        self.server.fail(path, **how)


@pytest.fixture(scope="module")
def _server() -> Iterator[Providers]:
    outbox = Outbox()
    with serve(channels.routes(outbox)) as server:
        yield Providers(server, outbox)


@pytest.fixture
def providers(project: Project, _server: Providers) -> Providers:
    """All three channels, configured, with nothing sent yet."""
    _server.server.requests.clear()
    _server.server.faults.clear()
    _server.outbox.sent.clear()
    _server.outbox.files.clear()
    _server.outbox.shown.clear()
    project.set(**channels.variables(_server.server.url))
    return _server
