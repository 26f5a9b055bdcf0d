"""The demo's events: a gateway for the length of a sending, on a port that is free, and the
simulator before it.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import httpx
from rich.console import Console

from signalroom_dagster.config import ConfigurationError

JOBS = 40
RATE = 400
SEED = 1
START_SECONDS = 60.0
COMMAND = [sys.executable, "-W", "ignore", "-m", "signalroom_dagster.cli", "events"]


def send_events(clients: Sequence[str], screen: Console) -> None:
    """Send the events of some jobs of each client through the gateway into the store; the same ones
    each time.
    """
    with _gateway() as url:
        options = ["--url", url, "--jobs", str(JOBS), "--rate", str(RATE), "--seed", str(SEED)]
        options += [part for client in clients for part in ("--client", client)]
        screen.print(f"\n[bold]signalroom events send {' '.join(options[2:])}[/]", highlight=False)
        subprocess.run([*COMMAND, "send", *options], stderr=subprocess.DEVNULL, check=True)


@contextmanager
def _gateway() -> Generator[str]:
    """`signalroom events serve`; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([*COMMAND, "serve", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/readyz", timeout=5).raise_for_status()
            return
        except httpx.HTTPError as error:
            if process.poll() is not None or time.monotonic() > give_up:
                said = f"the gateway of events is not ready ({type(error).__name__})"
                raise ConfigurationError(
                    f"{said}: is .demo/ full, or not to be written to?"
                ) from None
            time.sleep(0.1)
