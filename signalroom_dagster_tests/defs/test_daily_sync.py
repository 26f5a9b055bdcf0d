"""`daily_sync`: every source of a client in turn, each as a run of its own."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from signalroom_dagster.config import destination_name
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.jobs import build_daily_sync, build_source_job
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster_tests.projects import Project, orders, write_export

SOURCES = ("everflow", "s3_exports")


def definitions() -> dg.Definitions:
    """What a code server would load."""
    return dg.Definitions(
        assets=[build_ingest_assets(source) for source in SOURCES],
        jobs=[*map(build_source_job, SOURCES), build_daily_sync()],
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )


def sync(instance: dg.DagsterInstance) -> tuple[bool, Sequence[dg.DagsterRun]]:
    """Whether the job succeeded, and the runs it started, in order."""
    job = ReconstructableRepository.for_module(__name__, "definitions").get_reconstructable_job(
        "daily_sync"
    )
    done = dg.execute_job(job, instance, tags={"dagster/partition": "713"})
    started = instance.get_runs(dg.RunsFilter(tags={"signalroom/started_by": done.run_id}))
    return done.success, list(reversed(started))


def test_all_sources_are_loaded_in_sequence_and_one_that_fails_does_not_stop_the_next(
    project: Project,
) -> None:
    assert destination_name() == "duckdb"
    bucket = project.add_client("713")
    write_export(bucket / "orders-create/report_2026-03-01.csv", orders([1, 2]))
    project.register("713", sources=["everflow", "s3_exports"])  # everflow has no key here
    with dg.instance_for_test() as instance:
        succeeded, runs = sync(instance)
        assert not succeeded
        assert [
            (run.job_name, run.status.value, run.tags["signalroom/account"]) for run in runs
        ] == [("everflow", "FAILURE", "everflow:713"), ("s3_exports", "SUCCESS", "s3_exports:713")]
        loaded = instance.get_latest_materialization_event(
            dg.AssetKey(["s3_exports", "orders_create"])
        )
        assert loaded and loaded.asset_materialization
        assert loaded.asset_materialization.metadata["rows_loaded"].value == 2


def test_a_source_that_another_run_is_loading_is_left_to_that(project: Project) -> None:
    project.add_client("713")
    with dg.instance_for_test() as instance:
        instance.create_run_for_job(
            dg.job(name="s3_exports")(lambda: None),
            tags={"dagster/partition": "713"},
            status=dg.DagsterRunStatus.STARTED,
        )
        succeeded, runs = sync(instance)
        assert succeeded and runs == []
