"""The sensor for new files: wakes a client's load while bucket and last load disagree, and never
too often.
"""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from signalroom_dagster.defs import new_files
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.jobs import build_source_job
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import Client
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.object_stores import KEYS, ObjectStore
from signalroom_dagster_tests.projects import Project, export_bytes, orders, write_export

FILE = "orders-create/report_2026-03-01.csv"


class Clock:
    """The time that the sensor sees, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


class Ticks:
    """A sensor, its cursor and an instance, walked tick by tick."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.skip_reason = ""
        self._sensor = new_files.build_new_files_sensor("s3_exports")

    def tick(self) -> list[str]:
        """The clients that are asked for."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=definitions()
        )
        result = self._sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.skip_reason = str(result.skip_reason.skip_message) if result.skip_reason else ""
        return [request.partition_key or "" for request in result.run_requests or []]

    def load(self, client: str) -> None:
        """What the requested run would do."""
        job = definitions().resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=self.instance, partition_key=client).success


def definitions() -> dg.Definitions:
    return dg.Definitions(
        assets=[build_ingest_assets("s3_exports")],
        jobs=[build_source_job("s3_exports")],
        resources=RESOURCES,
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(new_files, "time", made)
    return made


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance)


def test_a_client_is_asked_for_until_its_load_has_seen_what_the_bucket_holds(
    project: Project, ticks: Ticks, clock: Clock
) -> None:
    bucket = project.add_client("713")
    project.add_client("cti", status="planned")
    write_export(bucket / FILE, orders([1]))
    assert ticks.tick() == ["713"]
    ticks.load("713")
    assert ticks.tick() == []
    write_export(bucket / "orders-create/report_2020-01-01.csv", orders([2]))
    assert ticks.tick() == ["713"]
    ticks.load("713")
    write_export(bucket / FILE, orders([1, 3]))
    clock.now += 1
    assert ticks.tick() == ["713"]


def test_a_load_that_does_not_come_is_asked_for_again_with_growing_pauses(
    project: Project, ticks: Ticks, clock: Clock
) -> None:
    write_export(project.add_client("713") / FILE, orders([1]))
    asked_at: list[float] = []
    for _ in range(65):
        if ticks.tick():
            asked_at.append(clock.now - 1_000_000)
        clock.now += 60
    assert asked_at == [0, 120, 360, 840, 1800, 3720]


def test_pauses_end_at_an_hour_and_a_new_listing_is_asked_for_at_once() -> None:
    asked = new_files.Asked("old", 9, 10.0)
    assert new_files._due(asked, "old", 9.0) is None
    assert new_files._due(asked, "old", 11.0) == new_files.Asked("old", 10, 11.0 + 3600)
    assert new_files._due(asked, "new", 9.0) == new_files.Asked("new", 1, 9.0 + 120)


def test_buckets_are_listed_side_by_side(
    project: Project, ticks: Ticks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=60)
    for client in ("713", "cti"):
        project.add_client(client)
    monkeypatch.setattr(
        accounts, "listing_digests", lambda *_: {"orders_create": f"{both.wait() < 2}"}
    )
    assert ticks.tick() == ["713", "cti"]


def test_one_client_that_cannot_be_listed_does_not_stop_the_others(
    project: Project, ticks: Ticks, clock: Clock
) -> None:
    project.add_client("713")
    project.configure("713", BUCKET_URL=f"file://{project.root}/no/such/folder")
    write_export(project.add_client("cti") / FILE, orders([1]))
    assert ticks.tick() == ["cti"]


def test_a_bucket_that_accepts_and_never_answers_costs_its_own_client_alone(
    project: Project, ticks: Ticks, clock: Clock
) -> None:
    project.add_client("713")
    write_export(project.add_client("cti") / FILE, orders([1]))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hanging = {
            "bucket_url": "s3://exports",
            "endpoint_url": address,
            "listing_seconds": "0.5",
            **KEYS,
        }
        project.configure("713", **hanging)
        assert ticks.tick() == ["cti"]
        ticks.load("cti")
        assert ticks.tick() == []
    assert (
        f"client 713, s3_exports: s3://exports at {address}: it does not answer in time"
        in ticks.skip_reason
    )


def test_an_object_that_cannot_be_read_is_asked_for_once_and_loads_with_a_later_load(
    project: Project, ticks: Ticks, clock: Clock, object_store: ObjectStore
) -> None:
    project.add_client("713")
    project.configure("713", **object_store.settings)
    object_store.put(FILE, export_bytes(orders([1])), StorageClass="GLACIER")
    assert ticks.tick() == ["713"]
    ticks.load("713")
    for _ in range(3):
        clock.now += 3_600
        assert ticks.tick() == []
    object_store.put(FILE, export_bytes(orders([1])))
    ticks.load("713")
    assert ask("SELECT status, rows_loaded FROM s3_exports.files") == [("loaded", 1)]


def test_storage_that_does_not_answer_is_not_waited_for_and_not_asked_twice(
    project: Project, ticks: Ticks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), []

    def listing(source: str, client: Client) -> dict[str, str]:
        asked.append(client.id)
        if client.id == "713":
            answers.wait(20)
        return {"orders_create": client.id}

    for client in ("713", "cti"):
        project.add_client(client)
    monkeypatch.setattr(new_files, "LISTING_SECONDS", 0.2)
    monkeypatch.setattr(accounts, "listing_digests", listing)
    assert ticks.tick() == ["cti"]
    assert ticks.tick() == []
    assert "client 713, source s3_exports: its storage does not answer in time" in ticks.skip_reason
    assert asked == ["713", "cti", "cti"]
    answers.set()
    monkeypatch.setattr(new_files, "LISTING_SECONDS", 20)
    assert ticks.tick() == ["713"]
    assert asked.count("713") == 1, "its late answer counts"


def test_a_run_on_its_way_is_waited_for(
    project: Project, ticks: Ticks, clock: Clock, tmp_path: Path
) -> None:
    write_export(project.add_client("713") / FILE, orders([1]))
    run = ticks.instance.create_run_for_job(
        definitions().resolve_job_def("s3_exports"),
        tags={"dagster/partition": "713"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert ticks.tick() == []
    ticks.instance.report_run_failed(run)
    assert ticks.tick() == ["713"]
