"""`daily_sync`: a run of every source of a client is queued, and they take turns."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from signalroom_dagster.defs.assets.building import build_assets
from signalroom_dagster.defs.daily_sync import build_daily_sync, build_daily_sync_sensor
from signalroom_dagster.defs.jobs import build_jobs
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster_tests.projects import Project

ORIGIN = RemoteRepositoryOrigin(
    GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1), "__repository__"
)


@pytest.fixture
def instance(project: Project, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster with the project's own settings, and two clients."""
    for client in ("713", "cti"):
        project.add_client(client)
        project.add_api_client(client, "everflow")
        project.add_api_client(client, "redtrack")
        project.register(client, sources=["everflow", "redtrack", "s3_exports"])
    home = tmp_path / "home"
    home.mkdir()
    settings = (Path(__file__).parents[2] / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(settings)
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def requests(instance: dg.DagsterInstance, client: str) -> list[dg.RunRequest | dg.SkipReason]:
    """What the sensor asks for once the job has run for a client."""
    job = build_daily_sync()
    done = job.execute_in_process(instance=instance, partition_key=client)
    sensor: Any = build_daily_sync_sensor(job)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=done.get_run_success_event(),
        dagster_instance=instance,
        dagster_run=done.dagster_run,
        partition_key=client,
    )
    return list(sensor(context))


def queue(instance: dg.DagsterInstance, client: str) -> None:
    """Put what the sensor asks for into the queue, as the daemon does."""
    for request in requests(instance, client):
        assert isinstance(request, dg.RunRequest) and request.job_name
        run = dg.DagsterRun(
            job_name=request.job_name,
            tags={**request.tags, "dagster/partition": client},
            remote_job_origin=RemoteJobOrigin(ORIGIN, request.job_name),
        )
        instance.add_run(run)
        instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace=None))  # pyright: ignore[reportArgumentType]


def startable(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that the queue would start now."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    limits = instance.get_concurrency_config()
    return daemon._get_runs_to_dequeue(instance, limits, None)  # pyright: ignore[reportPrivateUsage]


def test_the_sources_of_each_client_take_turns_and_one_that_fails_stops_no_other(
    instance: dg.DagsterInstance,
) -> None:
    for client in ("713", "cti"):
        queue(instance, client)
    for source in ("everflow", "redtrack", "s3_exports"):
        runs = startable(instance)
        assert {(run.tags["dagster/partition"], run.job_name) for run in runs} == {
            ("713", source),
            ("cti", source),
        }
        assert {run.tags["signalroom/account"] for run in runs} == {
            f"{source}:713",
            f"{source}:cti",
        }
        for run in runs:
            instance.report_run_failed(run)
    assert startable(instance) == []


def test_a_source_that_another_run_is_loading_is_left_to_that(instance: dg.DagsterInstance) -> None:
    for job in ("everflow", "redtrack"):
        instance.create_run_for_job(
            dg.job(name=job)(lambda: None),
            tags={"dagster/partition": "713"},
            status=dg.DagsterRunStatus.STARTED,
        )
    [request] = requests(instance, "713")
    assert isinstance(request, dg.RunRequest)
    assert (request.job_name, request.partition_key) == ("s3_exports", "713")


def test_where_every_source_is_being_loaded_nothing_is_queued(instance: dg.DagsterInstance) -> None:
    queue(instance, "713")
    [skipped] = requests(instance, "713")
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "every source of client 713 is being loaded already"


def test_the_sensor_is_on_from_the_start_because_a_person_asks(project: Project) -> None:
    sensor = build_daily_sync_sensor(build_daily_sync())
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_dagster_itself_takes_what_the_sensor_asks_for(instance: dg.DagsterInstance) -> None:
    job = build_daily_sync()
    sensor = build_daily_sync_sensor(job)
    repository = dg.Definitions(
        assets=build_assets(), jobs=[*build_jobs(), job], sensors=[sensor], resources=RESOURCES
    ).get_repository_def()
    cursor, asked = None, list[dg.RunRequest]()
    for client in ("713", "cti"):
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=repository
        )
        tick = sensor.evaluate_tick(context)
        cursor, asked = tick.cursor, [*asked, *(tick.run_requests or ())]
        job.execute_in_process(instance=instance, partition_key=client)
    assert [(run.job_name, run.tags["dagster/partition"]) for run in asked] == [
        ("everflow", "713"),
        ("redtrack", "713"),
        ("s3_exports", "713"),
    ]
