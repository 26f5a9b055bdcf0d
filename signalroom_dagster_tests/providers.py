"""The channels' stand-ins, started once for all tests."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from signalroom_dagster.sandbox import channels
from signalroom_dagster.sandbox.outbox import Outbox
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve


@dataclass(frozen=True, slots=True)
class Providers:
    """The running stand-ins, and what they took."""

    server: VendorServer
    outbox: Outbox

    def fail(self, path: str, **how: Any) -> None:
        """Let requests fail from now on; see `Fault`."""
        self.server.fail(path, **how)

    def forget(self) -> None:
        """As if just started."""
        for kept in (
            self.server.requests,
            self.server.faults,
            self.outbox.sent,
            self.outbox.files,
            self.outbox.shown,
        ):
            kept.clear()


@contextmanager
def running_providers() -> Generator[Providers]:
    """Run the stand-ins for the length of the block."""
    outbox = Outbox()
    with serve(channels.routes(outbox)) as server:
        yield Providers(server, outbox)
