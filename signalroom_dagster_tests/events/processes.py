"""Real gateways as processes of their own, and a load that goes on while they are killed."""

import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import httpx

from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster.events.stores.jobs import EventKey
from signalroom_dagster.events.stores.opening import open_store
from signalroom_dagster.events.stores.sql import SqlStore
from signalroom_dagster.sandbox import simulator
from signalroom_dagster.sandbox.simulator import Message, Sent
from signalroom_dagster_tests.postgres import free_port
from signalroom_dagster_tests.projects import Project

TYPES = ("attribution", "audience", "creative")
CONTRACTS = {
    name: Contract(name, frozenset(TYPES), timedelta(minutes=60)) for name in ("713", "cti")
}
ANALYSIS = '\n[analysis]\nrequired = ["attribution", "audience", "creative"]\n'
TOKENS = {name: f"token-of-{name}-0123456789" for name in CONTRACTS}
READY_SECONDS = 40


def tenants(project: Project, store_url: str) -> None:
    """Two clients with contracts and tokens, whose events go to this store."""
    for name in CONTRACTS:
        project.add_client(name)
        with (project.root / "data" / "clients" / name / "client.toml").open("a") as file:
            file.write(ANALYSIS)
        project.set(**{f"EVENTS__TENANTS__{name.upper()}__TOKEN": TOKENS[name]})
    project.set(EVENTS__STORE=store_url)


class GatewayProcess:
    """`signalroom events serve` on a port of its own, which it keeps when it is started again."""

    def __init__(self, project: Project) -> None:
        self._environment = project.process_environment()
        self._log = project.root / "gateway.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> "GatewayProcess":
        """Start; wait until it is ready."""
        command = [
            sys.executable,
            "-m",
            "signalroom_dagster.cli",
            "events",
            "serve",
            "--port",
            str(self.port),
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        if wait:
            self.wait_until(ready=True)
        return self

    def wait_until(self, *, ready: bool) -> None:
        """Wait until it says so; it asks its store once a second at most, so its word can be a
        second old.
        """
        give_up = monotonic() + READY_SECONDS
        while self.is_ready() != ready:
            assert self.process and self.process.poll() is None and monotonic() < give_up, self.log
            sleep(0.05)

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, how: int) -> int:
        """Send a signal, wait for the end; the exit code."""
        assert self.process
        self.process.send_signal(how)
        return self.process.wait(40)

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text()


@contextmanager
def running_gateway(project: Project) -> Generator[GatewayProcess]:
    """A gateway that is gone afterwards."""
    gateway = GatewayProcess(project).start()
    try:
        yield gateway
    finally:
        if gateway.process and gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()


class Load(threading.Thread):
    """A sending under way; `sent` shows how far it is, `join` waits for its end."""

    def __init__(
        self, url: str, messages: Sequence[Message], rate: float | None, attempts: int = 60
    ) -> None:
        super().__init__(daemon=True)
        self._work = (url, messages, rate, attempts)
        self.sent = Sent(len(messages))

    def run(self) -> None:
        import asyncio

        url, messages, rate, attempts = self._work
        sending = simulator.send(
            url, messages, rate, tokens=TOKENS, attempts=attempts, tell=self._keep
        )
        self.sent = asyncio.run(sending)

    def _keep(self, sent: Sent) -> None:
        self.sent = sent


def wait_for(load: Load, acknowledged: int) -> None:
    """Wait until so many events are acknowledged, or the load has ended."""
    while load.is_alive() and len(load.sent.acknowledged) < acknowledged:
        sleep(0.02)


def stored(store_url: str) -> set[EventKey]:
    """The keys of all events that a store holds."""
    store = open_store(EventSettings(store=store_url))
    assert isinstance(store, SqlStore)
    with store.transaction(reads_only=True) as session:
        found = session.rows("SELECT tenant_id, job_id, analysis_type FROM events.inbox")
    store.close()
    return {(tenant, job, name) for tenant, job, name in found}


def ready_jobs(store_url: str) -> Mapping[str, int]:
    """How many jobs of each tenant are complete."""
    store = open_store(EventSettings(store=store_url))
    found = {tenant: figures.ready for tenant, figures in store.stats().items()}
    store.close()
    return found


def path_of(store_url: str) -> Path:
    """The file of a SQLite store."""
    return Path(store_url.removeprefix("sqlite:///"))
