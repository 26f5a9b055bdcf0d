"""Gateways as processes: what was acknowledged is stored, however they or the database end."""

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from starlette.testclient import TestClient

from signalroom_dagster.analysis.publishing import count_results, create_table_of_results
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events.access import Access
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.server import serve
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster.events.stores import sqlite
from signalroom_dagster.events.stores.postgres import PostgresStore
from signalroom_dagster.events.stores.sqlite import SqliteStore
from signalroom_dagster.events.stores.store import StoreError
from signalroom_dagster.sandbox import simulator
from signalroom_dagster_tests.events.processes import (
    CONTRACTS,
    TOKENS,
    Load,
    ready_jobs,
    running_gateway,
    stored,
    tenants,
    wait_for,
)
from signalroom_dagster_tests.events.received import CONTRACT, whole
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.postgres import PostgresServer, free_port
from signalroom_dagster_tests.projects import Project


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, which it may kill."""
    server = PostgresServer().start()
    yield server
    server.remove()


def start_again(server: PostgresServer) -> None:
    """Start, however long the processes of the one before need to notice that it is gone."""
    for _ in range(50):
        try:
            server.start()
            return
        except RuntimeError:
            sleep(0.2)
    server.start()


def test_a_gateway_that_is_told_to_stop_answers_what_it_has_taken_and_stores_it(
    project: Project, tmp_path: Path
) -> None:
    store_url = f"sqlite:///{tmp_path / 'events.db'}"
    tenants(project, store_url)
    messages = simulator.planned(CONTRACTS, 100, duplicates=0.1, shuffle=50, poison=0.02)
    with running_gateway(project) as gateway:
        load = Load(gateway.url, messages, rate=400, attempts=1)
        load.start()
        wait_for(load, 200)
        gateway.stop(signal.SIGTERM)
        load.join(60)
        assert set(load.sent.answers) <= {
            "204",
            "ClientConnectorError",
            "ServerDisconnectedError",
            "ClientOSError",
        }
        assert load.sent.acknowledged and load.sent.acknowledged <= stored(store_url)
        for secret in (*TOKENS.values(), "spring_sale"):
            assert secret not in gateway.log


def test_without_tokens_an_address_that_others_can_reach_takes_no_event(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_client("713")
    apps: list[Any] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: apps.append(app))
    for host in ("0.0.0.0", "127.0.0.1"):
        serve(host, free_port())
    with TestClient(apps[0]) as public, TestClient(apps[1]) as private:
        assert [each.post("/v1/events", json=[]).status_code for each in (public, private)] == [
            401,
            204,
        ]
        assert public.get("/healthz").status_code == 200


def test_an_address_that_others_can_reach_keeps_the_figures_closed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants(project, f"sqlite:///{tmp_path / 'events.db'}")
    apps: list[Any] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: apps.append(app))
    for host in ("0.0.0.0", "127.0.0.1"):
        serve(host, free_port())
    with TestClient(apps[0]) as public, TestClient(apps[1]) as private:
        assert [each.get("/metrics").status_code for each in (public, private)] == [403, 200]
        assert [each.get("/healthz").status_code for each in (public, private)] == [200, 200]


def test_a_gateway_whose_port_is_taken_says_so_before_it_says_that_it_listens(
    project: Project,
) -> None:
    project.add_client("713")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError,
            match=f"127.0.0.1:{port} cannot be listened on: Address already in use",
        ):
            serve("127.0.0.1", port, announce=lambda: pytest.fail("it does not listen"))


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_gateway_is_killed_under_load(
    project: Project, store_url: str
) -> None:
    tenants(project, store_url)
    messages = simulator.planned(CONTRACTS, 1_000, duplicates=0.15, shuffle=300)
    with running_gateway(project) as gateway:
        load = Load(gateway.url, messages, rate=None)
        load.start()
        for killed in range(1, 4):
            wait_for(load, killed * 1_200)
            gateway.stop(signal.SIGKILL)
            gateway.start()
        load.join(120)
    everything = {message.key for message in messages}
    assert load.sent.acknowledged - stored(store_url) == set()
    assert load.sent.repeated > 0
    assert (load.sent.acknowledged, stored(store_url)) == (everything, everything)
    assert ready_jobs(store_url) == {"713": 1_000, "cti": 1_000}


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_postgres_is_killed_or_stopped_under_load(
    project: Project, own_postgres: PostgresServer
) -> None:
    store_url = own_postgres.create_database("events")
    tenants(project, store_url)
    messages = simulator.planned(CONTRACTS, 1_000, duplicates=0.15, shuffle=300)
    with running_gateway(project) as gateway:
        load = Load(gateway.url, messages, rate=None)
        load.start()
        for number, how in enumerate((signal.SIGKILL, signal.SIGINT, signal.SIGQUIT), start=1):
            wait_for(load, number * 1_200)
            own_postgres.stop(how)
            gateway.wait_until(ready=False)
            start_again(own_postgres)
        load.join(120)
        gateway.wait_until(ready=True)
    everything = {message.key for message in messages}
    assert load.sent.acknowledged - stored(store_url) == set()
    assert load.sent.repeated > 0
    assert (load.sent.acknowledged, stored(store_url)) == (everything, everything)
    assert ready_jobs(store_url) == {"713": 1_000, "cti": 1_000}


@pytest.mark.slow
def test_two_gateways_on_one_postgres_store_each_event_once(
    project: Project, postgres_url: str
) -> None:
    tenants(project, postgres_url)
    messages = simulator.planned(CONTRACTS, 300, duplicates=0.15, shuffle=300)
    with running_gateway(project) as one, running_gateway(project) as two:
        loads = [Load(gateway.url, messages, rate=300) for gateway in (one, two)]
        for load in loads:
            load.start()
        for load in loads:
            load.join(120)
    assert all(set(load.sent.answers) == {"204"} for load in loads)
    assert stored(postgres_url) == {message.key for message in messages}
    assert ready_jobs(postgres_url) == {"713": 300, "cti": 300}


@pytest.mark.slow
def test_two_gateways_and_two_consumers_on_one_postgres_give_every_job_one_result(
    project: Project, postgres_url: str
) -> None:
    tenants(project, postgres_url)
    project.use_postgres(postgres_url)
    create_table_of_results()
    messages = simulator.planned(CONTRACTS, 300, duplicates=0.15, shuffle=300)
    command = [sys.executable, "-W", "ignore", "-m", "signalroom_dagster.cli", "events", "consume"]
    environment = project.process_environment()
    with running_gateway(project) as one, running_gateway(project) as two:
        consumers = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)
        ]
        try:
            loads = [Load(gateway.url, messages, rate=300) for gateway in (one, two)]
            for load in loads:
                load.start()
            for load in loads:
                load.join(120)
            give_up = monotonic() + 120
            while (
                sum(count_results(client) for client in CONTRACTS) < 600 and monotonic() < give_up
            ):
                sleep(0.2)
        finally:
            for consumer in consumers:
                consumer.terminate()
            ended = [consumer.wait(30) for consumer in consumers]
    assert ended == [0, 0]
    assert all(set(load.sent.answers) == {"204"} for load in loads)
    assert {client: count_results(client) for client in CONTRACTS} == {"713": 300, "cti": 300}
    assert ask("SELECT count(*), max(attempts), bool_and(status = 'done') FROM events.job") == [
        (600, 0, True)
    ]


@pytest.mark.slow
def test_a_store_goes_on_after_a_restart_of_its_database(own_postgres: PostgresServer) -> None:
    store = PostgresStore(own_postgres.create_database("events"))
    store.create()
    store.append(whole("a"))
    own_postgres.stop()
    with pytest.raises(StoreError, match="not reachable"):
        store.append(whole("b"))
    start_again(own_postgres)
    assert store.append(whole("a", "b")) == ["duplicate"] * 3 + ["stored"] * 3
    store.close()


def test_a_full_or_read_only_disk_is_answered_503_and_taken_up_again_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "events.db")
    store.create()
    connect = sqlite._connect  # pyright: ignore[reportPrivateUsage]

    def limited(statement: str) -> None:
        def connected(path: Path) -> sqlite3.Connection:
            connection = connect(path)
            connection.execute(statement)
            return connection

        store.close()
        monkeypatch.setattr(sqlite, "_connect", connected)

    def body(job: str) -> dict[str, object]:
        return {
            "tenant_id": "713",
            "job_id": job,
            "analysis_type": "audience",
            "result": {"text": "x" * 200_000},
        }

    limited("PRAGMA max_page_count = 80")
    with TestClient(gateway_app(store, {"713": CONTRACT}, Access(), EventSettings())) as client:
        assert [
            client.post("/v1/events", json=body(f"full-{n}")).status_code for n in range(3)
        ] == [204, 503, 503]
        limited("PRAGMA query_only = 1")
        assert client.post("/v1/events", json=body("read-only")).status_code == 503
        assert client.get("/readyz").status_code == 503
        limited("PRAGMA max_page_count = 100000")
        assert client.post("/v1/events", json=body("read-only")).status_code == 204
    found = store.stats()["713"]
    assert found.open == 2
    store.close()
