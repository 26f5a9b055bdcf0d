"""What a running Dagster is tried on: clients with small Everflow networks, and locks that hold
loads in the middle.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import psycopg2

from signalroom_dagster.sandbox import channels, everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.outbox import Outbox
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.warehouse.places import postgres_url
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project, client_toml
from signalroom_dagster_tests.running.dagster_dev import DagsterDev, wait_for
from signalroom_dagster_tests.sources.contexts import march
from signalroom_dagster_tests.sources.everflow.networks import (
    click,
    figures,
    fresh_network,
    noon,
    sale,
)

DAYS = march(range(2, 5))
EACH = 5
ROWS = len(DAYS) * EACH


class Agency:
    """The clients' vendor and the agency's Slack, both stand-ins."""

    def __init__(self, server: VendorServer, outbox: Outbox) -> None:
        self.server, self.outbox = server, outbox

    def asked(self, client: str, path: str, since: float = 0) -> set[date]:
        """The days that Everflow was asked for, since a moment of the monotonic clock."""
        return {
            date.fromisoformat(request.json["from"][:10])
            for request in self.server.asked(path)
            if request.headers.get("x-eflow-api-key") == f"key-{client}" and request.at >= since
        }

    def alerts(self, client: str) -> list[str]:
        """What Slack was told about a client."""
        return [sent.text for sent in self.outbox.of("slack") if f"(client {client})" in sent.text]


class Running(NamedTuple):
    """What a test of this package works with."""

    dev: DagsterDev
    agency: Agency
    project: Project


@contextmanager
def agency(project: Project, clients: Iterable[str], status: str) -> Generator[Agency]:
    """Clients that use Everflow, each with an account of its own."""
    names, outbox = list(clients), Outbox()
    networks = [_network(client) for client in names]
    with serve([*everflow.routes(networks), *channels.routes(outbox)]) as server:
        project.set(**channels.variables(server.url))
        for client in names:
            project.add_api_client(
                client,
                "everflow",
                api_key=f"key-{client}",
                base_url=f"{server.url}/everflow",
                requests_per_minute="1000000",
                start_date=str(DAYS[0]),
                end_date=str(DAYS[-1]),
                conversions_kept_days="10000",
                clicks_kept_days="10000",
            )
            register(project, client, status=status)
        yield Agency(server, outbox)


def register(
    project: Project, client: str, *, status: str, sources: Sequence[str] = ("everflow",)
) -> None:
    """A client's entry in the registry."""
    folder = project.root / "data" / "clients" / client
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "client.toml").write_text(client_toml(client, status=status, sources=sources))


def add_bucket(project: Project, client: str) -> Path:
    """A bucket for a client's exports; its folder."""
    bucket = project.root / "buckets" / client
    bucket.mkdir(parents=True)
    project.configure(
        client,
        BUCKET_URL=f"file://{bucket}",
        PREFIXES='["orders-create", "orders-update", "prospects-create"]',
    )
    return bucket


def _network(client: str) -> EverflowNetwork:
    network = fresh_network(f"key-{client}")
    network.conversions = [
        sale(f"{day}-{number}", noon(day), payout=1) for day in DAYS for number in range(EACH)
    ]
    network.clicks = [click(f"{day}-{number}", noon(day)) for day in DAYS for number in range(EACH)]
    network.stats = {(day, 41, 1): figures(cv=EACH, payout=EACH) for day in DAYS}
    return network


def has_every_row_once(client: str) -> None:
    """Nothing is missing and nothing there twice."""
    for table, key, rows in (
        ("conversions", "conversion_id", ROWS),
        ("clicks", "click_id", ROWS),
        ("daily_stats", "date", len(DAYS)),
    ):
        sql = f"SELECT count(*), count(DISTINCT {key}) FROM everflow.{table} WHERE _client_id = %s"
        assert ask(sql, client) == [(rows, rows)], table
    assert ask("SELECT count(*) FROM everflow.affiliates WHERE _client_id = %s", client) == [(2,)]


def committed(client: str, table: str) -> list[date]:
    """The days of a table that are loaded; none before the first load made the tables."""
    there = (
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'everflow' AND"
        " table_name = 'windows'"
    )
    if ask(there) == [(0,)]:
        return []
    sql = "SELECT day FROM everflow.windows WHERE _client_id = %s AND resource = %s ORDER BY day"
    return [day for (day,) in ask(sql, client, table)]


class Held:
    """A lock of a table or file that loads wait at, in Postgres."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection = psycopg2.connect(postgres_url())
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (name,))

    def waits(self) -> int:
        """How many transactions wait at it."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks AS waiting JOIN pg_locks AS held USING (classid,"
                " objid, objsubid) WHERE held.pid = pg_backend_pid() AND held.locktype = 'advisory'"
                " AND NOT waiting.granted"
            )
            return cursor.fetchone()[0]  # type: ignore[index]

    def release(self) -> None:
        """Let the loads go on."""
        self._connection.close()

    def wait(self) -> None:
        """Wait until a load waits at it."""
        wait_for(self.waits, f"a load that waits at {self._name}")


@contextmanager
def held(name: str) -> Generator[Held]:
    """Hold loads back at a lock, `<schema>|<table>|<client>`, until it is released, at the latest
    with the block.
    """
    lock = Held(name)
    try:
        yield lock
    finally:
        lock.release()
